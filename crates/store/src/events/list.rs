//! Lists of events: filtered, searched, in any order, page by page.
//!
//! A page continues after the last event of the previous page, by the values of its order keys and its id. So
//! it stays correct while events arrive.

mod by_fields;
mod by_id;

use std::collections::HashMap;
use std::sync::Arc;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use flowmeter_segment::{Corrupt, Event};
use uuid::Uuid;

use super::scan::{Columns, Evaluation, SegmentKey, SegmentRow, Wanted, evaluate, evaluate_keys, ids_within};
use crate::sql::Snapshot;
use crate::{Store, StoreError};

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
    /// The values of the fields by which the list is ordered.
    pub keys: Vec<SortKey>,
    /// The event.
    pub id: EventId,
}

/// The value of a field by which a list is ordered. An absent value is less than any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// No number.
    Absent,
    /// A number.
    Number(Quantity),
    /// A text; empty if absent.
    Text(String),
}

/// How an absent number is written.
const ABSENT: &str = "-Infinity";

impl SortKey {
    /// The key as text, which [`parse`](Self::parse) reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Absent => ABSENT.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// The key of a field. None if the text does not fit the field.
    #[must_use]
    pub fn parse(field: &Field, text: String) -> Option<Self> {
        match field {
            Field::Text(_) | Field::Attribute(_) => Some(Self::Text(text)),
            Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
                if text == ABSENT {
                    return Some(Self::Absent);
                }
                Quantity::parse_kept(&text).ok().map(Self::Number)
            }
        }
    }
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
    pub limit: usize,
}

/// An event of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedEvent {
    /// The event.
    pub event: Event,
    /// Its position in the list.
    pub position: EventPosition,
}

impl EventSelection {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted { ids: ids_within(self.range), filter: self.filter.clone(), words: self.words.clone() }
    }
}

impl EventPage {
    /// The fields by which the list is ordered, each with whether the order is descending.
    fn fields(&self) -> Vec<(Field, bool)> {
        let field = |key: &OrderKey| match &key.by {
            OrderBy::Timestamp => None,
            OrderBy::Field(field) => Some((field.clone(), key.descending)),
        };
        self.order.iter().filter_map(field).collect()
    }

    /// Whether events with equal fields are in descending order of their ids.
    fn ids_descend(&self) -> bool {
        self.order.last().is_some_and(|key| key.by == OrderBy::Timestamp && key.descending)
    }
}

impl EventPosition {
    /// A position in a list with this order. None if the keys do not fit the order, such as text for a
    /// number.
    #[must_use]
    pub fn new(keys: Vec<String>, id: Uuid, order: &[OrderKey]) -> Option<Self> {
        let fields = order.iter().filter_map(|key| match &key.by {
            OrderBy::Timestamp => None,
            OrderBy::Field(field) => Some(field),
        });
        let fields: Vec<_> = fields.collect();
        if keys.len() != fields.len() {
            return None;
        }
        let keys = fields.into_iter().zip(keys).map(|(field, key)| SortKey::parse(field, key));
        Some(Self { keys: keys.collect::<Option<_>>()?, id: EventId(id) })
    }
}

/// An event that was found, before its content is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    position: EventPosition,
    segment: SegmentKey,
    /// Its index in the segment.
    index: usize,
}

/// Lists events.
pub async fn list_events(
    store: &Store,
    tenant: TenantId,
    page: &EventPage,
) -> Result<Vec<ListedEvent>, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let candidates = if page.fields().is_empty() {
        by_id::candidates(store, &mut snapshot, tenant, page).await?
    } else {
        by_fields::candidates(store, &mut snapshot, tenant, page).await?
    };
    let listed = contents(store, &mut snapshot, tenant, candidates).await?;
    snapshot.end().await?;
    Ok(listed)
}

/// The event with this id.
pub async fn get_event(store: &Store, tenant: TenantId, id: EventId) -> Result<Option<Event>, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let candidates = by_id::with_id(store, &mut snapshot, tenant, id).await?;
    let mut listed = contents(store, &mut snapshot, tenant, candidates).await?;
    snapshot.end().await?;
    Ok(listed.pop().map(|listed| listed.event))
}

/// Reads the contents of events, in the given order.
async fn contents(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    candidates: Vec<Candidate>,
) -> Result<Vec<ListedEvent>, StoreError> {
    let mut chosen: HashMap<SegmentKey, Vec<usize>> = HashMap::new();
    for candidate in &candidates {
        chosen.entry(candidate.segment).or_default().push(candidate.index);
    }
    let mut events = read_places(store, snapshot, tenant, chosen).await?;
    let listed = candidates.into_iter().filter_map(|Candidate { position, segment, index }| {
        let event = events.remove(&(segment, index))?;
        Some(ListedEvent { event, position })
    });
    Ok(listed.collect())
}

/// Reads the events at some places of segments.
pub(super) async fn read_places(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    chosen: HashMap<SegmentKey, Vec<usize>>,
) -> Result<HashMap<(SegmentKey, usize), Event>, StoreError> {
    let keys: Vec<_> = chosen.keys().copied().collect();
    let mut events = HashMap::new();
    if !keys.is_empty() {
        let contents = Arc::new(Contents { chosen });
        evaluate_keys(store, snapshot, (tenant, &keys), &contents, &mut events).await?;
    }
    Ok(events)
}

/// Reads some events of segments.
struct Contents {
    chosen: HashMap<SegmentKey, Vec<usize>>,
}

impl Evaluation for Contents {
    type Found = HashMap<(SegmentKey, usize), Event>;

    fn columns(&self) -> Columns {
        Columns::ALL
    }

    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let key = segment.key();
        let Some(positions) = self.chosen.get(&key) else { return Ok(()) };
        let events = segment.reader()?.rows(positions.iter().copied())?;
        found.extend(positions.iter().map(|position| (key, *position)).zip(events));
        Ok(())
    }

    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError> {
        found.extend(other);
        Ok(())
    }
}

/// Counts the events of a list.
pub async fn count_events(store: &Store, tenant: TenantId, list: &EventSelection) -> Result<i64, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let wanted = list.wanted();
    let ids = wanted.ids.clone();
    let mut count = 0;
    evaluate(store, &mut snapshot, (tenant, &ids), &Arc::new(Count(wanted)), &mut count).await?;
    snapshot.end().await?;
    Ok(count)
}

/// Counts events.
struct Count(Wanted);

impl Evaluation for Count {
    type Found = i64;

    fn columns(&self) -> Columns {
        self.0.columns()
    }

    fn add(&self, found: &mut i64, segment: &SegmentRow) -> Result<(), Corrupt> {
        let selected = self.0.select(segment, &segment.reader()?)?;
        *found += i64::try_from(selected.count()).unwrap_or(i64::MAX);
        Ok(())
    }

    fn merge(&self, found: &mut i64, other: i64) -> Result<(), StoreError> {
        *found += other;
        Ok(())
    }
}
