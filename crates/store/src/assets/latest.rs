//! The current values of an asset.

use std::time::SystemTime;

use flowmeter_core::ids::{AssetId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::names::{Names, of_asset, with_names};
use super::stored::{COLUMNS, StoredValue};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// A question for current values.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Of which asset.
    pub asset: AssetId,
    /// Of which metrics; of all where there are none.
    pub names: Vec<String>,
    /// The last name of the page before; empty for the first page.
    pub after: String,
    /// Metrics at most.
    pub limit: i64,
    /// Bytes of names and texts, after which nothing more is read.
    pub max_bytes: i64,
}

/// The current value of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestMetric {
    /// The name.
    pub name: String,
    /// The time of the value, which is the latest.
    pub timestamp: Timestamp,
    /// The value.
    pub value: StoredValue,
}

/// The current values of an asset by name, in the order of its bytes.
pub async fn latest_asset_metrics(
    store: &Store,
    tenant: TenantId,
    question: &Latest,
) -> Result<Vec<LatestMetric>, StoreError> {
    let Latest { asset, names, after, limit, max_bytes } = question;
    let mut sql = Sql::new("-- latest_asset_metrics\n");
    with_names(&mut sql, &Names { tenant, asset: *asset, only: names, after, limit: *limit });
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
