//! Folds partial rows into the roll-ups of every resolution.

use super::FOLD_LOCK;
use crate::{Store, StoreError};

/// The maximum number of partial rows in one fold: enough to catch up, few enough to be fast.
const FOLD_ROWS: i64 = 50_000;

/// The outcome of a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOutcome {
    /// It folded partial rows.
    Folded {
        /// The number of rows.
        rows: u64,
        /// Whether the fold was as large as possible, so that more rows may be left.
        is_full: bool,
    },
    /// Another worker is folding.
    Busy,
}

/// Folds some partial rows. Call it again while it folds as many as it can.
pub async fn fold_partials(store: &Store) -> Result<FoldOutcome, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let lock = transaction
        .query_one("-- fold_partials\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK])
        .await?;
    if !lock.get::<_, bool>(0) {
        return Ok(FoldOutcome::Busy);
    }
    let statement = transaction
        .prepare_cached(
            "-- fold_partials
             WITH taken AS (
                 DELETE FROM rollup_partial
                 WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollup_partial LIMIT $1))
                 RETURNING *
             ), merged AS (
                 SELECT tenant_id, series_id, kept.resolution,
                        date_bin(kept.width, bucket, 'epoch') AS bucket,
                        sum(count) AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max,
                        (array_agg(first_id ORDER BY first_id) FILTER (WHERE sum IS NOT NULL))[1] AS first_id,
                        (array_agg(first_value ORDER BY first_id) FILTER (WHERE sum IS NOT NULL))[1] AS first_value,
                        (array_agg(last_id ORDER BY last_id DESC) FILTER (WHERE sum IS NOT NULL))[1] AS last_id,
                        (array_agg(last_value ORDER BY last_id DESC) FILTER (WHERE sum IS NOT NULL))[1] AS last_value
                 FROM taken JOIN (VALUES (1::smallint, interval '1 minute'),
                                         (15::smallint, interval '15 minutes'),
                                         (60::smallint, interval '1 hour'),
                                         (1440::smallint, interval '1 day')) AS kept (resolution, width)
                      ON kept.resolution >= taken.resolution
                 GROUP BY 1, 2, 3, 4
             ), written AS (
                 INSERT INTO rollup SELECT * FROM merged
                 ON CONFLICT (tenant_id, series_id, resolution, bucket) DO UPDATE SET
                     count = rollup.count + excluded.count,
                     sum = rollup.sum + excluded.sum,
                     min = least(rollup.min, excluded.min),
                     max = greatest(rollup.max, excluded.max),
                     first_id = least(rollup.first_id, excluded.first_id),
                     first_value = CASE WHEN excluded.first_id < rollup.first_id
                                        THEN excluded.first_value ELSE rollup.first_value END,
                     last_id = greatest(rollup.last_id, excluded.last_id),
                     last_value = CASE WHEN excluded.last_id > rollup.last_id
                                       THEN excluded.last_value ELSE rollup.last_value END
             )
             SELECT count(*) FROM taken",
        )
        .await?;
    let taken: i64 = transaction.query_one(&statement, &[&FOLD_ROWS]).await?.get(0);
    transaction.commit().await?;
    Ok(FoldOutcome::Folded { rows: taken.unsigned_abs(), is_full: taken == FOLD_ROWS })
}
