//! The progress of the workers, and so the time up to which answers are complete.
//!
//! Each subscription to a shard's queue has a row with its watermark: the time up to which every message that the worker
//! *has received or will receive* is applied. The watermark is the time of the oldest message that the worker holds, or of
//! the newest one that it received if it holds none, because the queue is in order of time. The minimum over all rows is
//! a correct watermark for all workers without any coordination: every older message was delivered to one of the workers
//! and is applied.
//!
//! Only messages that are returned to the broker break the order of the queue. So the row of a worker that
//! has left counts until every remaining worker of the shard has passed the time at which the last of the
//! departed workers had returned its messages. Returned messages are delivered before messages that are
//! enqueued later. So by then the remaining workers have received them, and their rows account for them.

use std::time::{Duration, SystemTime};

use deadpool_postgres::GenericClient;
use flowmeter_core::timestamp::Timestamp;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One subscription to one shard's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Generated for each subscription.
    pub id: Uuid,
    /// The shard.
    pub shard: u16,
}

/// A worker whose heartbeats have failed for this long must return its messages to the broker.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);
/// A worker without a heartbeat for this long has departed: it has stopped by itself or died, and the broker
/// has missed two of its heartbeats, of 10 s each, and has delivered its messages to others.
const DEPARTED_AFTER: Duration = Duration::from_secs(40);
/// The maximum time between a worker's departure and the return of its messages to the queue, by any clock
/// that determines when a message was enqueued.
const RETURNED_WITHIN: Duration = Duration::from_secs(2);
/// A shard without workers for this long no longer exists.
const SHARD_FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// Registers a worker, before it receives its first message. Returns the time up to which everything in its shard is
/// applied.
pub async fn join(store: &Store, worker: Worker) -> Result<Timestamp, StoreError> {
    let row = store
        .client()
        .await?
        .query_one(
            "-- join
             INSERT INTO worker_progress (worker_id, shard, applied_through, updated_at)
             SELECT $1, $2, coalesce(min(applied_through), to_timestamp(0)), clock_timestamp()
             FROM worker_progress WHERE shard = $2
             RETURNING applied_through",
            &[&worker.id, &worker.shard.cast_signed()],
        )
        .await?;
    Ok(Timestamp::from(row.get::<_, SystemTime>(0)))
}

/// Records the watermark of a worker, in the transaction of a batch.
pub(crate) async fn record(
    client: &impl GenericClient,
    worker: Worker,
    applied_through: Timestamp,
) -> Result<(), StoreError> {
    let statement = client
        .prepare_cached(
            "-- record_progress
             UPDATE worker_progress SET applied_through = $2, updated_at = clock_timestamp()
             WHERE worker_id = $1",
        )
        .await?;
    client.execute(&statement, &[&worker.id, &SystemTime::from(applied_through)]).await?;
    Ok(())
}

/// Records a heartbeat of a worker. Returns false if the worker has been removed: then others have received
/// its messages.
pub async fn heartbeat(store: &Store, worker: Worker) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- heartbeat\nUPDATE worker_progress SET updated_at = clock_timestamp() WHERE worker_id = $1",
        )
        .await?;
    Ok(client.execute(&statement, &[&worker.id]).await? == 1)
}

/// Records that a worker has left, after it returned all of its messages and the broker has confirmed this.
pub async fn leave(store: &Store, worker: Worker) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .execute(
            "-- leave\nUPDATE worker_progress SET left_at = clock_timestamp() WHERE worker_id = $1",
            &[&worker.id],
        )
        .await?;
    Ok(())
}

/// Removes departed workers, once the remaining workers of the shard account for the messages that they returned.
pub async fn forget_workers(store: &Store) -> Result<(), StoreError> {
    let seconds = [DEPARTED_AFTER, RETURNED_WITHIN, SHARD_FORGOTTEN_AFTER].map(|time| time.as_secs_f64());
    let [departed, returned, shard] = &seconds;
    store
        .client()
        .await?
        .execute(
            "-- forget_workers
             WITH worker AS (
                 SELECT worker_id, shard, applied_through,
                        coalesce(left_at, updated_at + make_interval(secs => $1)) AS gone_at
                 FROM worker_progress
             ), shard AS (
                 SELECT shard, max(gone_at) FILTER (WHERE gone_at < now()) AS gone_at,
                        min(applied_through) FILTER (WHERE gone_at >= now()) AS living_through
                 FROM worker GROUP BY shard
             )
             DELETE FROM worker_progress USING worker JOIN shard USING (shard)
             WHERE worker_progress.worker_id = worker.worker_id AND worker.gone_at < now()
               AND (shard.living_through > shard.gone_at + make_interval(secs => $2)
                    OR worker.gone_at < now() - make_interval(secs => $3))",
            &[departed, returned, shard],
        )
        .await?;
    Ok(())
}

/// The query of [`fresh_through`], for statements that also read something else.
pub(crate) const FRESH_THROUGH: &str =
    "SELECT nullif(min(applied_through), to_timestamp(0)) FROM worker_progress";

/// The time up to which all acknowledged requests are applied: no request that was enqueued before it is
/// waiting in any shard. None before the first request.
pub async fn fresh_through(client: &impl GenericClient) -> Result<Option<Timestamp>, StoreError> {
    let statement = client.prepare_cached(&format!("-- fresh_through\n{FRESH_THROUGH}")).await?;
    let time: Option<SystemTime> = client.query_one(&statement, &[]).await?.get(0);
    Ok(time.map(Timestamp::from))
}
