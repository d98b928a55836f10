//! The current values of an asset.

use std::time::SystemTime;

use flowmeter_core::ids::{AssetId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::names::{MetricNames, of_asset, with_names};
use super::stored::{COLUMNS, StoredValue};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// A query for the current values of an asset.
#[derive(Debug, Clone)]
pub struct LatestMetricsQuery {
    /// The asset.
    pub asset: AssetId,
    /// The names of the metrics; all metrics if empty.
    pub names: Vec<String>,
    /// The last name of the previous page; empty for the first page.
    pub after: String,
    /// The maximum number of metrics.
    pub limit: i64,
    /// Stops after this many bytes of names and texts.
    pub max_bytes: i64,
}

/// The current value of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestMetric {
    /// The name.
    pub name: String,
    /// The time of the value, which is the latest time of the metric.
    pub timestamp: Timestamp,
    /// The value.
    pub value: StoredValue,
}

/// Lists the current values of an asset, in byte order of the names.
pub async fn latest_asset_metrics(
    store: &Store,
    tenant: TenantId,
    query: &LatestMetricsQuery,
) -> Result<Vec<LatestMetric>, StoreError> {
    let LatestMetricsQuery { asset, names, after, limit, max_bytes } = query;
    let mut sql = Sql::new("-- latest_asset_metrics\n");
    with_names(&mut sql, &MetricNames { tenant, asset: *asset, only: names, after, limit: *limit });
    sql.push("\nSELECT name, \"timestamp\", ").push(COLUMNS);
    sql.push("\nFROM (SELECT *, sum(octet_length(name) + coalesce(octet_length(\"text\"), 0)) OVER");
    sql.push(" (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before");
    sql.push("\nFROM (SELECT latest.* FROM metric, LATERAL (");
    sql.push("SELECT name, \"timestamp\", \"boolean\", \"number\", \"text\" FROM asset_value");
    of_asset(&mut sql, tenant, *asset);
    sql.push(" AND name = metric.name ORDER BY \"timestamp\" DESC LIMIT 1) AS latest");
    sql.push("\nORDER BY name LIMIT ").value(*limit, Type::INT8).push(") AS found) AS measured");
    sql.push("\nWHERE coalesce(bytes_before, 0) <= ").value(*max_bytes, Type::INT8).push(" ORDER BY name");
    sql.query_prepared(store).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<LatestMetric, StoreError> {
    Ok(LatestMetric {
        name: row.get(0),
        timestamp: Timestamp::from(row.get::<_, SystemTime>(1)),
        value: StoredValue::read(row, 2)?,
    })
}
