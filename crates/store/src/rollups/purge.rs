//! Removes the roll-ups of metrics that were changed or deleted.

use uuid::Uuid;

use super::FOLD_LOCK;
use crate::{Store, StoreError};

/// The maximum number of series, and of rows of their roll-ups, that one call removes: a transaction of a
/// fraction of a second.
const SERIES: i64 = 100;
const ROWS: i64 = 20_000;
/// How long abandoned roll-ups are kept. A query checks at its end that the roll-ups were still in use, and
/// otherwise starts again. The delay makes that rare.
const QUIET_SECONDS: f64 = 60.0;

/// Removes some series of a metric that was abandoned a while ago. Returns whether there may be more to remove.
pub async fn purge_abandoned(store: &Store) -> Result<bool, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    // A fold must not move rows between the tables meanwhile.
    let free = transaction.query_one("-- purge\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK]).await?;
    if !free.get::<_, bool>(0) {
        return Ok(false);
    }
    let due = transaction
        .query_opt(
            "-- purge
             SELECT tenant_id, generation, series_key FROM metric_rollup
             WHERE abandoned_at < now() - make_interval(secs => $1) LIMIT 1",
            &[&QUIET_SECONDS],
        )
        .await?;
    let Some(due) = due else { return Ok(false) };
    let (tenant, generation, key): (Uuid, i32, String) = (due.get(0), due.get(1), due.get(2));
    let removed: i64 = transaction
        .query_one(
            "-- purge
             WITH gone AS (
                 SELECT series_id FROM series WHERE tenant_id = $1 AND metric = $2 LIMIT $3
             ), removed AS (
                 DELETE FROM rollup WHERE ctid = ANY (ARRAY(
                     SELECT rollup.ctid FROM gone JOIN rollup USING (series_id)
                     WHERE rollup.tenant_id = $1 LIMIT $4))
                 RETURNING 1
             )
             SELECT count(*) FROM removed",
            &[&tenant, &key, &SERIES, &ROWS],
        )
        .await?
        .get(0);
    if removed < ROWS {
        let series = transaction
            .execute(
                "-- purge
                 WITH gone AS (
                     DELETE FROM series WHERE tenant_id = $1 AND series_id IN (
                         SELECT series_id FROM series WHERE tenant_id = $1 AND metric = $2
                           AND NOT EXISTS (SELECT FROM rollup WHERE rollup.tenant_id = series.tenant_id
                                                                AND rollup.series_id = series.series_id)
                         LIMIT $3)
                     RETURNING series_id
                 ), partial AS (
                     DELETE FROM rollup_partial USING gone
                     WHERE rollup_partial.tenant_id = $1 AND rollup_partial.series_id = gone.series_id
                 )
                 SELECT FROM gone",
                &[&tenant, &key, &SERIES],
            )
            .await?;
        if series == 0 {
            transaction
                .execute(
                    "-- purge\nDELETE FROM metric_rollup WHERE tenant_id = $1 AND generation = $2",
                    &[&tenant, &generation],
                )
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(true)
}
