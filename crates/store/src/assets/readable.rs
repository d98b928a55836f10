//! The asset metrics that can be read as time series: those that have had numbers or booleans.

use flowmeter_core::asset::Readable;
use flowmeter_core::ids::TenantId;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::{Store, StoreError};

/// An asset metric that can be read as a time series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableMetric {
    /// Its name, without the provider.
    pub name: String,
    /// The types of its values that can be read.
    pub readable: Readable,
}

const COLUMNS: &str = "name, bool_or(value_type = 'NUMBER'), bool_or(value_type = 'BOOLEAN')";

fn read(row: &Row) -> Result<ReadableMetric, StoreError> {
    let readable = Readable::of(row.get(1), row.get(2))
        .ok_or_else(|| StoreError::Refused("a stored metric of assets has an unknown type".into()))?;
    Ok(ReadableMetric { name: row.get(0), readable })
}

/// Lists a tenant's asset metrics after this name, in byte order of the names.
pub async fn list_readable(
    store: &Store,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<ReadableMetric>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- list_readable\nSELECT {COLUMNS} FROM asset_metric WHERE tenant_id = $1 AND name > $2
         GROUP BY name ORDER BY name LIMIT $3"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&tenant.0, Type::UUID), (&after, Type::TEXT), (&limit, Type::INT8)];
    let rows = client.query_typed(&sql, &parameters).await?;
    rows.iter().map(read).collect()
}

/// The asset metric with this name.
pub async fn get_readable(
    store: &Store,
    tenant: TenantId,
    name: &str,
) -> Result<Option<ReadableMetric>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- get_readable\nSELECT {COLUMNS} FROM asset_metric WHERE tenant_id = $1 AND name = $2
         GROUP BY name"
    );
    let rows = client.query_typed(&sql, &[(&tenant.0, Type::UUID), (&name, Type::TEXT)]).await?;
    rows.first().map(read).transpose()
}

/// Counts the asset metrics that a tenant can read.
pub async fn count_readable(store: &Store, tenant: TenantId) -> Result<i64, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- count_readable\nSELECT count(DISTINCT name) FROM asset_metric WHERE tenant_id = $1",
            &[(&tenant.0, Type::UUID)],
        )
        .await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}
