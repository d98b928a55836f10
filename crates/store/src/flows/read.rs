//! Reads the counters of a flow. Folding moves them from partial rows to roll-ups in one transaction,
//! so one statement reads both, and counts everything once.

use std::error::Error;
use std::time::SystemTime;

use bytes::Buf;
use deadpool_postgres::GenericClient;
use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::plan::{Piece, Resolution, Source, cover};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::{FromSql, Type};

use super::{RESOLUTIONS, read_kept};
use crate::copy::POSTGRES_EPOCH_MICROS;
use crate::sql::Sql;
use crate::{Store, StoreError};

/// The sums of the counters in the buckets from one edge to the next, by the index of the bucket's
/// first edge. Buckets without anything are left out. Edges are ascending, and multiples of a quarter
/// of an hour; others, of which there are some in the history of zones, count as the one before them.
pub async fn read_counters(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
    edges: &[Timestamp],
) -> Result<Vec<(usize, Counters)>, StoreError> {
    let edges: Vec<_> = edges.iter().map(|edge| edge.floor_to(Resolution::Quarter.width())).collect();
    let scans = scans(&cover(&edges, RESOLUTIONS));
    let Some(sql) = counters_statement(tenant, flow_id, &edges, &scans) else { return Ok(Vec::new()) };
    let mut sums = vec![Counters::default(); edges.len()];
    for row in &sql.query_prepared(store).await? {
        // Partial rows come last, of no scan, and are all meant.
        let scan = usize::try_from(row.get::<_, i32>(0)).ok().and_then(|index| scans.get(index));
        let buckets = row.get::<_, Option<Times>>(1).unwrap_or_default();
        let kept = row.get::<_, Option<Vec<&[u8]>>>(2).unwrap_or_default();
        for (bucket, bytes) in buckets.0.into_iter().zip(kept) {
            if scan.is_none_or(|scan| scan.is_meant(bucket)) {
                let place = edges.partition_point(|edge| *edge <= bucket) - 1;
                sums[place].merge(&read_kept(bytes)?);
            }
        }
    }
    let found = sums.into_iter().enumerate();
    Ok(found.filter(|(_, counters)| *counters != Counters::default()).collect())
}

/// The buckets of one resolution that are to be read.
#[derive(Debug, PartialEq, Eq)]
struct Scan {
    resolution: Resolution,
    /// Ascending.
    ranges: Vec<TimeRange>,
}

impl Scan {
    /// Whether a bucket is to be read.
    fn is_meant(&self, bucket: Timestamp) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= bucket);
        self.ranges[..after].last().is_some_and(|range| bucket < range.end)
    }

    /// From the first bucket to the last.
    fn span(&self) -> Option<TimeRange> {
        Some(TimeRange { start: self.ranges.first()?.start, end: self.ranges.last()?.end })
    }

    fn buckets(&self) -> impl Iterator<Item = Timestamp> {
        let width = self.resolution.width();
        let of = move |range: &TimeRange| {
            let end = range.end;
            std::iter::successors(Some(range.start), move |bucket| Some(bucket.plus(width)))
                .take_while(move |bucket| *bucket < end)
        };
        self.ranges.iter().flat_map(of)
    }

    /// The buckets one by one, where those that lie between them would be more than they are.
    fn listed(&self) -> Option<Vec<SystemTime>> {
        let span = self.span()?;
        let spanned = span.end.since(span.start).as_secs() / self.resolution.width().as_secs();
        let is_sparse = spanned > 2 * self.buckets().count() as u64;
        is_sparse.then(|| self.buckets().map(SystemTime::from).collect())
    }
}

/// Pieces by their resolutions.
fn scans(pieces: &[Piece]) -> Vec<Scan> {
    let of = |resolution: &Resolution| {
        let those = pieces.iter().filter(|piece| piece.source == Source::Rollup(*resolution));
        Scan { resolution: *resolution, ranges: those.map(|piece| piece.range).collect() }
    };
    RESOLUTIONS.iter().map(of).filter(|scan| !scan.ranges.is_empty()).collect()
}

/// The one statement that reads counters: for each scan a row with its number and two arrays, because sending
/// rows one by one takes longer than reading them, and one for the partial rows. None if no time lies between
/// the edges.
///
/// A scan reads through the primary key, from its first bucket to its last or one by one: by the pieces of
/// each day it took as long to begin them as to read them.
fn counters_statement(tenant: TenantId, flow_id: &str, edges: &[Timestamp], scans: &[Scan]) -> Option<Sql> {
    let range = TimeRange { start: *edges.first()?, end: *edges.last()? };
    if scans.is_empty() {
        return None;
    }
    let mut sql = Sql::new("-- read_counters\n");
    for (index, scan) in scans.iter().enumerate() {
        sql.push("SELECT ").index(index);
        from_flow(&mut sql, "flow_rollup", tenant, flow_id);
        sql.push(" AND resolution = ").value(scan.resolution.minutes(), Type::INT2);
        match scan.listed() {
            Some(buckets) => {
                sql.push(" AND bucket = ANY (").value(buckets, Type::TIMESTAMPTZ_ARRAY).push(")");
            }
            None => within(&mut sql, scan.span()?),
        }
        sql.push("\nUNION ALL ");
    }
    sql.push("SELECT -1");
    from_flow(&mut sql, "flow_rollup_partial", tenant, flow_id);
    within(&mut sql, range);
    Some(sql)
}

