//! The flows that are registered, and the time during which they are.

use std::time::{Duration, SystemTime};

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// The time during which a flow is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// When it was registered.
    pub from: Timestamp,
    /// When it was deleted; [`Timestamp::END`] if it was not deleted.
    pub until: Timestamp,
}

/// A flow that is or was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredFlow {
    /// Its id.
    pub flow_id: String,
    /// When it was registered.
    pub registration: Registration,
}

/// Flows that were deleted longer ago than this are treated as unknown: no request of that age is accepted.
const DELETED_FOR: Duration = Duration::from_hours(8 * 24);

/// Lists the flows of a tenant, including those that were deleted recently.
pub async fn list_registrations(store: &Store, tenant: TenantId) -> Result<Vec<RegisteredFlow>, StoreError> {
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

/// Finds those of `ids` that are flows of a tenant, deleted or not.
pub async fn find_registrations(
    store: &Store,
    tenant: TenantId,
    ids: &[&str],
) -> Result<Vec<RegisteredFlow>, StoreError> {
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

fn read(row: &Row) -> RegisteredFlow {
    let until = row.get::<_, Option<SystemTime>>(2).map_or(Timestamp::END, Timestamp::from);
    let from = Timestamp::from(row.get::<_, SystemTime>(1));
    RegisteredFlow { flow_id: row.get(0), registration: Registration { from, until } }
}
