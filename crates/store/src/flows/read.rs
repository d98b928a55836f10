//! Reads the history of a flow. Folding moves counters from partial rows to days in one transaction, so a
//! single statement that reads both counts every request once.

use std::collections::BTreeMap;
use std::time::SystemTime;

use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::range::TimeRange;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::encoding::{FlowDay, add_encoded_counters, add_quarters, first_quarter};
use super::malformed;
use crate::progress::FRESH_THROUGH;
use crate::sql::Sql;
use crate::{Store, StoreError};

const DAY: Resolution = Resolution::Day;
const QUARTER: Resolution = Resolution::QuarterHour;

/// A flow and its counters so far, as of one snapshot.
#[derive(Debug)]
pub struct FlowHistory {
    tenant: TenantId,
    flow_id: String,
    /// The IANA name of the flow's zone.
    pub time_zone: String,
    /// When the flow was first registered.
    pub created_at: Timestamp,
    /// The number of all its requests.
    pub requests: i64,
    /// The start of the earliest quarter-hour that counted anything. None if there is none.
    pub first: Option<Timestamp>,
    /// See [`fresh_through`](crate::progress::fresh_through).
    pub fresh_through: Option<Timestamp>,
    /// The counters of each day.
    days: BTreeMap<Timestamp, Row>,
    /// The quarter-hours of some days.
    quarters: BTreeMap<Timestamp, Row>,
    /// The partial rows, in no particular order.
    partial: Vec<(Timestamp, Row)>,
}

/// Describes the edges between which the [counters](FlowHistory::counters) of a history will be requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    /// Ranges that contain all edges, except for an edge on or before the first day of the history.
    pub within: Vec<TimeRange>,
    /// Whether all edges are midnights in the time zone of the flow.
    pub are_midnights: bool,
}

/// Reads the history of a flow that is or was registered.
pub async fn read_flow_history(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
    edges: &Edges,
) -> Result<Option<FlowHistory>, StoreError> {
    let rows = history_statement(tenant, flow_id, edges).query_prepared(store).await?;
    FlowHistory::read(tenant, flow_id, rows)
}

/// The kinds of rows of the statement. Each row has a kind, a time, a text and bytes.
mod kind {
    /// The flow: its creation time and its time zone.
    pub const FLOW: i16 = 0;
    /// A day and its counters.
    pub const DAY: i16 = 1;
    /// A day and its quarter-hours.
    pub const QUARTERS: i16 = 2;
    /// A quarter-hour and what a batch has added.
    pub const PARTIAL: i16 = 3;
    /// The time up to which all requests are applied.
    pub const FRESH_THROUGH: i16 = 4;
}

fn history_statement(tenant: TenantId, flow_id: &str, edges: &Edges) -> Sql {
    let mut sql = Sql::new("-- read_flow_history\nWITH flow AS (SELECT created_at, time_zone FROM flow");
    of_flow(&mut sql, tenant, flow_id);
    sql.push(")\nSELECT 0::int2, created_at, time_zone, NULL::bytea FROM flow");
    // The index contains the counters of days.
    sql.push("\nUNION ALL SELECT 1::int2, day, NULL, counters FROM flow_day");
    of_flow(&mut sql, tenant, flow_id);
    sql.push("\nUNION ALL (SELECT 2::int2, day, NULL, quarters FROM flow_day");
    of_flow(&mut sql, tenant, flow_id);
    sql.push(" ORDER BY day LIMIT 1)");
    // One branch for each range instead of a join with an array: the planner overestimates the length of an
    // array and would plan the statement again each time.
    for range in &edges.within {
        sql.push("\nUNION ALL SELECT 2::int2, day, NULL, quarters FROM flow_day");
        of_flow(&mut sql, tenant, flow_id);
        sql.push(" AND day >= ").value(SystemTime::from(range.start), Type::TIMESTAMPTZ);
        sql.push(" AND day < ").value(SystemTime::from(range.end), Type::TIMESTAMPTZ);
        if edges.are_midnights {
            // In UTC no day contains a midnight other than its start.
            sql.push(" AND (SELECT time_zone FROM flow) <> 'UTC'");
        }
    }
    sql.push("\nUNION ALL SELECT 3::int2, bucket, NULL, counters FROM flow_partial");
    of_flow(&mut sql, tenant, flow_id);
    sql.push("\nUNION ALL SELECT 4::int2, (").push(FRESH_THROUGH).push("), NULL, NULL");
    sql
}

