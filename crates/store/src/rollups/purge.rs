//! Removes the roll-ups of metrics that were changed or deleted.

use std::collections::HashSet;

use flowmeter_core::ids::{RollupId, TenantId};
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
    let rows = transaction
        .query(
            "-- purge
             SELECT series_id, label_names FROM series WHERE tenant_id = $1 AND metric = $2 LIMIT $3",
            &[&tenant, &key, &SERIES],
        )
        .await?;
    let series: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let rollup = |row: &tokio_postgres::Row| {
        let labels: Vec<&str> = row.get(1);
        RollupId::new(TenantId(tenant), &key, labels.into_iter()).0
    };
    let rollups: HashSet<Uuid> = rows.iter().map(rollup).collect();
    let rollups: Vec<Uuid> = rollups.into_iter().collect();
    for (statement, ids) in [
        ("-- purge\nDELETE FROM rollup_day WHERE tenant_id = $1 AND series_id = ANY ($2)", &series),
        ("-- purge\nDELETE FROM rollup_partial WHERE tenant_id = $1 AND rollup_id = ANY ($2)", &rollups),
        ("-- purge\nDELETE FROM series WHERE tenant_id = $1 AND series_id = ANY ($2)", &series),
    ] {
        transaction.execute(statement, &[&tenant, ids]).await?;
    }
    if series.is_empty() {
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
