//! The metrics of an asset in a time range.

use std::time::SystemTime;

use flowmeter_core::ids::{AssetId, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::names::{MetricNames, of_asset, with_names};
use super::stored::{COLUMNS, StoredValue};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// A query for the metrics of an asset.
#[derive(Debug, Clone)]
pub struct AssetMetricsQuery {
    /// The asset.
    pub asset: AssetId,
    /// The names of the metrics; all metrics if empty.
    pub names: Vec<String>,
    /// The first time.
    pub from: Timestamp,
    /// The last time, inclusive.
    pub to: Timestamp,
    /// The metrics of the first time begin after this one. None for the first page.
    pub after: Option<Arrival>,
    /// The maximum number of times. Fewer are read if the asset has many names.
    pub times: i64,
    /// The maximum number of metrics.
    pub metrics: i64,
    /// Stops after this many bytes of names and texts.
    pub max_bytes: i64,
}

/// The order of the metrics of one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The oldest request that emitted the metric at that time.
    pub request: RequestId,
    /// The place of the value among the values of the same time in the same request.
    pub place: i16,
    /// The name.
    pub name: String,
}

/// A metric at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMetric {
    /// The time.
    pub timestamp: Timestamp,
    /// When the metric was first emitted, and its name.
    pub arrival: Arrival,
    /// The value.
    pub value: StoredValue,
}

/// A page of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMetrics {
    /// The metrics, by time and arrival.
    pub metrics: Vec<FoundMetric>,
    /// The maximum number of times that were read. If the page has that many, there may be more.
    pub times: i64,
}

/// The maximum number of rows that are read, unless [`MIN_TIMES`] for each name are more.
const MAX_ROWS: i64 = 20_000;
/// The minimum number of times that are read. The second one shows that there are more than one.
const MIN_TIMES: i64 = 2;

/// The order of a list. It is total, because each name occurs once at a time.
const ORDER: &str = " ORDER BY \"timestamp\", first_request_id, first_place, name";

/// Lists the metrics of an asset by time and arrival.
///
/// All rows of the first N times are among the first N rows of each name. So the list reads at most N rows
/// for each name, however long the history is. If metrics are emitted together most of these rows would not
/// fit on the page, so fewer times are read the more names there are.
pub async fn list_asset_metrics(
    store: &Store,
    tenant: TenantId,
    query: &AssetMetricsQuery,
) -> Result<FoundMetrics, StoreError> {
    let AssetMetricsQuery { asset, names, from, to, after, times, metrics, max_bytes } = query;
    let mut sql = Sql::new("-- list_asset_metrics\n");
    with_names(&mut sql, &MetricNames { tenant, asset: *asset, only: names, after: "", limit: i64::MAX });
    sql.push(",\nlimits (times) AS (SELECT least(").value(*times, Type::INT8).push(", greatest(");
    sql.value(MIN_TIMES, Type::INT8).push(", ").value(MAX_ROWS, Type::INT8);
    sql.push(" / greatest(count(name), 1))) FROM metric)");
    sql.push("\nSELECT name, \"timestamp\", first_request_id, first_place, (SELECT times FROM limits), ");
    sql.push(COLUMNS);
    sql.push("\nFROM (SELECT *, dense_rank() OVER (ORDER BY \"timestamp\") AS time,");
    sql.push(" sum(octet_length(name) + coalesce(octet_length(\"text\"), 0)) OVER (").push(ORDER);
    sql.push(" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before");
    sql.push("\nFROM (SELECT of_name.* FROM metric, LATERAL (SELECT name, \"timestamp\",");
    sql.push(" coalesce(first_request_id, request_id) AS first_request_id, first_place,");
    sql.push(" \"boolean\", \"number\", \"text\" FROM asset_value");
    of_asset(&mut sql, tenant, *asset);
    sql.push(" AND name = metric.name");
    sql.push(" AND \"timestamp\" >= ").value(SystemTime::from(*from), Type::TIMESTAMPTZ);
    sql.push(" AND \"timestamp\" <= ").value(SystemTime::from(*to), Type::TIMESTAMPTZ);
    if let Some(Arrival { request, place, name }) = after {
        sql.push(" AND (\"timestamp\" > ").value(SystemTime::from(*from), Type::TIMESTAMPTZ);
        sql.push(" OR (coalesce(first_request_id, request_id), first_place, name) > (");
        sql.value(request.0, Type::UUID).push(", ").value(*place, Type::INT2).push(", ");
        sql.value(name.clone(), Type::TEXT).push("))");
    }
    sql.push(" ORDER BY \"timestamp\" LIMIT (SELECT times FROM limits)) AS of_name");
    sql.push("\n").push(ORDER).push(" LIMIT ").value(*metrics, Type::INT8).push(") AS found) AS measured");
    sql.push("\nWHERE time <= (SELECT times FROM limits)");
    sql.push(" AND coalesce(bytes_before, 0) <= ").value(*max_bytes, Type::INT8).push(ORDER);
    let rows = sql.query_prepared(store).await?;
    let metrics = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(FoundMetrics { metrics, times: rows.first().map_or(*times, |row| row.get(4)) })
}

fn read(row: &Row) -> Result<FoundMetric, StoreError> {
    Ok(FoundMetric {
        timestamp: Timestamp::from(row.get::<_, SystemTime>(1)),
        arrival: Arrival { request: RequestId(row.get(2)), place: row.get(3), name: row.get(0) },
        value: StoredValue::read(row, 5)?,
    })
}
