//! Folds partial rows into days.

use std::collections::BTreeMap;
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use flowmeter_core::ids::TenantId;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::encoding::{FlowDay, decode_counters, encode_counters};
use super::malformed;
use crate::rollups::FoldOutcome;
use crate::{Store, StoreError};

/// The advisory lock that lets one worker fold at a time.
const FOLD_LOCK: i64 = 0x666c_6f77_666c_6f77;
/// The maximum number of partial rows in one fold: enough to catch up, few enough to be fast and to fit in memory.
const FOLD_ROWS: usize = 20_000;

/// The number of days that are read, updated and written together. A day takes a few kilobytes of memory.
const CHUNK_DAYS: usize = 1_000;

/// The key of a row of `flow_day`, in the order of the primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FlowDayKey<'a> {
    tenant: Uuid,
    flow_id: &'a str,
    /// The start of the day in UTC.
    day: Timestamp,
}

/// What a fold adds to the days of flows.
type Added<'a> = BTreeMap<FlowDayKey<'a>, FlowDay>;

/// Folds some partial rows. Call it again while it folds as many as it can.
///
/// Only folds write days, so the days that are read under the lock do not change before they are written.
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
        let added: Vec<_> = added(&taken)?.into_iter().collect();
        for days in added.chunks(CHUNK_DAYS) {
            add(&transaction, days).await?;
        }
        transaction.commit().await?;
    }
    Ok(FoldOutcome::Folded { rows: taken.len() as u64, is_full: taken.len() == FOLD_ROWS })
}

/// Removes and returns some partial rows.
async fn take(transaction: &Transaction<'_>) -> Result<Vec<Row>, StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- take_flow_partials
             DELETE FROM flow_partial
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM flow_partial LIMIT $1))
             RETURNING tenant_id, flow_id, bucket, counters",
        )
        .await?;
    let limit = i64::try_from(FOLD_ROWS).expect("the limit is small");
    Ok(transaction.query(&statement, &[&limit]).await?)
}

/// What the partial rows add to days.
fn added(taken: &[Row]) -> Result<Added<'_>, StoreError> {
    let mut added = Added::new();
    for row in taken {
        let (tenant, flow_id) = (row.get(0), row.get(1));
        let counters = decode_counters(row.get(3)).ok_or_else(|| malformed(TenantId(tenant), flow_id))?;
        let bucket = Timestamp::from(row.get::<_, SystemTime>(2));
        let day = bucket.floor_to(Resolution::Day.width());
        let minutes = bucket.minutes() - day.minutes();
        let quarter = minutes / i64::from(Resolution::QuarterHour.minutes());
        let quarter = u8::try_from(quarter).expect("a day has 96 quarter-hours");
        added.entry(FlowDayKey { tenant, flow_id, day }).or_default().add(quarter, &counters);
    }
    Ok(added)
}

/// Reads some days, adds to them and writes them back.
async fn add(transaction: &Transaction<'_>, days: &[(FlowDayKey<'_>, FlowDay)]) -> Result<(), StoreError> {
    let read = transaction
        .prepare_cached(
            // OFFSET 0 makes the planner look up row by row through the index instead of reading the whole table.
            "-- read_flow_days
             SELECT place, found.quarters
             FROM unnest($1::uuid[], $2::text[], $3::timestamptz[])
                  WITH ORDINALITY AS added (tenant_id, flow_id, day, place),
             LATERAL (SELECT quarters FROM flow_day AS kept
                      WHERE kept.tenant_id = added.tenant_id AND kept.flow_id = added.flow_id
                        AND kept.day = added.day
                      OFFSET 0) AS found
             ORDER BY place",
        )
        .await?;
    let write = transaction
        .prepare_cached(
            "-- write_flow_days
             INSERT INTO flow_day (tenant_id, flow_id, day, counters, quarters)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bytea[], $5::bytea[])
             ON CONFLICT (tenant_id, flow_id, day)
             DO UPDATE SET counters = excluded.counters, quarters = excluded.quarters",
        )
        .await?;
    let tenants: Vec<_> = days.iter().map(|(key, _)| key.tenant).collect();
    let flows: Vec<_> = days.iter().map(|(key, _)| key.flow_id).collect();
    let begins: Vec<_> = days.iter().map(|(key, _)| SystemTime::from(key.day)).collect();
    let rows = transaction.query(&read, &[&tenants, &flows, &begins]).await?;
    let mut kept = rows.iter().peekable();
    let (mut counters, mut quarters) = (Vec::with_capacity(days.len()), Vec::with_capacity(days.len()));
    for (place, (key, added)) in (1_i64..).zip(days) {
        let mut day = added.clone();
        if let Some(row) = kept.next_if(|row| row.get::<_, i64>(0) == place) {
            day.add_encoded(row.get(1)).ok_or_else(|| malformed(TenantId(key.tenant), key.flow_id))?;
        }
        counters.push(encode_counters(&day.total()));
        quarters.push(day.encode());
    }
    transaction.execute(&write, &[&tenants, &flows, &begins, &counters, &quarters]).await?;
    Ok(())
}
