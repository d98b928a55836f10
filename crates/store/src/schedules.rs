//! Scheduled commands of executions, and those whose deadline has passed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// The state of a scheduled command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: &'a str,
    /// The integration, the instance and the command.
    pub labels: [&'a str; 3],
    /// How many items remain.
    pub items_remaining: i64,
    /// Until when they are tried.
    pub deadline: Timestamp,
    /// Orders the states of one schedule.
    pub update: EventId,
}

/// Keeps the last state of each schedule. A state that is older than the one that is kept changes nothing,
/// and one deadline stays settled once it is.
pub(crate) async fn upsert_schedules<'a>(
    transaction: &Transaction<'_>,
    schedules: impl Iterator<Item = &'a Schedule<'a>>,
) -> Result<(), StoreError> {
    // The last of each, and in the same order everywhere, so that two workers cannot deadlock.
    let mut last: BTreeMap<(TenantId, &str), &Schedule<'_>> = BTreeMap::new();
    for schedule in schedules {
        let slot = last.entry((schedule.tenant, schedule.id)).or_insert(schedule);
        if slot.update < schedule.update {
            *slot = schedule;
        }
    }
    if last.is_empty() {
        return Ok(());
    }
    let of = |field: fn(&Schedule<'a>) -> &'a str| last.values().map(|one| field(one)).collect::<Vec<_>>();
    let tenants: Vec<_> = last.values().map(|one| one.tenant.0).collect();
    let items: Vec<_> = last.values().map(|one| one.items_remaining).collect();
    let deadlines: Vec<_> = last.values().map(|one| SystemTime::from(one.deadline)).collect();
    let updates: Vec<_> = last.values().map(|one| one.update.0).collect();
    let statement = transaction
        .prepare_cached(
            "-- upsert_schedules
             INSERT INTO execution_schedule AS kept
             SELECT *, false FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                                         $7::timestamptz[], $8::uuid[])
             ON CONFLICT (tenant_id, schedule_id) DO UPDATE SET
                 integration = excluded.integration, instance = excluded.instance, command = excluded.command,
                 items_remaining = excluded.items_remaining, deadline = excluded.deadline,
                 update_id = excluded.update_id,
                 is_settled = kept.is_settled AND kept.deadline = excluded.deadline
             WHERE kept.update_id < excluded.update_id",
        )
        .await?;
    transaction
        .execute(
            &statement,
            &[
                &tenants,
                &of(|one| one.id),
                &of(|one| one.labels[0]),
                &of(|one| one.labels[1]),
                &of(|one| one.labels[2]),
                &items,
                &deadlines,
                &updates,
            ],
        )
        .await?;
    Ok(())
}

/// A schedule whose deadline has passed with items remaining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: String,
    /// The integration, the instance and the command.
    pub labels: [String; 3],
    /// How many items remain.
    pub items_remaining: i64,
    /// The deadline.
    pub deadline: Timestamp,
}

/// How much longer than to the deadline everything has to be applied: that time is told by the clocks of the
/// ingest services, which may differ by so much.
const GRACE: Duration = Duration::from_secs(2);

/// Some schedules whose deadline has passed, and before which everything that was acknowledged is applied,
/// so that no report on its way can still close them. That is only known while every shard is served.
pub async fn list_overdue(store: &Store, shards: u16, limit: i64) -> Result<Vec<Overdue>, StoreError> {
    let client = store.client().await?;
    let statement =
        client.prepare_cached("-- list_overdue\nSELECT count(DISTINCT shard) FROM worker_progress").await?;
    let served: i64 = client.query_one(&statement, &[]).await?.get(0);
    if served < i64::from(shards) {
        return Ok(Vec::new());
    }
    let Some(through) = crate::progress::fresh_through(&client).await? else { return Ok(Vec::new()) };
    let through = SystemTime::from(through.minus(GRACE));
    let statement = client
        .prepare_cached(
            "-- list_overdue
             SELECT tenant_id, schedule_id, integration, instance, command, items_remaining, deadline
             FROM execution_schedule
             WHERE items_remaining > 0 AND NOT is_settled
               -- Not by the clocks of the ingest services alone, of which one may be fast.
               AND deadline <= least($1, clock_timestamp() - make_interval(secs => $2))
             ORDER BY deadline LIMIT $3",
        )
        .await?;
    let rows = client.query(&statement, &[&through, &GRACE.as_secs_f64(), &limit]).await?;
    let overdue = |row: &tokio_postgres::Row| Overdue {
        tenant: TenantId(row.get(0)),
        id: row.get(1),
        labels: [row.get(2), row.get(3), row.get(4)],
        items_remaining: row.get(5),
        deadline: Timestamp::from(row.get::<_, SystemTime>(6)),
    };
    Ok(rows.iter().map(overdue).collect())
}

/// Notes that what remained at a deadline has been reported.
pub async fn settle_schedule(store: &Store, overdue: &Overdue) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .query_typed(
            "-- settle_schedule
             UPDATE execution_schedule SET is_settled = true
             WHERE tenant_id = $1 AND schedule_id = $2 AND deadline = $3",
            &[
                (&overdue.tenant.0, Type::UUID),
                (&overdue.id, Type::TEXT),
                (&SystemTime::from(overdue.deadline), Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// How long a schedule that is closed or settled is remembered: longer than a report of it can be on its
/// way, so that none opens it again.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// Forgets schedules that ended long ago.
pub async fn forget_schedules(store: &Store) -> Result<u64, StoreError> {
    let client = store.client().await?;
    let forgotten = client
        .execute(
            "-- forget_schedules
             DELETE FROM execution_schedule
             WHERE (items_remaining = 0 OR is_settled)
               AND greatest(deadline, event_timestamp(update_id)) < now() - make_interval(secs => $1)",
            &[&REMEMBERED.as_secs_f64()],
        )
        .await?;
    Ok(forgotten)
}
