//! Pages in the order of ids. Segments are read from the end at which the page begins, until no segment that is left
//! can have an event of the page.

use std::ops::Range;
use std::sync::Arc;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_segment::Corrupt;

use super::{Candidate, EventPage, EventPosition};
use crate::events::scan::{
    Columns, Evaluation, SegmentKey, SegmentRow, Wanted, evaluate_keys, push_segments, successor,
};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// The first segments that are read have about this many events. The next ones have twice as many, and so on, because
/// few events turn out to satisfy the filter.
const FIRST_EVENTS: usize = 16_384;
const MOST_EVENTS: usize = 1 << 20;

/// The events of a page.
pub(super) async fn candidates(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    page: &EventPage,
) -> Result<Vec<Candidate>, StoreError> {
    let mut wanted = page.list.wanted();
    let descending = page.ids_descend();
    if let Some(after) = &page.after {
        if descending {
            wanted.ids.end = wanted.ids.end.min(after.id);
        } else {
            wanted.ids.start = wanted.ids.start.max(successor(after.id));
        }
    }
    find(store, snapshot, tenant, First { wanted, descending, limit: page.limit }).await
}

/// The event with this id.
pub(super) async fn with_id(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    id: EventId,
) -> Result<Vec<Candidate>, StoreError> {
    let wanted = Wanted { ids: id..successor(id), filter: Filter::default(), words: Vec::new() };
    find(store, snapshot, tenant, First { wanted, descending: false, limit: 1 }).await
}

/// A segment that can have events of the page.
struct Placed {
    key: SegmentKey,
    last: EventId,
    events: usize,
}

async fn find(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    first: First,
) -> Result<Vec<Candidate>, StoreError> {
    let mut segments = segments(snapshot, tenant, &first.wanted.ids).await?;
    // The segments that come first are at the end, from which they are taken.
    if first.descending {
        segments.sort_unstable_by_key(|segment| segment.last);
    } else {
        segments.sort_unstable_by_key(|segment| std::cmp::Reverse(segment.key.first));
    }
    let first = Arc::new(first);
    let mut found: Vec<Candidate> = Vec::new();
    let mut events = FIRST_EVENTS;
    while let Some(next) = segments.last() {
        if let Some(last) = found.get(first.limit.saturating_sub(1)).map(|last| last.position.id) {
            let can_come_before = if first.descending { next.last > last } else { next.key.first < last };
            if !can_come_before {
                break;
            }
        }
        let mut keys = Vec::new();
        let mut taken = 0;
        while taken < events
            && let Some(segment) = segments.pop()
        {
            taken += segment.events;
            keys.push(segment.key);
        }
        events = (2 * events).min(MOST_EVENTS);
        evaluate_keys(store, snapshot, (tenant, &keys), &first, &mut found).await?;
    }
    Ok(found)
}

async fn segments(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    ids: &Range<EventId>,
) -> Result<Vec<Placed>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("-- find_segments\nSELECT first_id, segment_id, last_id, events");
    push_segments(&mut sql, tenant, ids);
    let rows = sql.query_in(snapshot).await?;
    let placed = |row: &tokio_postgres::Row| Placed {
        key: SegmentKey { first: EventId(row.get(0)), number: row.get(1) },
        last: EventId(row.get(2)),
        events: usize::try_from(row.get::<_, i32>(3)).unwrap_or(0),
    };
    Ok(rows.iter().map(placed).collect())
}

/// Finds the events with the least ids, or with the greatest.
struct First {
    wanted: Wanted,
    descending: bool,
    limit: usize,
}

impl First {
    fn cut(&self, found: &mut Vec<Candidate>) {
        found.sort_unstable_by_key(|candidate| candidate.position.id);
        if self.descending {
            found.reverse();
        }
        found.truncate(self.limit);
    }
}

impl Evaluation for First {
    type Found = Vec<Candidate>;

    fn columns(&self) -> Columns {
        self.wanted.columns()
    }

    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let reader = segment.reader()?;
        let selected = self.wanted.select(segment, &reader)?;
        if selected.is_empty() {
            return Ok(());
        }
        let ids = reader.ids()?;
        let key = segment.key();
        let candidate = |index: usize| Candidate {
            position: EventPosition { keys: Vec::new(), id: ids[index] },
            segment: key,
            index,
        };
        let before = if self.descending { selected.count().saturating_sub(self.limit) } else { 0 };
        found.extend(selected.iter().skip(before).take(self.limit).map(candidate));
        self.cut(found);
        Ok(())
    }

    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError> {
        found.extend(other);
        self.cut(found);
        Ok(())
    }
}
