//! Lists of events: filtered, searched, in any order, page by page.
//!
//! A page continues after the last event of the previous page, by the values of its order keys and its id. So
//! it stays correct while events arrive.

mod rare_page;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::{Field, TextField};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::label_sets::{PageStart, RareLabels, Reads, push_events, rare_labels};
use super::{SELECT, StoredEvent, read};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};
use rare_page::read_rare_page;

/// Selects events.
#[derive(Debug, Clone)]
pub struct EventSelection {
    /// The time range.
    pub range: TimeRange,
    /// The filter that they must satisfy.
    pub filter: Filter,
    /// Words that must all occur in an event, with A to Z in lower case.
    pub words: Vec<String>,
}

/// A criterion by which events are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    /// The timestamp, which is the order of the ids.
    Timestamp,
    /// A field; events without it come first.
    Field(Field),
}

/// A key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey {
    /// The criterion.
    pub by: OrderBy,
    /// Whether the order is descending.
    pub descending: bool,
}

/// The position of an event in a list: the values of its order keys, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPosition {
    /// The values of the fields by which the list is ordered, as text.
    pub keys: Vec<String>,
    /// The event.
    pub id: EventId,
}

/// A query for a page of a list.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events to list.
    pub list: EventSelection,
    /// The order. A timestamp key must be the last one. Events with equal keys are in the order of their ids.
    pub order: Vec<OrderKey>,
    /// The position after which the page begins. None for the first page.
    pub after: Option<EventPosition>,
    /// The maximum number of events.
    pub limit: i64,
}

/// An event of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedEvent {
    /// The event.
    pub event: StoredEvent,
    /// Its position in the list.
    pub position: EventPosition,
}

/// Lists events.
pub async fn list_events(
    store: &Store,
    tenant: TenantId,
    page: &EventPage,
) -> Result<Vec<ListedEvent>, StoreError> {
    let (fields, descending) = (page.fields(), page.ids_descend());
    // Only a page in the order of ids is read in that order.
    let reads = if fields.is_empty() {
        Reads::Page(PageStart { after: page.after.as_ref().map(|place| place.id), descending })
    } else {
        Reads::All
    };
    let mut snapshot = Snapshot::new(store);
    let rare = page.list.rare_labels(&mut snapshot, tenant, reads).await?;
    let rows = match (reads, &rare) {
        (Reads::Page(start), Some(labels)) if labels.has_indexed_weeks() => {
            read_rare_page(snapshot, tenant, page, start, labels).await?
        }
        _ => statement(tenant, page, reads, rare.as_ref()).query_last(snapshot).await?,
    };
    let listed = |row: &tokio_postgres::Row| {
        let event = read(row);
        let first_key = row.len() - fields.len();
        let keys = (first_key..row.len()).map(|index| row.get(index)).collect();
        ListedEvent { position: EventPosition { keys, id: event.id }, event }
    };
    Ok(rows.iter().map(listed).collect())
}

/// The statement that reads a page.
fn statement(tenant: TenantId, page: &EventPage, reads: Reads, rare: Option<&RareLabels>) -> Sql {
    let (fields, ids_descending) = (page.fields(), page.ids_descend());
    let mut sql = Sql::new("-- list_events\nSELECT ");
    sql.push(&SELECT);
    for (field, _) in &fields {
        sql.push(", (");
        push_key(&mut sql, field);
        sql.push(")::text");
    }
    let id = push_list(&mut sql, tenant, &page.list, reads, rare);
    if let Some(place) = page.after.as_ref().filter(|_| reads == Reads::All) {
        push_after(&mut sql, &fields, ids_descending, place);
    }
    sql.push(" ORDER BY ");
    for (field, descending) in &fields {
        push_key(&mut sql, field);
        sql.push(if *descending { " DESC, " } else { ", " });
    }
    sql.push(id).push(if ids_descending { " DESC" } else { "" });
    sql.push(" LIMIT ").value(page.limit, Type::INT8);
    sql
}

/// Counts the events of a list.
pub async fn count_events(store: &Store, tenant: TenantId, list: &EventSelection) -> Result<i64, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let rare = list.rare_labels(&mut snapshot, tenant, Reads::All).await?;
    let mut sql = Sql::new("-- count_events\nSELECT count(*)");
    push_list(&mut sql, tenant, list, Reads::All, rare.as_ref());
    let rows = sql.query_last(snapshot).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

fn field(key: &OrderKey) -> Option<&Field> {
    match &key.by {
        OrderBy::Timestamp => None,
        OrderBy::Field(field) => Some(field),
    }
}

