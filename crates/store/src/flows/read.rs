//! Reads the counters of a flow. Folding moves them from partial rows to roll-ups in one transaction,
//! so one statement reads both, and counts everything once.

use std::error::Error;
use std::time::SystemTime;

use bytes::Buf;
use deadpool_postgres::GenericClient;
use flowmeter_core::flow::{Counter, Counters, Outcome};
use flowmeter_core::ids::TenantId;
use flowmeter_core::plan::{Piece, Resolution, Source, cover};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::{FromSql, Type};

use crate::copy::POSTGRES_EPOCH_MICROS;
use crate::sql::Sql;
use crate::{Store, StoreError};

/// The resolutions in which counters are kept, fine before coarse.
const RESOLUTIONS: &[Resolution] = Resolution::ALL.split_at(1).1;

/// The sums of some counters in the buckets from one edge to the next, by the index of the bucket's
/// first edge. Buckets without anything are left out. Edges are ascending, and multiples of a quarter
/// of an hour; others, of which there are some in the history of zones, count as the one before them.
pub async fn read_counters(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
    edges: &[Timestamp],
    counters: &[Counter],
) -> Result<Vec<(usize, Counters)>, StoreError> {
    let edges: Vec<_> = edges.iter().map(|edge| edge.floor_to(Resolution::Quarter.width())).collect();
    let Some(sql) = counters_statement(tenant, flow_id, &edges, counters) else { return Ok(Vec::new()) };
    let rows = sql.query_prepared(store).await?;
    let row = rows.first().expect("an aggregate has one row");
    let buckets = row.get::<_, Option<Integers>>(0).unwrap_or_default();
    let place = |micros: i64| {
        let bucket = Timestamp::from_micros(micros + POSTGRES_EPOCH_MICROS);
        edges.partition_point(|edge| *edge <= bucket) - 1
    };
    let places: Vec<_> = buckets.0.into_iter().map(place).collect();
    let mut sums = vec![Counters::default(); edges.len()];
    for (index, counter) in counters.iter().enumerate() {
        let counts = row.get::<_, Option<Integers>>(index + 1).unwrap_or_default();
        for (place, count) in places.iter().zip(counts.0) {
            sums[*place].add(*counter, count);
        }
    }
    let found = sums.into_iter().enumerate();
    Ok(found.filter(|(_, counters)| *counters != Counters::default()).collect())
}

/// The one statement that reads counters, as an array for each of them: sending rows one by one takes
/// longer than reading them. None if no time lies between the
/// edges.
fn counters_statement(
    tenant: TenantId,
    flow_id: &str,
    edges: &[Timestamp],
    counters: &[Counter],
) -> Option<Sql> {
    let pieces = cover(edges, RESOLUTIONS);
    let (first, last) = (pieces.first()?.range.start, pieces.last()?.range.end);
    let times = |times: &mut dyn Iterator<Item = Timestamp>| times.map(SystemTime::from).collect::<Vec<_>>();
    let resolutions = pieces.iter().map(|piece| match piece.source {
        Source::Rollup(resolution) => resolution.minutes(),
        Source::Events => unreachable!("the finest resolution tells all edges apart"),
    });

    // Where many rows make one bucket PostgreSQL adds them up, and else it takes longer to than to send them.
    let is_grouped = is_much_finer(&pieces, edges.len());
    let mut sql = Sql::new("-- read_counters\nSELECT array_agg(bucket)");
    for counter in counters {
        sql.push(", array_agg(").push(counter.name()).push(")");
    }
    if is_grouped {
        sql.push("\nFROM (SELECT min(bucket) AS bucket");
        for counter in counters {
            sql.push(", least(coalesce(sum(").push(counter.name());
            sql.push("), 0), 9223372036854775807)::bigint AS ");
            sql.push(counter.name());
        }
    }
    // Piece by piece through the primary key: OFFSET 0 keeps the planner, who does not know how long
    // pieces are, from reading all of the flow.
    sql.push("\nFROM (SELECT found.* FROM unnest(");
    sql.value(resolutions.collect::<Vec<_>>(), Type::INT2_ARRAY).push(", ");
    sql.value(times(&mut pieces.iter().map(|piece| piece.range.start)), Type::TIMESTAMPTZ_ARRAY).push(", ");
    sql.value(times(&mut pieces.iter().map(|piece| piece.range.end)), Type::TIMESTAMPTZ_ARRAY);
    sql.push(") AS piece (resolution, starts, ends), LATERAL (");
    from_flow(&mut sql, "flow_rollup", tenant, flow_id, counters);
    sql.push(
        " AND resolution = piece.resolution AND bucket >= piece.starts AND bucket < piece.ends OFFSET 0",
    );
    sql.push(") AS found\nUNION ALL ");
    from_flow(&mut sql, "flow_rollup_partial", tenant, flow_id, counters);
    sql.push(" AND bucket >= ").value(SystemTime::from(first), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(last), Type::TIMESTAMPTZ).push(") AS part");
    if is_grouped {
        let edges = times(&mut edges.iter().copied());
        sql.push("\nGROUP BY width_bucket(bucket, ").value(edges, Type::TIMESTAMPTZ_ARRAY).push(")) AS sums");
    }
    Some(sql)
}

