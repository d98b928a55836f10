//! Reads the counters of a flow. Folding moves them from partial rows to days in one transaction, so one
//! statement reads both, and counts everything once.

use std::time::SystemTime;

use deadpool_postgres::GenericClient;
use flowmeter_core::flow::{Counters, quarters};
use flowmeter_core::ids::TenantId;
use flowmeter_core::plan::Resolution;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use super::malformed;
use crate::sql::Sql;
use crate::{Store, StoreError};

const DAY: Resolution = Resolution::Day;
const QUARTER: Resolution = Resolution::Quarter;

/// The sums of the counters in the buckets from one edge to the next, by the index of the bucket's
/// first edge. Buckets without anything are left out. Edges are ascending, and multiples of a quarter
/// of an hour; others, of which there are some in the history of zones, count as the one before them.
pub async fn read_counters(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
    edges: &[Timestamp],
) -> Result<Vec<(usize, Counters)>, StoreError> {
    let edges: Vec<_> = edges.iter().map(|edge| edge.floor_to(QUARTER.width())).collect();
    let Some(sql) = counters_statement(tenant, flow_id, &edges) else { return Ok(Vec::new()) };
    let mut sums = Sums::new(&edges);
    let malformed = || malformed(tenant, flow_id);
    for row in &sql.query_prepared(store).await? {
        let begin = Timestamp::from(row.get::<_, SystemTime>(0));
        if let Some(counters) = row.get::<_, Option<&[u8]>>(1) {
            sums.add(begin, counters).ok_or_else(malformed)?;
        }
        for found in quarters(row.get::<_, Option<&[u8]>>(2).unwrap_or_default()) {
            let (quarter, counters) = found.ok_or_else(malformed)?;
            let time = begin.plus(QUARTER.width() * quarter.into());
            sums.add(time, counters).ok_or_else(malformed)?;
        }
    }
    Ok(sums.found())
}

/// What is found between the edges.
struct Sums<'a> {
    edges: &'a [Timestamp],
    counters: Vec<Counters>,
    /// Where the last was added, because the next is nearly always there or right after it.
    place: usize,
}

impl<'a> Sums<'a> {
    fn new(edges: &'a [Timestamp]) -> Self {
        Self { edges, counters: vec![Counters::default(); edges.len().saturating_sub(1)], place: 0 }
    }

    /// Adds the counters that the store keeps of a time, unless it lies outside of the edges. None if they are
    /// malformed.
    fn add(&mut self, time: Timestamp, counters: &[u8]) -> Option<()> {
        let Some(place) = self.place(time) else { return Some(()) };
        self.place = place;
        self.counters[place].add_bytes(counters)
    }

    fn place(&self, time: Timestamp) -> Option<usize> {
        let is_in = |place: &usize| match self.edges.get(*place..place + 2) {
            Some([start, end]) => (*start..*end).contains(&time),
            _ => false,
        };
        let near = [self.place, self.place + 1].into_iter().find(is_in);
        let searched = || self.edges.partition_point(|edge| *edge <= time).checked_sub(1).filter(is_in);
        near.or_else(searched)
    }

    fn found(self) -> Vec<(usize, Counters)> {
        let found = self.counters.into_iter().enumerate();
        found.filter(|(_, counters)| *counters != Counters::default()).collect()
    }
}

/// The days in which an edge lies: they are not as a whole in one bucket.
fn cut_days(edges: &[Timestamp]) -> Vec<Timestamp> {
    let inner = edges.iter().filter(|edge| edge.floor_to(DAY.width()) != **edge);
    let mut days: Vec<_> = inner.map(|edge| edge.floor_to(DAY.width())).collect();
    days.dedup();
    days
}

/// The one statement that reads counters. A row has a time and the counters of a day that is as a whole in one bucket,
/// the quarters of a day that is not, or the counters of a partial row. None if no time lies between the edges.
fn counters_statement(tenant: TenantId, flow_id: &str, edges: &[Timestamp]) -> Option<Sql> {
    let (first, last) = (*edges.first()?, *edges.last()?);
    if first >= last {
        return None;
    }
    let cut: Vec<_> = cut_days(edges).into_iter().map(SystemTime::from).collect();
    let mut sql = Sql::new("-- read_counters\nSELECT day, CASE WHEN day = ANY (");
    sql.value(cut.clone(), Type::TIMESTAMPTZ_ARRAY).push(") THEN NULL ELSE counters END");
    sql.push(", CASE WHEN day = ANY (").value(cut, Type::TIMESTAMPTZ_ARRAY).push(") THEN quarters END");
    sql.push(" FROM flow_day WHERE ");
    of_flow(&mut sql, tenant, flow_id);
    sql.push(" AND day >= ").value(SystemTime::from(first.floor_to(DAY.width())), Type::TIMESTAMPTZ);
    sql.push(" AND day < ").value(SystemTime::from(last), Type::TIMESTAMPTZ);
    sql.push("\nUNION ALL SELECT bucket, counters, NULL FROM flow_partial WHERE ");
    of_flow(&mut sql, tenant, flow_id);
    sql.push(" AND bucket >= ").value(SystemTime::from(first), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(last), Type::TIMESTAMPTZ);
    Some(sql)
}

