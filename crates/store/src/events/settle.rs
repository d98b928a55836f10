//! Settles segments: merges those of an hour, and those of a week that has ended, into few large ones.
//!
//! A merge removes its segments and adds the merged one in one transaction, so a reader's snapshot has each event once.
//! What it merges is what it removed, so two workers cannot merge a segment twice, and one that dies has done nothing.

mod merge;
mod plan;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::append::{Level, SPAN};
use super::scan::SegmentKey;
use crate::partitions::{EVENT_KEYS, EVENTS};
use crate::sql::Sql;
use crate::{Store, StoreError};
use merge::take;
use plan::{Hour, Placed, steps_of_hours, steps_of_week};

/// The advisory lock that lets one worker settle at a time.
const SETTLE_LOCK: i64 = 0x666c_6f77_7365_746c;
/// The maximum number of segments that are looked at in one go.
const PAGE: usize = 10_000;
/// How long after its end an hour or a week is settled, so that what comes a little late is settled with it.
const HOUR_GRACE: Duration = Duration::from_mins(2);
const WEEK_GRACE: Duration = Duration::from_hours(1);
/// How often a week is settled again, for the events that came late.
const WEEK_AGAIN: Duration = Duration::from_hours(24);
/// The maximum number of hours that are remembered as settled. When it is reached they are looked up again.
const KNOWN_HOURS: usize = 200_000;

/// What a round of settling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// The segments that were merged.
    pub merged: usize,
    /// The segments that they were merged into.
    pub into: usize,
    /// The events of these.
    pub events: usize,
    /// Weeks that were settled.
    pub weeks: usize,
}

impl std::ops::AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        self.merged += other.merged;
        self.into += other.into;
        self.events += other.events;
        self.weeks += other.weeks;
    }
}

/// Settles segments round by round.
pub struct Settler {
    store: Store,
    settled_hours: HashSet<Hour>,
    /// When each week was settled last.
    weeks: HashMap<String, Timestamp>,
}

impl Settler {
    /// A settler that remembers nothing yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, settled_hours: HashSet::new(), weeks: HashMap::new() }
    }

    /// Settles what is due at a time: in hours that are under way, segments that are small and many; in hours and weeks
    /// that have ended, all of them. Does nothing while another worker settles.
    pub async fn round(&mut self, now: Timestamp) -> Result<Settled, StoreError> {
        let mut settled = self.hours(now).await?;
        for week in weeks(&self.store).await? {
            let Some(range) = EVENTS.week(&week) else { continue };
            let is_new = self.weeks.get(&week).is_none_or(|last| last.plus(WEEK_AGAIN) <= now);
            if range.end.plus(WEEK_GRACE) <= now && is_new {
                let Some(done) = self.week(range).await? else { return Ok(settled) };
                settled += done;
                self.weeks.insert(week, now);
            }
        }
        Ok(settled)
    }

    async fn hours(&mut self, now: Timestamp) -> Result<Settled, StoreError> {
        let mut settled = Settled::default();
        let mut after = Some((Uuid::nil(), Uuid::nil()));
        while let Some(from) = after {
            let (segments, next) = self.appended(from).await?;
            let ended = now.minus(HOUR_GRACE);
            self.look_up_hours(&segments, ended).await?;
            for step in steps_of_hours(&segments, ended, &self.settled_hours) {
                let Some(done) = take(&self.store, &step).await? else { return Ok(settled) };
                settled += done;
            }
            after = next;
        }
        Ok(settled)
    }

    /// The next segments as they were appended, by tenant and id; and after which one the next ones come, if there are
    /// more.
    async fn appended(
        &self,
        (tenant, first): (Uuid, Uuid),
    ) -> Result<(Vec<Placed>, Option<(Uuid, Uuid)>), StoreError> {
        let mut sql = Sql::new(PLACED);
        sql.push(" WHERE level = 0 AND (tenant_id, first_id) > (").value(tenant, Type::UUID);
        sql.push(", ").value(first, Type::UUID).push(") ORDER BY tenant_id, first_id LIMIT ");
        sql.value(i64::try_from(PAGE).expect("a page is small"), Type::INT8);
        let segments: Vec<_> = sql.query_prepared(&self.store).await?.iter().map(placed).collect();
        let next = segments.last().filter(|_| segments.len() == PAGE);
        let next = next.map(|last| (last.tenant.0, last.key.first.0));
        Ok((segments, next))
    }

    /// Looks up which of the hours that ended before a time have been settled. Later ones are not looked up.
    async fn look_up_hours(&mut self, segments: &[Placed], ended: Timestamp) -> Result<(), StoreError> {
        if self.settled_hours.len() > KNOWN_HOURS {
            self.settled_hours.clear();
        }
        let hours = segments.iter().map(Placed::hour).filter(|(_, start)| start.plus(SPAN) <= ended);
        let unknown: HashSet<Hour> = hours.filter(|hour| !self.settled_hours.contains(hour)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        let tenants: Vec<Uuid> = unknown.iter().map(|(tenant, _)| tenant.0).collect();
        let bounds = |after| {
            let bound = |(_, start): &Hour| EventId::first_at(start.plus(after)).0;
            unknown.iter().map(bound).collect::<Vec<Uuid>>()
        };
        let mut sql = Sql::new("-- settled_hours\nSELECT place FROM unnest(");
        sql.value(tenants, Type::UUID_ARRAY).push(", ");
        sql.value(bounds(Duration::ZERO), Type::UUID_ARRAY).push(", ");
        sql.value(bounds(SPAN), Type::UUID_ARRAY);
        sql.push(
            ") WITH ORDINALITY AS hour (tenant_id, first, last, place)
             WHERE EXISTS (SELECT FROM event_segment AS segment
                           WHERE segment.tenant_id = hour.tenant_id AND level > 0
                             AND first_id >= hour.first AND first_id < hour.last)",
        );
        for row in sql.query_prepared(&self.store).await? {
            let place = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
            self.settled_hours.extend(place.checked_sub(1).and_then(|index| unknown.get(index)).copied());
        }
        Ok(())
    }

    /// Settles a week. None if another worker is settling.
    async fn week(&self, week: TimeRange) -> Result<Option<Settled>, StoreError> {
        let mut settled = Settled::default();
        let mut after = TenantId(Uuid::nil());
        loop {
            let segments = self.of_week(after, week).await?;
            let Some(last) = segments.last().map(|segment| segment.tenant) else { break };
            for step in steps_of_week(&segments) {
                let Some(done) = take(&self.store, &step).await? else { return Ok(None) };
                settled += done;
            }
            after = last;
        }
        if remove_keys(&self.store, week).await? {
            settled.weeks = 1;
        }
        Ok(Some(settled))
    }

    /// The unsettled segments of the next tenants in a week, together with the small ones that were settled before.
    async fn of_week(&self, after: TenantId, week: TimeRange) -> Result<Vec<Placed>, StoreError> {
        let ids = super::scan::ids_within(week);
        let mut sql =
            Sql::new("-- unsettled_tenants\nSELECT tenant_id, count(*) FROM event_segment WHERE level < 2");
        sql.push(" AND tenant_id > ").value(after.0, Type::UUID);
        sql.push(" AND first_id >= ").value(ids.start.0, Type::UUID);
        sql.push(" AND first_id < ").value(ids.end.0, Type::UUID);
        sql.push(" GROUP BY tenant_id ORDER BY tenant_id LIMIT 1000");
        let (mut tenants, mut count) = (Vec::new(), 0);
        for row in sql.query(&self.store).await? {
            tenants.push(row.get::<_, Uuid>(0));
            count += usize::try_from(row.get::<_, i64>(1)).unwrap_or(0);
            if count >= PAGE {
                break;
            }
        }
        let mut sql = Sql::new(PLACED);
        sql.push(" WHERE tenant_id = ANY (").value(tenants, Type::UUID_ARRAY);
        sql.push(") AND first_id >= ").value(ids.start.0, Type::UUID);
        sql.push(" AND first_id < ").value(ids.end.0, Type::UUID);
        sql.push(" AND (level < 2 OR events < ");
        sql.value(i32::try_from(plan::LARGE).expect("it is less than a segment"), Type::INT4);
        sql.push(") ORDER BY tenant_id, first_id");
        Ok(sql.query(&self.store).await?.iter().map(placed).collect())
    }
}

