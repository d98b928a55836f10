//! Tenants. A tenant's id is a hash of its name, so it need not be looked up.

use std::time::SystemTime;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name, which is unique.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether executions keep metric types other than the six standard ones.
    pub allow_all_metric_types: bool,
}

const COLUMNS: &str = "name, created_at, allow_all_metric_types";

fn read(row: &tokio_postgres::Row) -> Tenant {
    Tenant {
        name: row.get(0),
        created_at: Timestamp::from(row.get::<_, SystemTime>(1)),
        allow_all_metric_types: row.get(2),
    }
}

/// Creates a tenant. Fails with [`StoreError::Duplicate`] if the name exists already.
pub async fn insert_tenant(store: &Store, id: TenantId, name: &str) -> Result<Tenant, StoreError> {
    let client = store.client().await?;
    let row = client
        .query_one(
            &format!("-- insert_tenant\nINSERT INTO tenant VALUES ($1, $2) RETURNING {COLUMNS}"),
            &[&id.0, &name],
        )
        .await?;
    Ok(read(&row))
}

/// The tenant with this id.
pub async fn get_tenant(store: &Store, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            &format!("-- get_tenant\nSELECT {COLUMNS} FROM tenant WHERE tenant_id = $1"),
            &[(&id.0, Type::UUID)],
        )
        .await?;
    Ok(rows.first().map(read))
}

/// Lists tenants by name, beginning after `after`. The operator's own tenant is not listed.
pub async fn list_tenants(store: &Store, after: &str, limit: i64) -> Result<Vec<Tenant>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            &format!(
                "-- list_tenants
                 SELECT {COLUMNS} FROM tenant
                 WHERE name > $1 AND tenant_id <> $2 ORDER BY name LIMIT $3"
            ),
            &[(&after, Type::TEXT), (&TenantId::OPERATOR.0, Type::UUID), (&limit, Type::INT8)],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// Changes the settings of a tenant. None if no tenant has this id.
pub async fn update_tenant(
    store: &Store,
    id: TenantId,
    allow_all_metric_types: bool,
) -> Result<Option<Tenant>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- update_tenant
         UPDATE tenant SET allow_all_metric_types = $2 WHERE tenant_id = $1 RETURNING {COLUMNS}"
    );
    let updated = client.query_opt(&sql, &[&id.0, &allow_all_metric_types]).await?;
    Ok(updated.as_ref().map(read))
}
