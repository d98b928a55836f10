//! Finds events that are stored already: the ones that their senders named and have sent again.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_segment::{Corrupt, Event};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::append::Level;
use super::keys::EventKey;
use super::scan::{Columns, SegmentKey, SegmentRow, push_columns, push_keys};
use crate::partitions::partition_bound;
use crate::sql::Sql;
use crate::{Store, StoreError};

/// Which segments may have the events that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettledWeeks {
    /// Those of any week.
    Included,
    /// Only those of weeks that have been settled: the events of other weeks have keys.
    Only,
}

/// The stored events with these keys. The transaction sees what was committed before, also by others.
pub(crate) async fn stored_events(
    store: &Store,
    transaction: &Transaction<'_>,
    keys: &BTreeSet<EventKey>,
    weeks: SettledWeeks,
) -> Result<HashMap<EventKey, Event>, StoreError> {
    let mut by_week: HashMap<(TenantId, Uuid), Vec<EventId>> = HashMap::new();
    for (tenant, id) in keys {
        by_week.entry((*tenant, partition_bound(*id))).or_default().push(*id);
    }
    let mut found = HashMap::new();
    for ((tenant, week), ids) in by_week {
        let events = loop {
            if let Some(events) = of_week(store, transaction, (tenant, week), &ids, weeks).await? {
                break events;
            }
        };
        found.extend(events.into_iter().map(|event| ((tenant, event.id), event)));
    }
    Ok(found)
}

/// The stored events of a week. None if a segment was merged while they were read.
async fn of_week(
    store: &Store,
    transaction: &Transaction<'_>,
    (tenant, week): (TenantId, Uuid),
    ids: &[EventId],
    weeks: SettledWeeks,
) -> Result<Option<Vec<Event>>, StoreError> {
    // First the ids alone: most segments have none of them.
    let columns = Columns::IDS;
    let mut sql = select(tenant, week, ids, columns);
    if weeks == SettledWeeks::Only {
        sql.push(" AND level = ").value(Level::Week as i16, Type::INT2);
    }
    let rows = sql.query_on(transaction).await?;
    let wanted: BTreeSet<EventId> = ids.iter().copied().collect();
    let segments = rows.into_iter().map(move |row| SegmentRow::new(row, columns));
    let places = store.compute(move || places(segments, &wanted)).await??;
    contents(store, transaction, tenant, places).await
}

/// Selects the segments of a week that can have some of the ids.
fn select(tenant: TenantId, week: Uuid, ids: &[EventId], columns: Columns) -> Sql {
    let (first, last) = (ids.iter().min(), ids.iter().max());
    let bound = |id: Option<&EventId>| id.map_or(Uuid::nil(), |id| id.0);
    let mut sql = Sql::new("-- stored_events\nSELECT ");
    push_columns(&mut sql, columns);
    sql.push(" FROM event_segment WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND first_id >= ").value(week, Type::UUID);
    sql.push(" AND first_id <= ").value(bound(last), Type::UUID);
    sql.push(" AND last_id >= ").value(bound(first), Type::UUID);
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sql.push(" AND EXISTS (SELECT FROM unnest(").value(ids, Type::UUID_ARRAY);
    sql.push(") AS wanted (id) WHERE wanted.id BETWEEN first_id AND last_id)");
    sql
}

/// Positions in segments.
type Places = HashMap<SegmentKey, Vec<usize>>;

fn places(segments: impl Iterator<Item = SegmentRow>, wanted: &BTreeSet<EventId>) -> Result<Places, Corrupt> {
    let mut places = Places::new();
    for segment in segments {
        let reader = segment.reader()?;
        let ids = reader.ids()?;
        let position =
            |id: &EventId| Some(ids.count_before(*id)).filter(|index| ids.get(*index) == Some(*id));
        let here = wanted.range(segment.first()..=segment.last()).filter_map(position);
        let here: Vec<_> = here.collect();
        if !here.is_empty() {
            places.insert(segment.key(), here);
        }
    }
    Ok(places)
}

/// The events at some places of segments. None if a segment was merged meanwhile: each statement of a transaction that
/// writes sees what was committed before it.
async fn contents(
    store: &Store,
    transaction: &Transaction<'_>,
    tenant: TenantId,
    places: Places,
) -> Result<Option<Vec<Event>>, StoreError> {
    if places.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut sql = Sql::new("-- stored_events\nSELECT ");
    push_columns(&mut sql, Columns::ALL);
    push_keys(&mut sql, tenant, &places.keys().copied().collect::<Vec<_>>());
    let rows = sql.query_on(transaction).await?;
    let read = move || {
        let mut events = Vec::new();
        let mut segments = 0;
        for segment in rows.into_iter().map(|row| SegmentRow::new(row, Columns::ALL)) {
            if let Some(positions) = places.get(&segment.key()) {
                segments += 1;
                events.extend(segment.reader()?.rows(positions.iter().copied())?);
            }
        }
        Ok::<_, Corrupt>((segments == places.len()).then_some(events))
    };
    Ok(store.compute(read).await??)
}
