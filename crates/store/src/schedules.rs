//! Schedules of executions, and those whose deadline has passed.

use std::time::{Duration, SystemTime};

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::{Store, StoreError};

/// A state of a schedule, as a request reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule<'a> {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its id.
    pub id: &'a str,
    /// The integration, the instance and the command.
    pub labels: [&'a str; 3],
    /// The number of remaining items.
    pub items_remaining: i64,
    /// The time until which the items are tried.
    pub deadline: Timestamp,
    /// The id of the update, which orders the states of a schedule.
    pub update: EventId,
}

/// Stores states of schedules. Two requests of the same millisecond may have states with the same update id.
/// Of these, the state with fewer remaining items is kept, whichever arrives first.
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
pub struct OverdueSchedule {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its id.
    pub id: String,
    /// The integration, the instance and the command.
    pub labels: [String; 3],
    /// The number of remaining items.
    pub items_remaining: i64,
    /// The deadline.
    pub deadline: Timestamp,
}

/// The maximum difference between the clocks of the ingest services, which determine the time up to which
/// everything is applied. That time must have passed the deadline by this much.
const GRACE: Duration = Duration::from_secs(2);

/// The schedules whose deadline was found to have passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OverdueSchedules {
    /// The schedules with items remaining.
    pub overdue: Vec<OverdueSchedule>,
    /// Whether there may be more.
    pub is_full: bool,
}

/// Finds schedules with a deadline that has passed, and before which all acknowledged requests are applied,
/// so that no report that is still in the queue can close the schedule. This is only known while every shard
/// has a worker.
///
/// A state counts unless a later one was reported before its deadline. A report after the deadline neither
/// closes nor postpones the schedule, so the outcome does not depend on when deadlines are examined.
/// Therefore a state that was reported after its own deadline counts only if it is the first state with that
/// deadline.
pub async fn list_overdue(store: &Store, shards: u16, limit: i64) -> Result<OverdueSchedules, StoreError> {
    let client = store.client().await?;
    let statement =
        client.prepare_cached("-- list_overdue\nSELECT count(DISTINCT shard) FROM worker_progress").await?;
    let served: i64 = client.query_one(&statement, &[]).await?.get(0);
    if served < i64::from(shards) {
        return Ok(OverdueSchedules::default());
    }
    let Some(through) = crate::progress::fresh_through(&client).await? else {
        return Ok(OverdueSchedules::default());
    };
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
                   -- Not by the clocks of the ingest services alone, one of which may be fast.
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
    let overdue = |row: &tokio_postgres::Row| OverdueSchedule {
        tenant: TenantId(row.get(0)),
        id: row.get(1),
        labels: [row.get(2), row.get(3), row.get(4)],
        items_remaining: row.get(5),
        deadline: Timestamp::from(row.get::<_, SystemTime>(6)),
    };
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found == limit);
    let overdue = rows.iter().filter(|row| !row.get::<_, bool>(7)).map(overdue).collect();
    Ok(OverdueSchedules { overdue, is_full })
}

/// Records that the items that remained at a deadline have been reported.
pub async fn settle_schedule(store: &Store, overdue: &OverdueSchedule) -> Result<(), StoreError> {
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

/// How long ended states of a schedule are kept after they were written: longer than a report of the schedule
/// can be in the queue.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// Deletes states that ended long ago, unless an earlier state still needs them to be recognized as replaced.
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
            &[&KEPT_FOR.as_secs_f64()],
        )
        .await?;
    Ok(forgotten)
}