/// The buckets and the counters of the rows of a flow.
fn from_flow(sql: &mut Sql, table: &'static str, tenant: TenantId, flow_id: &str) {
    sql.push(", array_agg(bucket), array_agg(counters) FROM ").push(table);
    sql.push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND flow_id = ").value(flow_id.to_owned(), Type::TEXT);
}

/// ` AND` the bucket lies in a range.
fn within(sql: &mut Sql, range: TimeRange) {
    sql.push(" AND bucket >= ").value(SystemTime::from(range.start), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(range.end), Type::TIMESTAMPTZ);
}

/// An array of times without NULLs. Read as `Vec<SystemTime>` they take as long as all the rest.
#[derive(Debug, Default)]
struct Times(Vec<Timestamp>);

impl<'a> FromSql<'a> for Times {
    fn from_sql(_: &Type, mut raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // Dimensions, whether there are NULLs, and the type of the elements; of the one dimension the
        // length and where it begins.
        let dimensions = raw.try_get_i32()?;
        raw.try_get_i64()?;
        if dimensions == 0 {
            return Ok(Self::default());
        }
        let length = usize::try_from(raw.try_get_i32()?)?;
        raw.try_get_i32()?;
        let mut all = Vec::with_capacity(length.min(raw.len() / 12));
        for _ in 0..length {
            raw.try_get_i32()?;
            all.push(Timestamp::from_micros(raw.try_get_i64()? + POSTGRES_EPOCH_MICROS));
        }
        Ok(Self(all))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ_ARRAY
    }
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
             SELECT array_agg(counters), min(first) FROM (
                 SELECT counters, NULL FROM flow_rollup
                 WHERE tenant_id = $1 AND flow_id = $2 AND resolution = $3
                 UNION ALL SELECT NULL, min(bucket) FROM flow_rollup
                 WHERE tenant_id = $1 AND flow_id = $2 AND resolution = $4
                 UNION ALL SELECT counters, bucket FROM flow_rollup_partial
                 WHERE tenant_id = $1 AND flow_id = $2
             ) AS part (counters, first)",
        )
        .await?;
    let (coarsest, finest) = (Resolution::Day.minutes(), Resolution::Quarter.minutes());
    let row = client.query_one(&statement, &[&tenant.0, &flow_id, &coarsest, &finest]).await?;
    let mut all = Counters::default();
    for bytes in row.get::<_, Vec<Option<&[u8]>>>(0).into_iter().flatten() {
        all.merge(&read_kept(bytes)?);
    }
    let first = row.get::<_, Option<SystemTime>>(1).map(Timestamp::from);
    Ok(History { requests: all.requests(), first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::calendar::Calendar;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The scans for days of November in a zone.
    fn days(zone: &str) -> Vec<Scan> {
        let zone = flowmeter_core::zone::zone(zone).unwrap();
        let days = "#P1D".parse::<Calendar>().unwrap().in_zone(zone);
        let month = TimeRange { start: at("2024-11-01T00:00:00Z"), end: at("2024-12-01T00:00:00Z") };
        scans(&cover(&days.bucket_starts(month, 100).unwrap(), RESOLUTIONS))
    }

    #[test]
    fn hours_are_read_through_and_odd_quarters_one_by_one() {
        let shown = |zone: &str| {
            let shown = |scan: &Scan| (scan.resolution, scan.listed().map(|buckets| buckets.len()));
            days(zone).iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(shown("UTC"), [(Resolution::Day, None)]);
        assert_eq!(shown("America/Los_Angeles"), [(Resolution::Hour, None)]);
        assert_eq!(shown("Asia/Kolkata"), [(Resolution::Quarter, Some(120)), (Resolution::Hour, None)]);
    }

    #[test]
    fn what_lies_between_is_not_meant() {
        let [quarters, hours] = &days("Asia/Kolkata")[..] else { panic!("there are two") };
        // A day in Kolkata begins at half past six in the evening.
        for (time, is_hour) in [("17:00", true), ("18:00", false), ("19:00", true), ("20:00", true)] {
            let bucket = at(&format!("2024-11-07T{time}:00Z"));
            assert_eq!((hours.is_meant(bucket), quarters.is_meant(bucket)), (is_hour, !is_hour), "{time}");
        }
        assert!(!hours.is_meant(at("2024-10-01T00:00:00Z")) && !hours.is_meant(at("2025-01-01T00:00:00Z")));
    }
}
