//! Stored usage events: how they are written, found and listed.

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::{TextField, UsageEvent};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::copy;
use crate::sql::Sql;
use crate::{Store, StoreError};

/// The columns in the order in which [`write`] writes them.
const COLUMN_NAMES: [&str; 17] = [
    "tenant_id",
    "id",
    "provider",
    "action",
    "application",
    "detail",
    "environment",
    "invocation_id",
    "method",
    "service",
    "type",
    "\"user\"",
    "httpstatus",
    "duration",
    "response_size",
    "value",
    "attributes",
];
/// The number of columns that [`write`] writes.
pub(crate) const COLUMNS: i16 = 17;
/// The columns of the key come first.
const KEY_COLUMNS: usize = 2;

/// A stored usage event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its id, which carries its timestamp.
    pub id: EventId,
    /// The fields of text by [`TextField`]; empty where absent.
    pub texts: [String; TextField::ALL.len()],
    /// The HTTP status code.
    pub http_status: Option<i16>,
    /// The execution time in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the response in bytes.
    pub response_bytes: Option<i64>,
    /// The value as a decimal without trailing zeros.
    pub value: Option<String>,
    /// Further attributes.
    pub attributes: Vec<(String, String)>,
}

pub(crate) fn copy_statement(table: &str, further: &str) -> String {
    format!("-- copy_events\nCOPY {table} ({}{further}) FROM STDIN (FORMAT binary)", COLUMN_NAMES.join(", "))
}

/// Moves the first of each id of the temporary table to where it is missing, and
/// returns the keys of those that moved.
pub(crate) fn insert_incoming_statement() -> String {
    let columns = COLUMN_NAMES.join(", ");
    format!(
        "-- insert_incoming
         INSERT INTO usage_event ({columns})
         SELECT DISTINCT ON (id, tenant_id) {columns} FROM incoming_event ORDER BY id, tenant_id, ordinal
         ON CONFLICT DO NOTHING
         RETURNING tenant_id, id"
    )
}

/// For each of the given ordinals of the temporary table whether its content is not the
/// stored one.
pub(crate) fn compare_incoming_statement() -> String {
    let columns = |of: &str| {
        let columns: Vec<_> =
            COLUMN_NAMES[KEY_COLUMNS..].iter().map(|column| format!("{of}.{column}")).collect();
        columns.join(", ")
    };
    format!(
        "-- compare_incoming
         SELECT incoming.ordinal, ({}) IS DISTINCT FROM ({})
         FROM incoming_event AS incoming JOIN usage_event AS stored USING (tenant_id, id)
         WHERE incoming.ordinal = ANY ($1)",
        columns("incoming"),
        columns("stored")
    )
}

/// Writes an event as a row of [`COLUMNS`] columns.
pub(crate) fn write(
    row: &mut copy::Row<'_>,
    tenant: TenantId,
    id: EventId,
    event: &UsageEvent<'_>,
    scratch: &mut Vec<u8>,
) {
    row.uuid(tenant.0);
    row.uuid(id.0);
    for text in event.texts {
        row.text(text);
    }
    row.smallint(event.http_status.map(|status| i16::try_from(status).expect("limits keep it under 1000")));
    row.bigint(event.duration_ms);
    row.bigint(event.response_bytes);
    match event.value {
        Some(value) => row.numeric(value),
        None => row.null(),
    }
    row.json_object(&event.attributes, scratch);
}

fn select() -> String {
    let columns = COLUMN_NAMES[1..].join(", ");
    columns.replace("value", "trim_scale(value)::text")
}

fn read(row: &Row) -> StoredEvent {
    let texts = std::array::from_fn(|index| row.get::<_, Option<String>>(1 + index).unwrap_or_default());
    let after = 1 + TextField::ALL.len();
    let attributes: Option<serde_json::Value> = row.get(after + 4);
    let attributes = match attributes {
        Some(serde_json::Value::Object(entries)) => {
            entries.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
        }
        _ => Vec::new(),
    };
    StoredEvent {
        id: EventId(row.get(0)),
        texts,
        http_status: row.get(after),
        duration_ms: row.get(after + 1),
        response_bytes: row.get(after + 2),
        value: row.get(after + 3),
        attributes,
    }
}

/// The event of that id, if there is one.
pub async fn get_event(
    store: &Store,
    tenant: TenantId,
    id: EventId,
) -> Result<Option<StoredEvent>, StoreError> {
    let statement =
        format!("-- get_event\nSELECT {} FROM usage_event WHERE tenant_id = $1 AND id = $2", select());
    let client = store.client().await?;
    let rows = client.query_typed(&statement, &[(&tenant.0, Type::UUID), (&id.0, Type::UUID)]).await?;
    Ok(rows.first().map(read))
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The range of time.
    pub range: TimeRange,
    /// Which events.
    pub filter: Filter,
    /// The last event of the page before.
    pub after: Option<EventId>,
    /// Newest first.
    pub descending: bool,
    /// Events at most.
    pub limit: i64,
}

/// Lists events by time.
pub async fn list_events(
    store: &Store,
    tenant: TenantId,
    page: &Page,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut sql = Sql::new(format!("-- list_events\nSELECT {} FROM usage_event", select()));
    sql.push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.ids_within(page.range);
    if let Some(after) = page.after {
        sql.push(if page.descending { " AND id < " } else { " AND id > " }).value(after.0, Type::UUID);
    }
    sql.matching(&page.filter);
    sql.push(if page.descending { " ORDER BY id DESC" } else { " ORDER BY id" });
    sql.push(" LIMIT ").value(page.limit, Type::INT8);
    let rows = sql.query(store).await?;
    Ok(rows.iter().map(read).collect())
}