fn of_flow(sql: &mut Sql, tenant: TenantId, flow_id: &str) {
    sql.push("tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND flow_id = ").value(flow_id.to_owned(), Type::TEXT);
}

/// What a flow has had so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// All its requests.
    pub requests: i64,
    /// When the earliest quarter of an hour begins that has anything. None if there is nothing.
    pub first: Option<Timestamp>,
}

/// What a flow has had so far.
pub async fn history(
    client: &impl GenericClient,
    tenant: TenantId,
    flow_id: &str,
) -> Result<History, StoreError> {
    let statement = client
        .prepare_cached(
            "-- history
             SELECT ARRAY(SELECT counters FROM flow_day WHERE tenant_id = $1 AND flow_id = $2
                          UNION ALL SELECT counters FROM flow_partial WHERE tenant_id = $1 AND flow_id = $2),
                    (SELECT min(bucket) FROM flow_partial WHERE tenant_id = $1 AND flow_id = $2),
                    day, quarters
             FROM (SELECT) AS one
             LEFT JOIN (SELECT day, quarters FROM flow_day WHERE tenant_id = $1 AND flow_id = $2
                        ORDER BY day LIMIT 1) AS first ON true",
        )
        .await?;
    let row = client.query_one(&statement, &[&tenant.0, &flow_id]).await?;
    let malformed = || malformed(tenant, flow_id);
    let mut all = Counters::default();
    for counters in row.get::<_, Vec<&[u8]>>(0) {
        all.add_bytes(counters).ok_or_else(malformed)?;
    }
    let time = |column| row.get::<_, Option<SystemTime>>(column).map(Timestamp::from);
    let first_quarter = match quarters(row.get::<_, Option<&[u8]>>(3).unwrap_or_default()).next() {
        Some(found) => Some(found.ok_or_else(malformed)?.0),
        None => None,
    };
    let folded = time(2).zip(first_quarter).map(|(day, quarter)| day.plus(QUARTER.width() * quarter.into()));
    Ok(History { requests: all.requests(), first: folded.into_iter().chain(time(1)).min() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::calendar::Calendar;
    use flowmeter_core::flow::{Counter, Outcome};
    use flowmeter_core::range::TimeRange;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The beginnings of the buckets of November in a zone.
    fn november(calendar: &str, zone: &str) -> Vec<Timestamp> {
        let zone = flowmeter_core::zone::zone(zone).unwrap();
        let calendar = calendar.parse::<Calendar>().unwrap().in_zone(zone);
        let month = TimeRange { start: at("2024-11-01T00:00:00Z"), end: at("2024-12-01T00:00:00Z") };
        calendar.bucket_starts(month, 1_000).unwrap()
    }

    #[test]
    fn quarters_are_read_of_days_in_which_a_bucket_ends() {
        assert_eq!(cut_days(&november("#P1D", "UTC")), []);
        assert_eq!(cut_days(&november("#P1M", "UTC")), []);
        assert_eq!(cut_days(&november("#PT1H", "UTC")).len(), 30);
        // A day there begins at half past six in the evening of the day before.
        assert_eq!(cut_days(&november("#P1D", "Asia/Kolkata")).len(), 31);
        let lifetime = [at("2024-10-31T18:30:00Z"), at("2024-11-30T18:30:00Z")];
        assert_eq!(cut_days(&lifetime), [at("2024-10-31T00:00:00Z"), at("2024-11-30T00:00:00Z")]);
    }

    #[test]
    fn what_lies_outside_of_the_edges_is_left_out() {
        let edges = ["2024-11-01T18:30:00Z", "2024-11-02T18:30:00Z", "2024-11-03T18:30:00Z"].map(at);
        let mut sums = Sums::new(&edges);
        // In no order: partial rows have none.
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
            sums.add(at(time), &counters.to_bytes()).unwrap();
        }
        let found: Vec<_> =
            sums.found().into_iter().map(|(place, counters)| (place, counters.requests())).collect();
        assert_eq!(found, [(0, 300), (1, 4)]);
    }
}
