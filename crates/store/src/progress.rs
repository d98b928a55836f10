//! How far the workers have come, and so up to which time the answers are complete.
//!
//! Each subscription to a shard's queue has a row. It says through which time everything is applied that
//! the worker *was ever given or will be given*: the oldest message that it holds, or the newest that it
//! was given if it holds none, because the queue is in order of time. The least of the rows is therefore a
//! true promise without any agreement between workers: a message that is older was given to one of them
//! and is applied.
//!
//! Only what is given back breaks the order of the queue. So the row of a worker that is gone counts as
//! before, until every living worker of the shard is past the time at which the last of those that are
//! gone had given back everything. What is given back is delivered before what is enqueued later, so by
//! then the living ones have been given it, and their rows speak for it.

use std::time::{Duration, SystemTime};

use deadpool_postgres::GenericClient;
use flowmeter_core::timestamp::Timestamp;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One subscription to one shard's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Made anew for each subscription.
    pub id: Uuid,
    /// The shard.
    pub shard: u16,
}

/// A worker that cannot say for so long that it lives has to give back what it holds.
pub const SILENT_AT_MOST: Duration = Duration::from_secs(15);
/// A worker that was not heard of for so long is gone: it has given up by itself or died, and the broker has
/// noticed two missed heartbeats, of 10 s each, and has given its messages to others.
const GONE_AFTER: Duration = Duration::from_secs(40);
/// How much later than a worker was gone its messages are in the queue again, by any clock that says when a
/// message was enqueued.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(2);
/// A shard that nobody has served for so long is no more.
const SHARD_FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// Makes a worker known, before it is given its first message. Returns through which time everything of its
/// shard is applied.
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

/// Records through which time a worker has applied everything, with a batch.
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

/// Says that a worker lives. Returns false if it has been forgotten: then others have what it holds.
pub async fn touch(store: &Store, worker: Worker) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- touch\nUPDATE worker_progress SET updated_at = clock_timestamp() WHERE worker_id = $1",
        )
        .await?;
    Ok(client.execute(&statement, &[&worker.id]).await? == 1)
}

/// Records that a worker has given back everything that it held, and that the broker knows.
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

/// Forgets the workers of a shard that are gone, once all that live speak for what they have given back.
pub async fn forget_workers(store: &Store) -> Result<(), StoreError> {
    let seconds = [GONE_AFTER, GIVEN_BACK_WITHIN, SHARD_FORGOTTEN_AFTER].map(|time| time.as_secs_f64());
    let [gone, given_back, shard] = &seconds;
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
            &[gone, given_back, shard],
        )
        .await?;
    Ok(())
}

/// Selects what [`fresh_through`] returns, for statements that read something else as well.
pub(crate) const FRESH_THROUGH: &str =
    "SELECT nullif(min(applied_through), to_timestamp(0)) FROM worker_progress";

/// The time up to which acknowledged requests are applied: none of any shard is waiting that was enqueued
/// before it. None before the first.
pub async fn fresh_through(client: &impl GenericClient) -> Result<Option<Timestamp>, StoreError> {
    let statement = client.prepare_cached(&format!("-- fresh_through\n{FRESH_THROUGH}")).await?;
    let time: Option<SystemTime> = client.query_one(&statement, &[]).await?.get(0);
    Ok(time.map(Timestamp::from))
}
