//! Stored usage events: writing, finding and listing them.

pub(crate) mod label_sets;
mod list;
mod values;

use std::sync::LazyLock;

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::usage::{TextField, UsageEvent};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::copy;
use crate::{Store, StoreError};

pub use label_sets::LabelSetIndexes;
pub use list::{
    EventPage, EventPosition, EventSelection, ListedEvent, OrderBy, OrderKey, count_events, list_events,
};
pub use values::{FieldValue, FieldValuesQuery, list_field_values};

/// The columns in the order in which [`write`] writes them.
const COLUMN_NAMES: [&str; 19] = [
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
    "generation",
    "label_set",
];
/// The number of columns that [`write`] writes.
pub(crate) const COLUMNS: i16 = 19;
/// The columns with the content of an event, between the key and the generation.
const CONTENT: std::ops::Range<usize> = 2..17;

/// A stored usage event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its id, which carries its timestamp.
    pub id: EventId,
    /// The text fields by [`TextField`]; empty if absent.
    pub texts: [String; TextField::ALL.len()],
    /// The HTTP status code.
    pub http_status: Option<i16>,
    /// The execution time in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the response in bytes.
    pub response_bytes: Option<i64>,
    /// The value as a decimal without trailing zeros.
    pub value: Option<String>,
    /// Further attributes by ascending name.
    pub attributes: Vec<(String, String)>,
}

impl StoredEvent {
    /// The event as it was reported, except for the name that its sender gave it.
    pub fn borrowed(&self) -> Result<UsageEvent<'_>, StoreError> {
        let attributes = self.attributes.iter();
        let value = self.value.as_deref().map(Quantity::parse_kept).transpose().map_err(|error| {
            StoreError::Refused(format!("event {} has an unreadable value: {error}", self.id))
        })?;
        Ok(UsageEvent {
            event_id: "",
            timestamp: Some(self.id.timestamp()),
            texts: std::array::from_fn(|index| self.texts[index].as_str()),
            http_status: self.http_status.map(i32::from),
            duration_ms: self.duration_ms,
            response_bytes: self.response_bytes,
            value,
            attributes: attributes.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        })
    }
}

pub(crate) fn copy_statement(table: &str, further: &str) -> String {
    format!("-- copy_events\nCOPY {table} ({}{further}) FROM STDIN (FORMAT binary)", COLUMN_NAMES.join(", "))
}

/// Inserts the first event of each id in the temporary table, unless the id exists already. Returns the keys of the
/// inserted events.
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

/// Returns, for each of the given ordinals of the temporary table, whether its content differs from the stored event.
pub(crate) fn compare_incoming_statement() -> String {
    let columns = |of: &str| {
        let columns: Vec<_> = COLUMN_NAMES[CONTENT].iter().map(|column| format!("{of}.{column}")).collect();
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

/// The columns of an event's row that do not come from the event itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventContext {
    /// The tenant that owns the event.
    pub tenant: TenantId,
    /// The generation of metrics by which the event is rolled up. None if the tenant has only built-in metrics.
    pub generation: Option<i32>,
    /// The number of the event's label set.
    pub label_set: i32,
}

/// Writes an event as a row of [`COLUMNS`] columns.
pub(crate) fn write(
    row: &mut copy::CopyRow<'_>,
    context: EventContext,
    id: EventId,
    event: &UsageEvent<'_>,
    scratch: &mut Vec<u8>,
) {
    row.uuid(context.tenant.0);
    row.uuid(id.0);
    for text in event.texts {
        row.text(text);
    }
    row.smallint(event.http_status.map(|status| i16::try_from(status).expect("limits keep it under 1000")));
    row.bigint(event.duration_ms);
    row.bigint(event.response_bytes);
    match event.value {
        Some(value) => row.quantity(value),
        None => row.null(),
    }
    row.json_object(&event.attributes, scratch);
    match context.generation {
        Some(generation) => row.integer(generation),
        None => row.null(),
    }
    row.integer(context.label_set);
}

/// The list of columns that [`read`] reads.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    let shown = |column: &&'static str| match *column {
        "value" => "trim_scale(value)::text",
        column => column,
    };
    COLUMN_NAMES[1..CONTENT.end].iter().map(shown).collect::<Vec<_>>().join(", ")
});

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

/// The event with this id.
pub async fn get_event(
    store: &Store,
    tenant: TenantId,
    id: EventId,
) -> Result<Option<StoredEvent>, StoreError> {
    let statement =
        format!("-- get_event\nSELECT {} FROM usage_event WHERE tenant_id = $1 AND id = $2", *SELECT);
    let client = store.client().await?;
    let rows = client.query_typed(&statement, &[(&tenant.0, Type::UUID), (&id.0, Type::UUID)]).await?;
    Ok(rows.first().map(read))
}

/// The events of a provider, after the first id and up to the second one, that were rolled up in an earlier
/// generation than this one.
pub(crate) async fn pending_backfill(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    generation: i32,
    provider: &str,
    after: EventId,
    through: Option<EventId>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let statement = format!(
        "-- pending_backfill
         SELECT {} FROM usage_event
         WHERE tenant_id = $1 AND id > $2 AND id <= $3 AND provider = $4
           AND (generation IS NULL OR generation < $5)",
        *SELECT
    );
    let through = through.map_or(Uuid::max(), |id| id.0);
    let rows = transaction
        .query_typed(
            &statement,
            &[
                (&tenant.0, Type::UUID),
                (&after.0, Type::UUID),
                (&through, Type::UUID),
                (&provider, Type::TEXT),
                (&generation, Type::INT4),
            ],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}
