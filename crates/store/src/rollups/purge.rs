//! Removes the roll-ups of metrics that were changed or deleted.

use uuid::Uuid;

use super::FOLD_LOCK;
use crate::{Store, StoreError};

/// The maximum number of series that one call removes: with their days, a transaction of a fraction of a second.
const SERIES: i64 = 100;
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
    let rollups: Vec<Uuid> = transaction
        .query(
            "-- purge\nSELECT rollup_id FROM rollup WHERE tenant_id = $1 AND metric = $2",
            &[&tenant, &key],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let series: Vec<Uuid> = transaction
        .query(
            "-- purge
             SELECT series_id FROM series WHERE tenant_id = $1 AND rollup_id = ANY ($2) LIMIT $3",
            &[&tenant, &rollups, &SERIES],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    transaction
        .execute(
            "-- purge\nDELETE FROM rollup_partial WHERE tenant_id = $1 AND rollup_id = ANY ($2)",
            &[&tenant, &rollups],
        )
        .await?;
    if series.is_empty() {
        transaction
            .execute("-- purge\nDELETE FROM rollup WHERE tenant_id = $1 AND metric = $2", &[&tenant, &key])
            .await?;
        transaction
            .execute(
                "-- purge\nDELETE FROM metric_rollup WHERE tenant_id = $1 AND generation = $2",
                &[&tenant, &generation],
            )
            .await?;
    } else {
        transaction
            .execute(
                "-- purge\nDELETE FROM rollup_day WHERE tenant_id = $1 AND series_id = ANY ($2)",
                &[&tenant, &series],
            )
            .await?;
        transaction
            .execute(
                "-- purge
                 DELETE FROM series WHERE tenant_id = $1 AND rollup_id = ANY ($2) AND series_id = ANY ($3)",
                &[&tenant, &rollups, &series],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}
