//! Which flows are registered.

use flowmeter_core::ids::TenantId;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// The ids of a tenant's flows.
pub async fn list_flow_ids(store: &Store, tenant: TenantId) -> Result<Vec<String>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- list_flow_ids\nSELECT flow_id FROM flow WHERE tenant_id = $1 AND deleted_at IS NULL",
            &[(&tenant.0, Type::UUID)],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Those of `ids` that are a tenant's flows.
pub async fn find_flows(store: &Store, tenant: TenantId, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- find_flows
             SELECT flow_id FROM flow WHERE tenant_id = $1 AND flow_id = ANY ($2) AND deleted_at IS NULL",
            &[(&tenant.0, Type::UUID), (&ids, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
