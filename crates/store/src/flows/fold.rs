//! Folds partial rows into the counters of every resolution.

use std::sync::LazyLock;

use flowmeter_core::flow::Counter;

use crate::rollups::{FOLD_ROWS, FoldOutcome};
use crate::{Store, StoreError};

/// One fold at a time, whichever worker runs it.
const FOLD_LOCK: i64 = 0x666c_6f77_666c_6f77;

/// The most that a counter can hold.
const FULL: i64 = i64::MAX;

/// Folds some partial rows. Ask again while it takes as many as it can.
pub async fn fold_flow_partials(store: &Store) -> Result<FoldOutcome, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let lock = transaction
        .query_one("-- fold_flow_partials\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK])
        .await?;
    if !lock.get::<_, bool>(0) {
        return Ok(FoldOutcome::Busy);
    }
    let statement = transaction.prepare_cached(&STATEMENT).await?;
    let taken: i64 = transaction.query_one(&statement, &[&FOLD_ROWS]).await?.get(0);
    transaction.commit().await?;
    Ok(FoldOutcome::Folded(taken.unsigned_abs()))
}

static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    let list = |item: fn(&str) -> String| Counter::NAMES.map(item).join(", ");
    // A counter that is full stays so, instead of stopping the fold for everyone; one of nothing is NULL.
    let sums = list(|name| format!("nullif(least(coalesce(sum({name}), 0), {FULL}), 0)::bigint AS {name}"));
    let added = list(|name| {
        let (old, new) =
            (format!("coalesce(flow_rollup.{name}, 0)"), format!("coalesce(excluded.{name}, 0)"));
        format!("{name} = nullif(CASE WHEN {old} > {FULL} - {new} THEN {FULL} ELSE {old} + {new} END, 0)")
    });
    format!(
        "-- fold_flow_partials
         WITH taken AS (
             DELETE FROM flow_rollup_partial
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM flow_rollup_partial LIMIT $1))
             RETURNING *
         ), merged AS (
             SELECT tenant_id, flow_id, kept.resolution, date_bin(kept.width, bucket, 'epoch') AS bucket, {sums}
             FROM taken JOIN (VALUES (15::smallint, interval '15 minutes'),
                                     (60::smallint, interval '1 hour'),
                                     (1440::smallint, interval '1 day')) AS kept (resolution, width)
                  ON kept.resolution >= taken.resolution
             GROUP BY 1, 2, 3, 4
         ), written AS (
             INSERT INTO flow_rollup SELECT * FROM merged
             ON CONFLICT (tenant_id, flow_id, resolution, bucket) DO UPDATE SET {added}
         )
         SELECT count(*) FROM taken"
    )
});