/// Whether pieces have more than a few rows for each of so many buckets.
fn is_much_finer(pieces: &[Piece], buckets: usize) -> bool {
    const FEW: u64 = 5;
    let rows: u64 = pieces
        .iter()
        .filter_map(|piece| match piece.source {
            Source::Rollup(resolution) => {
                Some(piece.range.end.since(piece.range.start).as_secs() / resolution.width().as_secs())
            }
            Source::Events => None,
        })
        .sum();
    rows > FEW * buckets as u64
}

/// The counters and the bucket of the rows of a flow.
fn from_flow(sql: &mut Sql, table: &'static str, tenant: TenantId, flow_id: &str, counters: &[Counter]) {
    sql.push("SELECT bucket");
    for counter in counters {
        sql.push(", ").push(counter.name());
    }
    sql.push(" FROM ").push(table).push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND flow_id = ").value(flow_id.to_owned(), Type::TEXT);
}

/// An array of integers of 64 bits, or of times in microseconds of PostgreSQL, where NULL is 0. There are tens
/// of thousands in an answer: read as `Vec<Option<_>>` they take a quarter of the time of the whole call.
#[derive(Debug, Default)]
struct Integers(Vec<i64>);

impl<'a> FromSql<'a> for Integers {
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
        let mut all = Vec::with_capacity(length.min(raw.len() / 4));
        for _ in 0..length {
            all.push(if raw.try_get_i32()? < 0 { 0 } else { raw.try_get_i64()? });
        }
        Ok(Self(all))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::INT8_ARRAY || *of == Type::TIMESTAMPTZ_ARRAY
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
    let requests = Outcome::ALL.map(|outcome| format!("coalesce(sum({}), 0)", outcome.name())).join(" + ");
    let flow = "tenant_id = $1 AND flow_id = $2";
    let sql = format!(
        "-- history
         SELECT least(sum(requests), 9223372036854775807)::bigint, min(first) FROM (
             SELECT {requests}, NULL FROM flow_rollup WHERE {flow} AND resolution = $3
             UNION ALL SELECT 0, min(bucket) FROM flow_rollup WHERE {flow} AND resolution = $4
             UNION ALL SELECT {requests}, min(bucket) FROM flow_rollup_partial WHERE {flow}
         ) AS part (requests, first)"
    );
    let (coarsest, finest) = (Resolution::Day.minutes(), Resolution::Quarter.minutes());
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_one(&statement, &[&tenant.0, &flow_id, &coarsest, &finest]).await?;
    Ok(History { requests: row.get(0), first: row.get::<_, Option<SystemTime>>(1).map(Timestamp::from) })
}