impl EventPage {
    /// The fields by which the list is ordered, each with whether the order is descending.
    fn fields(&self) -> Vec<(&Field, bool)> {
        self.order.iter().filter_map(|key| Some((field(key)?, key.descending))).collect()
    }

    /// Whether events with equal fields are in descending order of their ids.
    fn ids_descend(&self) -> bool {
        self.order.last().is_some_and(|key| field(key).is_none() && key.descending)
    }
}

impl EventSelection {
    /// The label sets that satisfy the filter, if they are rare enough that most events need not be read.
    pub(super) async fn rare_labels(
        &self,
        snapshot: &mut Snapshot<'_>,
        tenant: TenantId,
        reads: Reads,
    ) -> Result<Option<RareLabels>, StoreError> {
        rare_labels(snapshot, tenant, self.range, &self.filter, reads).await
    }
}

/// `FROM … WHERE …` of the events of a list. Returns the column that orders them by id.
pub(super) fn push_list(
    sql: &mut Sql,
    tenant: TenantId,
    list: &EventSelection,
    reads: Reads,
    rare: Option<&RareLabels>,
) -> &'static str {
    let id = push_events(sql, tenant, list.range, reads, rare);
    push_demands(sql, list);
    id
}

/// ` AND` an event satisfies the selection, apart from the time range.
fn push_demands(sql: &mut Sql, list: &EventSelection) {
    sql.matching(&list.filter);
    if list.words.is_empty() {
        return;
    }
    // Each word must occur in the concatenation of all texts. A word cannot contain the separator.
    sql.push(" AND (SELECT bool_and(strpos(everything, word) > 0) FROM (SELECT lower(concat_ws(E'\\n'");
    for field in TextField::ALL {
        sql.push(", ").field(&Field::Text(field));
    }
    sql.push(", (SELECT string_agg(value, E'\\n') FROM jsonb_each_text(attributes))) COLLATE \"C\")");
    sql.push(" AS everything OFFSET 0) AS text, unnest(").value(list.words.clone(), Type::TEXT_ARRAY);
    sql.push(") AS word)");
}

/// The sort key of a field. It is never NULL: an absent value is less than any other.
fn push_key(sql: &mut Sql, field: &Field) {
    sql.push("coalesce(").field(field);
    sql.push(match field {
        Field::Text(_) | Field::Attribute(_) => ", '') COLLATE \"C\"",
        // None of these is negative.
        Field::HttpStatus | Field::Duration | Field::ResponseSize => ", -1)::numeric",
        Field::Value => ", '-Infinity'::numeric)",
    });
}

/// ` AND` the event comes after a position.
fn push_after(sql: &mut Sql, fields: &[(&Field, bool)], ids_descending: bool, place: &EventPosition) {
    let value = |sql: &mut Sql, index: usize| {
        sql.value(place.keys[index].clone(), Type::TEXT);
        if matches!(fields[index].0, Field::Text(_) | Field::Attribute(_)) {
            sql.push("::text");
        } else {
            sql.push("::text::numeric");
        }
    };
    sql.push(" AND (");
    for (index, (field, descending)) in fields.iter().enumerate() {
        push_equal_keys(sql, &fields[..index], &value);
        push_key(sql, field);
        sql.push(if *descending { " < " } else { " > " });
        value(sql, index);
        sql.push(" OR ");
    }
    push_equal_keys(sql, fields, &value);
    sql.push(if ids_descending { "id < " } else { "id > " }).value(place.id.0, Type::UUID);
    sql.push(")");
}

fn push_equal_keys(sql: &mut Sql, fields: &[(&Field, bool)], value: &impl Fn(&mut Sql, usize)) {
    for (index, (field, _)) in fields.iter().enumerate() {
        push_key(sql, field);
        sql.push(" = ");
        value(sql, index);
        sql.push(" AND ");
    }
}

impl EventPosition {
    /// A position in a list with this order. None if the keys do not fit the order, such as text for a
    /// number.
    #[must_use]
    pub fn new(keys: Vec<String>, id: Uuid, order: &[OrderKey]) -> Option<Self> {
        let fields: Vec<_> = order.iter().filter_map(field).collect();
        let fits = |(key, field): (&String, &&Field)| match field {
            Field::Text(_) | Field::Attribute(_) => !key.contains('\0'),
            Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
                key == "-Infinity" || Quantity::parse_kept(key).is_ok()
            }
        };
        let all_fit = keys.len() == fields.len() && keys.iter().zip(&fields).all(fits);
        all_fit.then_some(Self { keys, id: EventId(id) })
    }
}
