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
    /// Times at most.
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

/// The order of a list. A name is at a time once, so it is the same each time.
const ORDER: &str = " ORDER BY \"timestamp\", first_request_id, first_place, name";

/// Lists the metrics of an asset by time and arrival.
///
/// The first rows of each name have all the rows of the first times, so it reads no more than these: as many
/// rows as there are names, times the times that are asked for, however long the history is.
pub async fn list_asset_metrics(
    store: &Store,
    tenant: TenantId,
    question: &Metrics,
) -> Result<Vec<FoundMetric>, StoreError> {
    let Metrics { asset, names, from, to, after, times, metrics, max_bytes } = question;
    let mut sql = Sql::new("-- list_asset_metrics\n");
    with_names(&mut sql, &Names { tenant, asset: *asset, only: names, after: "", limit: i64::MAX });
    sql.push("\nSELECT name, \"timestamp\", first_request_id, first_place, ").push(COLUMNS);
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
    sql.push(" ORDER BY \"timestamp\" LIMIT ").value(*times, Type::INT8).push(") AS of_name");
    sql.push("\n").push(ORDER).push(" LIMIT ").value(*metrics, Type::INT8).push(") AS found) AS measured");
    sql.push("\nWHERE time <= ").value(*times, Type::INT8);
    sql.push(" AND coalesce(bytes_before, 0) <= ").value(*max_bytes, Type::INT8).push(ORDER);
    sql.query_prepared(store).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<FoundMetric, StoreError> {
    Ok(FoundMetric {
        timestamp: Timestamp::from(row.get::<_, SystemTime>(1)),
        arrival: Arrival { request: RequestId(row.get(2)), place: row.get(3), name: row.get(0) },
        value: StoredValue::read(row, 4)?,
    })
}
