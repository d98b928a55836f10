//! Finds the events that the roll-ups of a new metric lack.

use std::collections::HashMap;

use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::usage::TextField;
use flowmeter_segment::{Corrupt, Event};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::list::read_places;
use super::scan::{Columns, SegmentKey, SegmentRow, push_columns, successor};
use crate::partitions::partition_bound;
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// Some events of a tenant, by ascending id.
pub(crate) struct PendingEvents {
    /// Those of the provider that were rolled up in an earlier generation.
    pub events: Vec<Event>,
    /// The last event that was looked at. None if there are no more.
    pub through: Option<EventId>,
}

/// Looks at the next events of a tenant, at most `limit`, in a snapshot of its own: segments can be merged meanwhile.
pub(crate) async fn pending_backfill(
    store: &Store,
    (tenant, generation): (TenantId, i32),
    provider: &str,
    after: EventId,
    limit: usize,
) -> Result<PendingEvents, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let ids = next_ids(store, &mut snapshot, tenant, after, limit).await?;
    let through = ids.get(limit - 1).map(|(id, _)| *id);
    let mut places: HashMap<SegmentKey, Vec<usize>> = HashMap::new();
    for (_, place) in ids.into_iter().take(limit).filter(|(_, place)| place.generation < generation) {
        places.entry(place.segment).or_default().push(place.index);
    }
    let mut events: Vec<_> = read_places(store, &mut snapshot, tenant, places).await?.into_values().collect();
    snapshot.end().await?;
    events.retain(|event| event.texts[TextField::Provider as usize] == provider);
    events.sort_unstable_by_key(|event| event.id);
    Ok(PendingEvents { events, through })
}

/// Where an event is.
struct Place {
    segment: SegmentKey,
    generation: i32,
    index: usize,
}

/// The ids after one, ascending: at least `limit`, or all.
async fn next_ids(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    after: EventId,
    limit: usize,
) -> Result<Vec<(EventId, Place)>, StoreError> {
    /// The number of segments that are read at a time.
    const SEGMENTS: i64 = 16;
    let columns = Columns::IDS;
    let mut found: Vec<(EventId, Place)> = Vec::new();
    let mut from = (partition_bound(after), i64::MIN);
    loop {
        let mut sql = Sql::new("-- next_ids\nSELECT ");
        push_columns(&mut sql, columns);
        sql.push(", generation FROM event_segment WHERE tenant_id = ").value(tenant.0, Type::UUID);
        sql.push(" AND (first_id, segment_id) > (").value(from.0, Type::UUID);
        sql.push(", ").value(from.1, Type::INT8).push(") AND last_id > ").value(after.0, Type::UUID);
        sql.push(" ORDER BY first_id, segment_id LIMIT ").value(SEGMENTS, Type::INT8);
        let rows = sql.query_in(snapshot).await?;
        let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < SEGMENTS);
        let segments: Vec<_> = rows.into_iter().map(|row| SegmentRow::new(row, columns)).collect();
        let Some(last) = segments.last().map(SegmentRow::key) else { return Ok(found) };
        found.extend(store.compute(move || ids_after(&segments, after)).await??);
        found.sort_unstable_by_key(|(id, _)| *id);
        // The segments that follow begin later.
        if is_last || found.get(limit - 1).is_some_and(|(id, _)| *id < last.first) {
            return Ok(found);
        }
        from = (last.first.0, last.number);
    }
}

fn ids_after(segments: &[SegmentRow], after: EventId) -> Result<Vec<(EventId, Place)>, Corrupt> {
    let mut found = Vec::new();
    for segment in segments {
        let reader = segment.reader()?;
        let positions = segment.positions(&reader, &(successor(after)..EventId(Uuid::max())))?;
        let ids = reader.ids()?;
        let (key, generation) = (segment.key(), segment.further(0));
        let place = |index| Some((ids.get(index)?, Place { segment: key, generation, index }));
        found.extend(positions.filter_map(place));
    }
    Ok(found)
}