fn of_flow(sql: &mut Sql, tenant: TenantId, flow_id: &str) {
    sql.push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND flow_id = ").value(flow_id.to_owned(), Type::TEXT);
}

impl FlowHistory {
    /// Reads the rows of the statement. None if there is no such flow.
    fn read(tenant: TenantId, flow_id: &str, rows: Vec<Row>) -> Result<Option<Self>, StoreError> {
        let malformed = || malformed(tenant, flow_id);
        let (mut flow, mut fresh_through) = (None, None);
        let (mut days, mut quarters, mut partial) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut all = Counters::default();
        for row in rows {
            let time = row.get::<_, Option<SystemTime>>(1).map(Timestamp::from);
            match (row.get(0), time) {
                (kind::FLOW, Some(created_at)) => flow = Some((row.get(2), created_at)),
                (kind::DAY, Some(day)) => {
                    add_encoded_counters(&mut all, row.get(3)).ok_or_else(malformed)?;
                    days.insert(day, row);
                }
                (kind::QUARTERS, Some(day)) => drop(quarters.insert(day, row)),
                (kind::PARTIAL, Some(bucket)) => {
                    add_encoded_counters(&mut all, row.get(3)).ok_or_else(malformed)?;
                    partial.push((bucket, row));
                }
                (kind::FRESH_THROUGH, time) => fresh_through = time,
                (kind, time) => unreachable!("the statement has no row of kind {kind} at {time:?}"),
            }
        }
        let Some((time_zone, created_at)) = flow else { return Ok(None) };
        let folded = match quarters.first_key_value() {
            Some((day, row)) => {
                let quarter = first_quarter(row.get(3)).ok_or_else(malformed)?;
                Some(day.plus(QUARTER.width() * quarter.into()))
            }
            None => None,
        };
        Ok(Some(Self {
            tenant,
            flow_id: flow_id.to_owned(),
            time_zone,
            created_at,
            requests: all.requests(),
            first: partial.iter().map(|(bucket, _)| *bucket).chain(folded).min(),
            fresh_through,
            days,
            quarters,
            partial,
        }))
    }

    /// The sums of the counters in the buckets between consecutive edges, by the index of the bucket's first
    /// edge, in ascending order. Empty buckets are left out. Edges must be ascending. An edge that is not a
    /// multiple of a quarter-hour, as in the history of some time zones, is rounded down.
    pub fn counters(&self, edges: &[Timestamp]) -> Result<Vec<(usize, Counters)>, StoreError> {
        let edges: Vec<_> = edges.iter().map(|edge| edge.floor_to(QUARTER.width())).collect();
        let mut sums = Sums::new(&edges);
        let added = self.add_to(&mut sums, &cut_days(&edges));
        added.ok_or_else(|| malformed(self.tenant, &self.flow_id))?;
        Ok(sums.found())
    }

    /// Adds the whole history: the quarter-hours of the days in `cut`, which are ascending, and the totals of
    /// the other days. None if anything is corrupt.
    fn add_to(&self, sums: &mut Sums, cut: &[Timestamp]) -> Option<()> {
        for (day, row) in &self.days {
            if cut.binary_search(day).is_err() {
                sums.add(*day, row.get(3))?;
            } else {
                sums.add_quarters(*day, self.quarters.get(day)?.get(3))?;
            }
        }
        self.partial.iter().try_for_each(|(bucket, row)| sums.add(*bucket, row.get(3)))
    }
}

/// The sums between the edges.
struct Sums<'a> {
    edges: &'a [Timestamp],
    counters: Vec<Counters>,
    /// The bucket of the last addition. The next one is nearly always in the same bucket or the one after.
    place: usize,
}

impl<'a> Sums<'a> {
    fn new(edges: &'a [Timestamp]) -> Self {
        Self { edges, counters: vec![Counters::default(); edges.len().saturating_sub(1)], place: 0 }
    }

    /// Adds encoded counters of a time, unless it is outside the edges. None if the counters are corrupt.
    fn add(&mut self, time: Timestamp, counters: &[u8]) -> Option<()> {
        match self.place(time) {
            Some(place) => add_encoded_counters(&mut self.counters[place], counters),
            None => Some(()),
        }
    }

