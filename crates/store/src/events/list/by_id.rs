//! Pages in the order of ids. Segments are read from the end at which the page begins, until no segment that is left
//! can have an event of the page.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_segment::{Column, Corrupt};
use tokio_postgres::types::Type;

use super::{Candidate, EventPage, EventPosition};
use crate::events::scan::{
    Columns, Evaluation, SegmentKey, SegmentRow, Wanted, evaluate_keys, push_segments, successor,
};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// The first segments that are read have about this many events.
const FIRST_EVENTS: usize = 16_384;
/// The next ones have as many as seem necessary, but at most so many times as many as all before together: few events may
/// turn out to satisfy the filter, and those that do may stand together.
const GROWTH: usize = 4;
const MOST_EVENTS: usize = 1 << 20;

/// The number of segments that are found first. The next time there are twice as many, and so on.
const FIRST_SEGMENTS: i64 = 64;
const MOST_SEGMENTS: i64 = 4_096;

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
    let mut segments = Segments::new(tenant, &first);
    let first = Arc::new(first);
    let mut found: Vec<Candidate> = Vec::new();
    let (mut events, mut seen) = (FIRST_EVENTS, 0);
    while let Some(next) = segments.peek(snapshot).await? {
        if let Some(last) = found.get(first.limit.saturating_sub(1)).map(|last| last.position.id) {
            let can_come_before = if first.descending { next.last > last } else { next.key.first < last };
            if !can_come_before {
                break;
            }
        }
        let (keys, taken) = segments.take(events);
        evaluate_keys(store, snapshot, (tenant, &keys), &first, &mut found).await?;
        seen += taken;
        events = necessary(seen, found.len(), first.limit).clamp(FIRST_EVENTS, MOST_EVENTS);
    }
    Ok(found)
}

/// How many further events probably have what a page lacks, if of `seen` events `found` are on it.
fn necessary(seen: usize, found: usize, limit: usize) -> usize {
    let lacking = limit.saturating_sub(found);
    // A little more, so that it is seldom too few.
    let probable = (seen * lacking).checked_div(found).map_or(usize::MAX, |events| events + events / 4);
    probable.min(seen * GROWTH)
}

/// The segments of a range in the order in which a page needs them: by where they begin, or from the last to the first
/// by where they end. They are found a few at a time, because a page seldom needs many.
struct Segments {
    tenant: TenantId,
    ids: Range<EventId>,
    descending: bool,
    found: VecDeque<Placed>,
    /// The last segment that was found.
    after: Option<(EventId, i64)>,
    limit: i64,
    are_all_found: bool,
}

impl Segments {
    fn new(tenant: TenantId, page: &First) -> Self {
        Self {
            tenant,
            ids: page.wanted.ids.clone(),
            descending: page.descending,
            found: VecDeque::new(),
            after: None,
            limit: FIRST_SEGMENTS,
            are_all_found: page.wanted.ids.is_empty(),
        }
    }

    /// The next segment. None if there are no more.
    async fn peek(&mut self, snapshot: &mut Snapshot<'_>) -> Result<Option<&Placed>, StoreError> {
        if self.found.is_empty() && !self.are_all_found {
            self.find(snapshot).await?;
        }
        Ok(self.found.front())
    }

    /// Takes segments that have so many events together, or those that have been found, with the number of their events.
    fn take(&mut self, events: usize) -> (Vec<SegmentKey>, usize) {
        let mut keys = Vec::new();
        let mut taken = 0;
        while taken < events
            && let Some(segment) = self.found.pop_front()
        {
            taken += segment.events;
            keys.push(segment.key);
        }
        (keys, taken)
    }

    async fn find(&mut self, snapshot: &mut Snapshot<'_>) -> Result<(), StoreError> {
        let mut sql = Sql::new("-- find_segments\nSELECT first_id, segment_id, last_id, events");
        push_segments(&mut sql, self.tenant, &self.ids);
        let (after, order) = if self.descending {
            (" AND (last_id, segment_id) < (", " ORDER BY last_id DESC, segment_id DESC LIMIT ")
        } else {
            (" AND (first_id, segment_id) > (", " ORDER BY first_id, segment_id LIMIT ")
        };
        if let Some((id, number)) = self.after {
            sql.push(after).value(id.0, Type::UUID).push(", ").value(number, Type::INT8).push(")");
        }
        sql.push(order);
        let rows = sql.value(self.limit, Type::INT8).query_in(snapshot).await?;
        self.found.extend(rows.iter().map(|row| Placed {
            key: SegmentKey { first: EventId(row.get(0)), number: row.get(1) },
            last: EventId(row.get(2)),
            events: usize::try_from(row.get::<_, i32>(3)).unwrap_or(0),
        }));
        self.are_all_found = i64::try_from(rows.len()).is_ok_and(|rows| rows < self.limit);
        self.limit = (2 * self.limit).min(MOST_SEGMENTS);
        let place =
            |last: &Placed| (if self.descending { last.last } else { last.key.first }, last.key.number);
        self.after = self.found.back().map(place);
        Ok(())
    }
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
        self.wanted.columns().and(Column::Times).and(Column::Ids)
    }

    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let reader = segment.reader()?;
        let selected = self.wanted.select(segment, &reader)?;
        if selected.is_empty() {
            return Ok(());
        }
        let ids = reader.ids()?;
        let key = segment.key();
        let candidate = |index: usize| {
            let position = EventPosition { keys: Vec::new(), id: ids.get(index)? };
            Some(Candidate { position, segment: key, index })
        };
        let before = if self.descending { selected.count().saturating_sub(self.limit) } else { 0 };
        found.extend(selected.iter().skip(before).take(self.limit).filter_map(candidate));
        self.cut(found);
        Ok(())
    }

    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError> {
        found.extend(other);
        self.cut(found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_events_are_read_as_seem_necessary() {
        assert_eq!(necessary(1_000, 0, 100), 4_000, "nothing is known yet");
        assert_eq!(necessary(1_000, 50, 100), 1_250);
        assert_eq!(necessary(1_000, 1, 100), 4_000, "one says little");
        assert_eq!(necessary(1_000, 100, 100), 0);
    }
}
