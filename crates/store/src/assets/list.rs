//! The metrics of an asset in a range of time.

use std::time::SystemTime;

use flowmeter_core::ids::{AssetId, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::names::{Names, of_asset, with_names};
use super::stored::{COLUMNS, StoredValue};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// A question for the metrics of an asset.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Of which asset.
    pub asset: AssetId,
    /// Of which names; of all where there are none.
    pub names: Vec<String>,
    /// The first time.
    pub from: Timestamp,
    /// The last time, which belongs to the range as well.
    pub to: Timestamp,
    /// Of the first time only what came after this.
    pub after: Option<Arrival>,
    /// Times at most; fewer are read where the asset has many names.
    pub times: i64,
    /// Metrics at most.
    pub metrics: i64,
    /// Bytes of names and texts, after which nothing more is read.
    pub max_bytes: i64,
}

/// By what the metrics of one time are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The oldest request that gave the metric at that time.
    pub request: RequestId,
    /// Its place among the values of that request and time.
    pub place: i16,
    /// The name.
    pub name: String,
}

/// A metric at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMetric {
    /// The time.
    pub timestamp: Timestamp,
    /// When its name first came, and the name.
    pub arrival: Arrival,
    /// The value.
    pub value: StoredValue,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMetrics {
    /// The metrics by time and arrival.
    pub metrics: Vec<FoundMetric>,
    /// How many times were read at most: where there are so many, there may be more.
    pub times: i64,
}

/// Rows that are read at most, unless there are so many names that this is not even [`MIN_TIMES`] of each.
const MAX_ROWS: i64 = 20_000;
/// Times that are read at least: the second one tells that there is more than the first.
const MIN_TIMES: i64 = 2;

/// The order of a list. A name is at a time once, so it is the same each time.
const ORDER: &str = " ORDER BY \"timestamp\", first_request_id, first_place, name";

/// Lists the metrics of an asset by time and arrival.
///
/// The first rows of each name have all the rows of the first times, so it reads no more than these: as many
/// rows as there are names, times the times that are read, however long the history is. Where metrics come
/// together most of these rows could not be shown, so the more names there are, the fewer times are read.
pub async fn list_asset_metrics(
    store: &Store,
    tenant: TenantId,
    question: &Metrics,
) -> Result<FoundMetrics, StoreError> {
    let Metrics { asset, names, from, to, after, times, metrics, max_bytes } = question;
    let mut sql = Sql::new("-- list_asset_metrics\n");
    with_names(&mut sql, &Names { tenant, asset: *asset, only: names, after: "", limit: i64::MAX });
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