/// Selects what [`placed`] reads.
const PLACED: &str = "-- unsettled
    SELECT tenant_id, first_id, segment_id, events, text_bytes, generation, level FROM event_segment";

fn placed(row: &tokio_postgres::Row) -> Placed {
    let size = |index: usize| usize::try_from(row.get::<_, i32>(index)).unwrap_or(0);
    Placed {
        tenant: TenantId(row.get(0)),
        key: SegmentKey { first: EventId(row.get(1)), number: row.get(2) },
        events: size(3),
        text_bytes: size(4),
        generation: row.get(5),
        is_of_week: row.get::<_, i16>(6) == Level::Week as i16,
    }
}

/// The partitions of the segments, ascending.
async fn weeks(store: &Store) -> Result<Vec<String>, StoreError> {
    let sql = Sql::new(
        "-- weeks_of_events
         SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'event_segment'::regclass ORDER BY 1",
    );
    Ok(sql.query_prepared(store).await?.iter().map(|row| row.get(0)).collect())
}

/// Removes the keys of a week if all its segments have been settled. Returns whether they have.
///
/// Whoever inserts a key holds a lock on the table until its segment is visible. So under the exclusive lock, either the
/// segment is seen as unsettled and the keys stay, or the key comes after they were removed; and who inserts a key looks
/// for its event in the settled segments afterwards.
async fn remove_keys(store: &Store, week: TimeRange) -> Result<bool, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let keys = EVENT_KEYS.partition(week.start);
    let exists =
        transaction.query_one("-- remove_keys\nSELECT to_regclass($1) IS NOT NULL", &[&keys]).await?;
    if exists.get::<_, bool>(0) {
        // A transaction that waits for this lock makes others wait behind it, so it does not wait long.
        transaction
            .batch_execute(&format!(
                "-- remove_keys
                 SET LOCAL lock_timeout = '2s';
                 LOCK TABLE {keys} IN ACCESS EXCLUSIVE MODE"
            ))
            .await?;
    }
    let ids = super::scan::ids_within(week);
    let mut sql = Sql::new("-- remove_keys\nSELECT NOT EXISTS (SELECT FROM event_segment WHERE level < 2");
    sql.push(" AND first_id >= ").value(ids.start.0, Type::UUID);
    sql.push(" AND first_id < ").value(ids.end.0, Type::UUID).push(")");
    let is_settled = sql.query_on(&transaction).await?.iter().all(|row| row.get(0));
    if is_settled && exists.get::<_, bool>(0) {
        transaction.batch_execute(&format!("-- remove_keys\nTRUNCATE {keys}")).await?;
    }
    transaction.commit().await?;
    Ok(is_settled)
}
