//! Removes the roll-ups of metrics that were changed or deleted.

use uuid::Uuid;

use super::FOLD_LOCK;
use crate::{Store, StoreError};

/// Series that one call removes.
const SERIES: i64 = 500;
/// Seconds after which no question can be under way that still looks at the roll-ups: twice the
/// time that a statement may take.
const QUIET_SECONDS: f64 = 60.0;

/// Removes some series of a metric that was abandoned a while ago. Returns whether there may be
/// more to remove.
pub async fn purge_abandoned(store: &Store) -> Result<bool, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    // A fold must not carry rows from the one table to the other meanwhile.
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
    let gone = transaction
        .query_one(
            "-- purge
             WITH gone AS (
                 DELETE FROM series WHERE tenant_id = $1 AND series_id IN (
                     SELECT series_id FROM series WHERE tenant_id = $1 AND metric = $2 LIMIT $3)
                 RETURNING series_id
             ), partial AS (
                 DELETE FROM rollup_partial USING gone
                 WHERE rollup_partial.tenant_id = $1 AND rollup_partial.series_id = gone.series_id
             ), kept AS (
                 DELETE FROM rollup USING gone
                 WHERE rollup.tenant_id = $1 AND rollup.series_id = gone.series_id
             )
             SELECT count(*) FROM gone",
            &[&tenant, &key, &SERIES],
        )
        .await?;
    if gone.get::<_, i64>(0) == 0 {
        transaction
            .execute(
                "-- purge\nDELETE FROM metric_rollup WHERE tenant_id = $1 AND generation = $2",
                &[&tenant, &generation],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}
