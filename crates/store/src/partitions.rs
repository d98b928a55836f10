//! Partitions by time of the tables whose keys are ids in the order of time. Data is deleted by dropping a
//! partition.

use std::collections::HashSet;
use std::time::Duration;

use flowmeter_core::ids::EventId;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A table partitioned by ranges of ids.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Table {
    name: &'static str,
    /// The storage parameters of its partitions. A partitioned table itself cannot have any.
    storage: &'static str,
}

/// The segments of usage events. They are merged soon after they were appended, so what they leave is cleared away
/// soon, whatever the size of the partition.
pub const EVENTS: Table = Table {
    name: "event_segment",
    storage: " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, \
              autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000, \
              toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 20000)",
};
/// The ids of events that their senders named.
pub const EVENT_KEYS: Table = Table { name: "event_key", storage: "" };
/// The ledger of requests.
pub const REQUESTS: Table = Table { name: "ingest_request", storage: "" };

impl Table {
    /// The name of the partition for a time.
    pub(crate) fn partition(&self, at: Timestamp) -> String {
        self.partition_from(week_start(at))
    }

    fn partition_from(&self, start: Timestamp) -> String {
        format!("{}_{}", self.name, start.to_jiff().strftime("%Y%m%d"))
    }

    /// The time range of the partition with this name. None if the name is not that of a partition.
    pub(crate) fn week(&self, partition: &str) -> Option<TimeRange> {
        let date = partition.strip_prefix(self.name)?.strip_prefix('_')?;
        let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
        let start: Timestamp = format!("{year}-{month}-{day}T00:00:00Z").parse().ok()?;
        (self.partition_from(start) == partition).then(|| TimeRange { start, end: start.plus(WIDTH) })
    }
}

/// The width of a partition. Weeks give few tables for 400 days, and are small enough to drop individually.
const WIDTH: Duration = Duration::from_hours(7 * 24);
/// The epoch was a Thursday; partitions begin on Mondays.
const MONDAY_OFFSET: Duration = Duration::from_hours(3 * 24);
/// Serialises the creation of partitions between workers.
const PARTITION_LOCK: i64 = 0x666c_6f77_7061_7274;

/// Creates partitions before they are needed, and caches which ones exist.
pub struct Partitions {
    store: Store,
    known: HashSet<(&'static str, Timestamp)>,
}

impl Partitions {
    /// An empty cache.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, known: HashSet::new() }
    }

    /// Ensures that a table has a partition for each of these ids.
    pub async fn ensure(&mut self, table: &Table, ids: impl Iterator<Item = Uuid>) -> Result<(), StoreError> {
        let mut missing = HashSet::new();
        let mut last = None;
        for id in ids {
            let start = partition_start(id);
            // Consecutive ids mostly share a partition.
            if last != Some(start) {
                last = Some(start);
                if !self.known.contains(&(table.name, start)) {
                    missing.insert(start);
                }
            }
        }
        for start in missing {
            self.make(table, start).await?;
            self.known.insert((table.name, start));
        }
        Ok(())
    }

    /// Clears the cache, because a partition has been dropped.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    async fn make(&self, table: &Table, start: Timestamp) -> Result<(), StoreError> {
        let &Table { name: parent, storage } = table;
        let name = table.partition_from(start);
        let (from, to) = (EventId::first_at(start), EventId::first_at(start.plus(WIDTH)));
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        transaction
            .execute("-- make_partition\nSELECT pg_advisory_xact_lock($1)", &[&PARTITION_LOCK])
            .await?;
        let there =
            transaction.query_one("-- make_partition\nSELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
        if !there.get::<_, bool>(0) {
            // Attaching a table takes a weaker lock on the parent than creating a partition would, so writers
            // continue.
            transaction
                .batch_execute(&format!(
                    "-- make_partition
                     CREATE TABLE {name} (LIKE {parent} INCLUDING ALL){storage};
                     ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}')",
                    lower_bound(from.0),
                    lower_bound(to.0)
                ))
                .await?;
            tracing::info!(partition = name, "created a partition");
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// The start of the partition that contains an id, by the milliseconds of the id.
fn partition_start(id: Uuid) -> Timestamp {
    let (high, _) = id.as_u64_pair();
    let millis = i64::try_from(high >> 16).expect("48 bits");
    week_start(Timestamp::from_micros(millis.saturating_mul(1_000)).min(Timestamp::END))
}

/// Whether the week of an event has ended at a time.
pub(crate) fn week_has_ended(id: EventId, now: Timestamp) -> bool {
    partition_start(id.0).plus(WIDTH) <= now
}

/// The start of the week that contains a time.
fn week_start(at: Timestamp) -> Timestamp {
    let shifted = at.plus(MONDAY_OFFSET).floor_to(WIDTH);
    Timestamp::from_micros(shifted.micros() - i64::try_from(MONDAY_OFFSET.as_micros()).expect("three days"))
}

/// The lower bound of the partition that contains an id.
pub(crate) fn partition_bound(id: EventId) -> Uuid {
    lower_bound(EventId::first_at(partition_start(id.0)).0)
}

/// The smallest UUID of the same millisecond, ignoring version and variant.
fn lower_bound(id: Uuid) -> Uuid {
    let (high, _) = id.as_u64_pair();
    Uuid::from_u64_pair(high & !0xffff, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::{RequestId, TenantId};

    fn start_at(time: &str) -> String {
        let at = time.parse().unwrap();
        partition_start(EventId::first_at(at).0).to_string()
    }

    #[test]
    fn partitions_are_weeks_that_begin_on_monday() {
        assert_eq!(start_at("2024-11-20T10:00:00Z"), "2024-11-18T00:00:00Z");
        assert_eq!(start_at("2024-11-18T00:00:00Z"), "2024-11-18T00:00:00Z");
        assert_eq!(start_at("2024-11-17T23:59:59.999999Z"), "2024-11-11T00:00:00Z");
    }

    #[test]
    fn partitions_are_named_by_their_start() {
        for (time, name) in [
            ("2024-11-24T23:59:59.999999Z", "event_segment_20241118"),
            ("1970-01-01T00:00:00Z", "event_segment_19691229"),
        ] {
            let at: Timestamp = time.parse().unwrap();
            assert_eq!(EVENTS.partition(at), name);
            let week = EVENTS.week(name).unwrap();
            assert_eq!((week.start, week.end), (week_start(at), week_start(at).plus(WIDTH)));
        }
        for other in
            ["event_segment", "event_segment_20241318", "event_segment_+0241118", "ingest_request_20241118"]
        {
            assert_eq!(EVENTS.week(other), None, "{other}");
        }
        // The last partition ends at the end of time.
        assert!(EVENTS.week(&EVENTS.partition(Timestamp::END)).is_some());
    }

    #[test]
    fn ids_of_checks_are_in_the_week_of_their_slot() {
        let start: Timestamp = "2024-11-18T00:00:00Z".parse().unwrap();
        for (slot, week) in [(start, start), (start.minus(Duration::from_millis(1)), start.minus(WIDTH))] {
            let id = RequestId::of_check(TenantId::OPERATOR, "flow", slot).0;
            assert_eq!(partition_start(id), week);
            let bounds = [week, week.plus(WIDTH)].map(|bound| lower_bound(EventId::first_at(bound).0));
            assert!(bounds[0] <= id && id < bounds[1], "{id}");
        }
    }
}
