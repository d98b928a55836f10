//! Scheduled commands of executions, and those whose deadline has passed.

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

/// Keeps states of schedules. Of two that nothing orders, which two requests of one millisecond may have at the same
/// place, it keeps the one with fewer items, whichever comes first.
pub(crate) async fn insert_schedules<'a>(
    transaction: &Transaction<'_>,
    schedules: impl Iterator<Item = &'a Schedule<'a>>,
) -> Result<(), StoreError> {
    let states: Vec<_> = schedules.collect();
    if states.is_empty() {
        return Ok(());
    }
    let of = |field: fn(&Schedule<'a>) -> &'a str| states.iter().map(|one| field(one)).collect::<Vec<_>>();
    let tenants: Vec<_> = states.iter().map(|one| one.tenant.0).collect();
    let updates: Vec<_> = states.iter().map(|one| one.update.0).collect();
    let items: Vec<_> = states.iter().map(|one| one.items_remaining).collect();
    let deadlines: Vec<_> = states.iter().map(|one| SystemTime::from(one.deadline)).collect();
    let statement = transaction
        .prepare_cached(
            "-- insert_schedules
             INSERT INTO execution_schedule (tenant_id, schedule_id, update_id, integration, instance, command,
                                             items_remaining, deadline)
             SELECT DISTINCT ON (1, 2, 3) *
             FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                         $7::bigint[], $8::timestamptz[])
                 AS given (tenant, id, update, integration, instance, command, items, deadline)
             ORDER BY tenant, id, update, items, deadline, integration, instance, command
             ON CONFLICT (tenant_id, schedule_id, update_id) DO UPDATE
             SET items_remaining = excluded.items_remaining, deadline = excluded.deadline,
                 integration = excluded.integration, instance = excluded.instance, command = excluded.command
             WHERE (excluded.items_remaining, excluded.deadline, excluded.integration, excluded.instance,
                    excluded.command)
                 < (execution_schedule.items_remaining, execution_schedule.deadline, execution_schedule.integration,
                    execution_schedule.instance, execution_schedule.command)",
        )
        .await?;
    transaction
        .execute(
            &statement,
            &[
                &tenants,
                &of(|one| one.id),
                &updates,
                &of(|one| one.labels[0]),
                &of(|one| one.labels[1]),
                &of(|one| one.labels[2]),
                &items,
                &deadlines,
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

/// What was found at deadlines that have passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The schedules with items remaining.
    pub overdue: Vec<Overdue>,
    /// Whether there may be more.
    pub is_full: bool,
}

/// Looks at some deadlines that have passed, and before which everything that was acknowledged is applied,
/// so that no report on its way can still close a schedule. That is only known while every shard is served.
///
/// A state counts unless a later one was reported up to its deadline. What is reported after it neither closes
/// nor moves the schedule, whether or not anybody has looked meanwhile; so the outcome does not depend on when
/// that happens. Therefore a state that was reported after its own deadline counts only if it is the first of that
/// deadline: what had remained by an earlier one has been decided.
pub async fn list_overdue(store: &Store, shards: u16, limit: i64) -> Result<Due, StoreError> {
    let client = store.client().await?;
    let statement =
        client.prepare_cached("-- list_overdue\nSELECT count(DISTINCT shard) FROM worker_progress").await?;
    let served: i64 = client.query_one(&statement, &[]).await?.get(0);
    if served < i64::from(shards) {
        return Ok(Due::default());
    }
    let Some(through) = crate::progress::fresh_through(&client).await? else { return Ok(Due::default()) };
    let through = SystemTime::from(through.minus(GRACE));
    let statement = client
        .prepare_cached(
            "-- list_overdue
             WITH due AS MATERIALIZED (
                 SELECT *, EXISTS (
                     SELECT FROM execution_schedule AS later
                     WHERE later.tenant_id = state.tenant_id AND later.schedule_id = state.schedule_id
                       AND later.update_id > state.update_id
                       AND event_timestamp(later.update_id) <= state.deadline)
                     OR event_timestamp(update_id) > deadline AND EXISTS (
                     SELECT FROM execution_schedule AS earlier
                     WHERE earlier.tenant_id = state.tenant_id AND earlier.schedule_id = state.schedule_id
                       AND earlier.update_id < state.update_id
                       AND earlier.deadline = state.deadline) AS is_replaced
                 FROM execution_schedule AS state
                 WHERE items_remaining > 0 AND NOT is_settled
                   -- Not by the clocks of the ingest services alone, of which one may be fast.
                   AND deadline <= least($1, clock_timestamp() - make_interval(secs => $2))
                 ORDER BY deadline, tenant_id, schedule_id, update_id LIMIT $3
             ), replaced AS (
                 UPDATE execution_schedule AS state SET is_settled = true FROM due
                 WHERE is_replaced AND state.tenant_id = due.tenant_id
                   AND state.schedule_id = due.schedule_id AND state.update_id = due.update_id
             )
             SELECT tenant_id, schedule_id, integration, instance, command, items_remaining, deadline, is_replaced
             FROM due ORDER BY deadline, tenant_id, schedule_id, update_id",
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
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found == limit);
    let overdue = rows.iter().filter(|row| !row.get::<_, bool>(7)).map(overdue).collect();
    Ok(Due { overdue, is_full })
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

/// How long the states of a schedule are remembered after they have ended and were written: longer than a report of it
/// can be on its way.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// Forgets states that ended long ago, and that no earlier one needs to know that it was replaced.
pub async fn forget_schedules(store: &Store) -> Result<u64, StoreError> {
    let client = store.client().await?;
    let forgotten = client
        .execute(
            "-- forget_schedules
             DELETE FROM execution_schedule AS state
             WHERE (items_remaining = 0 OR is_settled)
               AND greatest(deadline, written_at) < now() - make_interval(secs => $1)
               AND NOT EXISTS (
                   SELECT FROM execution_schedule AS earlier
                   WHERE earlier.tenant_id = state.tenant_id AND earlier.schedule_id = state.schedule_id
                     AND earlier.update_id < state.update_id
                     AND earlier.items_remaining > 0 AND NOT earlier.is_settled)",
            &[&REMEMBERED.as_secs_f64()],
        )
        .await?;
    Ok(forgotten)
}
