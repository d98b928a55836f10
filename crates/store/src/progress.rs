//! How far the workers have come, and so up to which time the answers are complete.

use std::time::{Duration, SystemTime};

use deadpool_postgres::GenericClient;
use flowmeter_core::timestamp::Timestamp;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One consumer of one shard's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Made anew whenever one starts.
    pub id: Uuid,
    /// The shard.
    pub shard: u16,
}

/// How far a worker has come. Times are those at which messages were enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The newest message that it has applied, itself included where it is recorded
    /// with a batch.
    pub applied_through: Timestamp,
    /// The oldest message that it holds and has not applied.
    pub holds_from: Option<Timestamp>,
}

/// A worker that was not heard of for so long is gone: the broker has noticed two missed
/// heartbeats by then, and has given its messages to others.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(40);
/// A shard that nobody has served for so long is no more.
const SHARD_FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// Records a worker's progress.
pub(crate) async fn record(
    client: &impl GenericClient,
    worker: Worker,
    progress: Progress,
) -> Result<(), StoreError> {
    let statement = client
        .prepare_cached(
            "-- record_progress
             INSERT INTO worker_progress VALUES ($1, $2, $3, $4, clock_timestamp())
             ON CONFLICT (worker_id) DO UPDATE SET
                 applied_through = greatest(worker_progress.applied_through, excluded.applied_through),
                 holds_from = excluded.holds_from,
                 updated_at = excluded.updated_at",
        )
        .await?;
    let applied = SystemTime::from(progress.applied_through);
    let holds = progress.holds_from.map(SystemTime::from);
    client.execute(&statement, &[&worker.id, &worker.shard.cast_signed(), &applied, &holds]).await?;
    Ok(())
}

/// Records a worker's progress outside of a batch.
pub async fn report(store: &Store, worker: Worker, progress: Progress) -> Result<(), StoreError> {
    record(&store.client().await?, worker, progress).await
}

/// Forgets workers that are gone, where others have come further.
pub async fn forget_workers(store: &Store) -> Result<(), StoreError> {
    let (worker, shard) = (FORGOTTEN_AFTER.as_secs_f64(), SHARD_FORGOTTEN_AFTER.as_secs_f64());
    store
        .client()
        .await?
        .execute(
            "-- forget_workers
             DELETE FROM worker_progress AS gone
             WHERE updated_at < clock_timestamp() - make_interval(secs => $2)
                OR (updated_at < clock_timestamp() - make_interval(secs => $1) OR updated_at = 'infinity')
                   AND EXISTS (SELECT FROM worker_progress AS newer
                               WHERE newer.shard = gone.shard
                                 AND newer.worker_id <> gone.worker_id
                                 AND newer.applied_through >= gone.applied_through)",
            &[&worker, &shard],
        )
        .await?;
    Ok(())
}

/// Records that a worker stops in order: it holds nothing any more.
pub async fn leave(store: &Store, worker: Worker) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .execute(
            "-- leave
             UPDATE worker_progress SET holds_from = NULL, updated_at = 'infinity' WHERE worker_id = $1",
            &[&worker.id],
        )
        .await?;
    Ok(())
}

/// The time up to which acknowledged requests are applied: none of any shard is known to
/// be waiting that was enqueued before it. None before the first.
pub async fn fresh_through(client: &impl GenericClient) -> Result<Option<Timestamp>, StoreError> {
    let statement = client
        .prepare_cached(
            "-- fresh_through
             SELECT min(through) FROM (
                 SELECT least(max(applied_through), min(coalesce(holds_from, updated_at))) AS through
                 FROM worker_progress GROUP BY shard
             ) AS shard",
        )
        .await?;
    let time: Option<SystemTime> = client.query_one(&statement, &[]).await?.get(0);
    Ok(time.map(Timestamp::from))
}