    /// Adds the encoded quarter-hours of a day, except for those outside the edges. None if they are corrupt.
    fn add_quarters(&mut self, day: Timestamp, quarters: &[u8]) -> Option<()> {
        let mut time = day;
        let places = [(); FlowDay::QUARTERS as usize].map(|()| {
            let place = self.place(time);
            time = time.plus(QUARTER.width());
            place
        });
        add_quarters(quarters, &places, &mut self.counters)
    }

    /// The bucket that contains a time.
    fn place(&mut self, time: Timestamp) -> Option<usize> {
        let is_in = |place: &usize| match self.edges.get(*place..place + 2) {
            Some([start, end]) => (*start..*end).contains(&time),
            _ => false,
        };
        let near = [self.place, self.place + 1].into_iter().find(is_in);
        let searched = || self.edges.partition_point(|edge| *edge <= time).checked_sub(1).filter(is_in);
        let place = near.or_else(searched);
        self.place = place.unwrap_or(self.place);
        place
    }

    fn found(self) -> Vec<(usize, Counters)> {
        let found = self.counters.into_iter().enumerate();
        found.filter(|(_, counters)| *counters != Counters::default()).collect()
    }
}

/// The days with an edge inside them, which are not contained in a single bucket.
fn cut_days(edges: &[Timestamp]) -> Vec<Timestamp> {
    let inner = edges.iter().filter(|edge| edge.floor_to(DAY.width()) != **edge);
    let mut days: Vec<_> = inner.map(|edge| edge.floor_to(DAY.width())).collect();
    days.dedup();
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::encoding::encode_counters;
    use flowmeter_core::calendar::Calendar;
    use flowmeter_core::flow::{Counter, Outcome};
    use flowmeter_core::range::TimeRange;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The starts of the buckets of November in a time zone.
    fn november(calendar: &str, zone: &str) -> Vec<Timestamp> {
        let zone = flowmeter_core::zone::zone(zone).unwrap();
        let calendar = calendar.parse::<Calendar>().unwrap().in_zone(zone);
        let month = TimeRange { start: at("2024-11-01T00:00:00Z"), end: at("2024-12-01T00:00:00Z") };
        calendar.bucket_starts(month, 1_000).unwrap()
    }

    #[test]
    fn quarter_hours_are_read_for_days_with_an_edge_inside() {
        assert_eq!(cut_days(&november("#P1D", "UTC")), []);
        assert_eq!(cut_days(&november("#P1M", "UTC")), []);
        assert_eq!(cut_days(&november("#PT1H", "UTC")).len(), 30);
        // A day in Kolkata begins at 18:30 UTC of the day before.
        assert_eq!(cut_days(&november("#P1D", "Asia/Kolkata")).len(), 31);
        let lifetime = [at("2024-10-31T18:30:00Z"), at("2024-11-30T18:30:00Z")];
        assert_eq!(cut_days(&lifetime), [at("2024-10-31T00:00:00Z"), at("2024-11-30T00:00:00Z")]);
    }

    #[test]
    fn counters_outside_the_edges_are_left_out() {
        let edges = ["2024-11-01T18:30:00Z", "2024-11-02T18:30:00Z", "2024-11-03T18:30:00Z"].map(at);
        let mut sums = Sums::new(&edges);
        // In no particular order, like partial rows.
        for (time, count) in [
            ("2024-11-03T18:15:00Z", 1),
            ("2024-11-01T18:15:00Z", 10),
            ("2024-11-01T18:30:00Z", 100),
            ("2024-11-03T18:30:00Z", 1_000),
            ("2024-11-02T18:15:00Z", 200),
            ("2024-11-02T18:30:00Z", 3),
        ] {
            let mut counters = Counters::default();
            counters.add(Counter::Requests(Outcome::Succeeded), count);
            sums.add(at(time), &encode_counters(&counters)).unwrap();
        }
        // 18:30 is after 74 quarter-hours.
        for (day, count) in
            [("2024-11-01T00:00:00Z", 5), ("2024-11-02T00:00:00Z", 7), ("2024-11-04T00:00:00Z", 9)]
        {
            let mut quarters = FlowDay::default();
            for (quarter, factor) in [(73, 1_000), (74, 100_000)] {
                quarters.add(quarter, &Counters::from_values(&[count * factor]).unwrap());
            }
            sums.add_quarters(at(day), &quarters.encode()).unwrap();
        }
        let found: Vec<_> =
            sums.found().into_iter().map(|(place, counters)| (place, counters.requests())).collect();
        assert_eq!(found, [(0, 507_300), (1, 700_004)]);
    }
}
