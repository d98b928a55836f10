//! Which flows are registered, and since when.

use std::time::{Duration, SystemTime};

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// From when on a flow is registered, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// When it was registered.
    pub from: Timestamp,
    /// When it was deleted; [`Timestamp::END`] if it was not.
    pub until: Timestamp,
}

/// Flows that were deleted so long ago are as good as unknown: no request that is that old is taken.
const DELETED_FOR: Duration = Duration::from_hours(8 * 24);

/// The flows of a tenant, also those that were deleted lately.
pub async fn list_registrations(
    store: &Store,
    tenant: TenantId,
) -> Result<Vec<(String, Registration)>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- list_registrations
             SELECT flow_id, registered_at, deleted_at FROM flow
             WHERE tenant_id = $1 AND (deleted_at IS NULL OR deleted_at > now() - make_interval(secs => $2))",
            &[(&tenant.0, Type::UUID), (&DELETED_FOR.as_secs_f64(), Type::FLOAT8)],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// Those of `ids` that are flows of a tenant, deleted or not.
pub async fn find_registrations(
    store: &Store,
    tenant: TenantId,
    ids: &[&str],
) -> Result<Vec<(String, Registration)>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- find_registrations
             SELECT flow_id, registered_at, deleted_at FROM flow WHERE tenant_id = $1 AND flow_id = ANY ($2)",
            &[(&tenant.0, Type::UUID), (&ids, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}

fn read(row: &Row) -> (String, Registration) {
    let until = row.get::<_, Option<SystemTime>>(2).map_or(Timestamp::END, Timestamp::from);
    (row.get(0), Registration { from: Timestamp::from(row.get::<_, SystemTime>(1)), until })
}
