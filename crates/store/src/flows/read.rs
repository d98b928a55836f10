//! Reads the counters of a flow. Folding moves them from partial rows to roll-ups in one transaction,
//! so one statement reads both, and counts everything once.

use std::error::Error;
use std::time::SystemTime;

use bytes::Buf;
use deadpool_postgres::GenericClient;
use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::plan::{Resolution, Source, cover};
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
    let Some(sql) = counters_statement(tenant, flow_id, &edges) else { return Ok(Vec::new()) };
    let rows = sql.query_prepared(store).await?;
    let row = rows.first().expect("an aggregate has one row");
    let buckets = row.get::<_, Option<Times>>(0).unwrap_or_default();
    let kept = row.get::<_, Option<Vec<&[u8]>>>(1).unwrap_or_default();
    let mut sums = vec![Counters::default(); edges.len()];
    for (bucket, bytes) in buckets.0.into_iter().zip(kept) {
        let place = edges.partition_point(|edge| *edge <= bucket) - 1;
        sums[place].merge(&read_kept(bytes)?);
    }
    let found = sums.into_iter().enumerate();
    Ok(found.filter(|(_, counters)| *counters != Counters::default()).collect())
}

/// The one statement that reads counters, as two arrays: sending rows one by one takes longer than
/// reading them. None if no time lies between the edges.
fn counters_statement(tenant: TenantId, flow_id: &str, edges: &[Timestamp]) -> Option<Sql> {
    let pieces = cover(edges, RESOLUTIONS);
    let (first, last) = (pieces.first()?.range.start, pieces.last()?.range.end);
    let times = |times: &mut dyn Iterator<Item = Timestamp>| times.map(SystemTime::from).collect::<Vec<_>>();
    let resolutions = pieces.iter().map(|piece| match piece.source {
        Source::Rollup(resolution) => resolution.minutes(),
        Source::Events => unreachable!("the finest resolution tells all edges apart"),
    });
    let mut sql = Sql::new("-- read_counters\nSELECT array_agg(bucket), array_agg(counters)");
    // Piece by piece through the primary key: OFFSET 0 keeps the planner, who does not know how long
    // pieces are, from reading all of the flow.
    sql.push("\nFROM (SELECT found.* FROM unnest(");
    sql.value(resolutions.collect::<Vec<_>>(), Type::INT2_ARRAY).push(", ");
    sql.value(times(&mut pieces.iter().map(|piece| piece.range.start)), Type::TIMESTAMPTZ_ARRAY).push(", ");
    sql.value(times(&mut pieces.iter().map(|piece| piece.range.end)), Type::TIMESTAMPTZ_ARRAY);
    sql.push(") AS piece (resolution, starts, ends), LATERAL (");
    from_flow(&mut sql, "flow_rollup", tenant, flow_id);
    sql.push(
        " AND resolution = piece.resolution AND bucket >= piece.starts AND bucket < piece.ends OFFSET 0",
    );
    sql.push(") AS found\nUNION ALL ");
    from_flow(&mut sql, "flow_rollup_partial", tenant, flow_id);
    sql.push(" AND bucket >= ").value(SystemTime::from(first), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(last), Type::TIMESTAMPTZ).push(") AS part");
    Some(sql)
}

/// The counters and the bucket of the rows of a flow.
fn from_flow(sql: &mut Sql, table: &'static str, tenant: TenantId, flow_id: &str) {
    sql.push("SELECT bucket, counters FROM ").push(table);
    sql.push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND flow_id = ").value(flow_id.to_owned(), Type::TEXT);
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
