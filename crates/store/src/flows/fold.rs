//! Folds partial rows into the counters of every resolution.

use std::collections::BTreeMap;
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use flowmeter_core::flow::Counters;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{RESOLUTIONS, read_kept};
use crate::rollups::FoldOutcome;
use crate::{Store, StoreError};

/// One fold at a time, whichever worker runs it.
const FOLD_LOCK: i64 = 0x666c_6f77_666c_6f77;
/// Partial rows that one fold takes: enough to catch up, little enough to be quick and to hold in memory.
const FOLD_ROWS: usize = 20_000;

/// The counters of each tenant, flow, resolution in minutes and bucket: in the order of the primary key.
type Sums<'a> = BTreeMap<(Uuid, &'a str, i16, Timestamp), Counters>;

/// Folds some partial rows. Ask again while it takes as many as it can.
///
/// Nobody else writes what is folded, so what is read under the lock stays true until it is written.
pub async fn fold_flow_partials(store: &Store) -> Result<FoldOutcome, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let lock = transaction
        .query_one("-- fold_flow_partials\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK])
        .await?;
    if !lock.get::<_, bool>(0) {
        return Ok(FoldOutcome::Busy);
    }
    let taken = take(&transaction).await?;
    if !taken.is_empty() {
        let mut sums = sums(&taken)?;
        add_kept(&transaction, &mut sums).await?;
        write(&transaction, &sums).await?;
        transaction.commit().await?;
    }
    Ok(FoldOutcome::Folded { rows: taken.len() as u64, is_full: taken.len() == FOLD_ROWS })
}

/// Removes partial rows.
async fn take(transaction: &Transaction<'_>) -> Result<Vec<Row>, StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- take_flow_partials
             DELETE FROM flow_rollup_partial
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM flow_rollup_partial LIMIT $1))
             RETURNING tenant_id, flow_id, bucket, counters",
        )
        .await?;
    let limit = i64::try_from(FOLD_ROWS).expect("it is small");
    Ok(transaction.query(&statement, &[&limit]).await?)
}

/// What partial rows add to the buckets of every resolution.
fn sums(taken: &[Row]) -> Result<Sums<'_>, StoreError> {
    let mut sums = Sums::new();
    for row in taken {
        let counters = read_kept(row.get(3))?;
        let bucket = Timestamp::from(row.get::<_, SystemTime>(2));
        for resolution in RESOLUTIONS {
            let key = (row.get(0), row.get(1), resolution.minutes(), bucket.floor_to(resolution.width()));
            sums.entry(key).or_default().merge(&counters);
        }
    }
    Ok(sums)
}

/// Adds what the buckets have already.
async fn add_kept(transaction: &Transaction<'_>, sums: &mut Sums<'_>) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached(
            // Row by row through the index: OFFSET 0 keeps the planner from reading the whole table.
            "-- read_folded_flows
             SELECT place, found.counters
             FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[])
                  WITH ORDINALITY AS sum (tenant_id, flow_id, resolution, bucket, place),
             LATERAL (SELECT counters FROM flow_rollup AS kept
                      WHERE kept.tenant_id = sum.tenant_id AND kept.flow_id = sum.flow_id
                        AND kept.resolution = sum.resolution AND kept.bucket = sum.bucket
                      OFFSET 0) AS found
             ORDER BY place",
        )
        .await?;
    let Keys { tenants, flows, resolutions, buckets } = Keys::of(sums);
    let rows = transaction.query(&statement, &[&tenants, &flows, &resolutions, &buckets]).await?;
    let mut kept = rows.iter().peekable();
    for (place, counters) in (1_i64..).zip(sums.values_mut()) {
        if let Some(row) = kept.next_if(|row| row.get::<_, i64>(0) == place) {
            counters.merge(&read_kept(row.get(1))?);
        }
    }
    Ok(())
}

/// Writes buckets in place of what they were.
async fn write(transaction: &Transaction<'_>, sums: &Sums<'_>) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- write_folded_flows
             INSERT INTO flow_rollup (tenant_id, flow_id, resolution, bucket, counters)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[], $5::bytea[])
             ON CONFLICT (tenant_id, flow_id, resolution, bucket) DO UPDATE SET counters = excluded.counters",
        )
        .await?;
    let Keys { tenants, flows, resolutions, buckets } = Keys::of(sums);
    let counters: Vec<_> = sums.values().map(Counters::to_bytes).collect();
    transaction.execute(&statement, &[&tenants, &flows, &resolutions, &buckets, &counters]).await?;
    Ok(())
}

/// The columns of the keys, in their order.
struct Keys<'a> {
    tenants: Vec<Uuid>,
    flows: Vec<&'a str>,
    resolutions: Vec<i16>,
    buckets: Vec<SystemTime>,
}

impl<'a> Keys<'a> {
    fn of(sums: &Sums<'a>) -> Self {
        Self {
            tenants: sums.keys().map(|(tenant, ..)| *tenant).collect(),
            flows: sums.keys().map(|(_, flow, ..)| *flow).collect(),
            resolutions: sums.keys().map(|(_, _, resolution, _)| *resolution).collect(),
            buckets: sums.keys().map(|(.., bucket)| SystemTime::from(*bucket)).collect(),
        }
    }
}
