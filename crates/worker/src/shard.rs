//! One shard: receives messages from its queue, applies them in order, and acknowledges what is committed.
//! While a transaction runs, the next batch gathers.

use std::time::Duration;

use flowmeter_queue::{Connections, QueueError, Session, Settings, Subscription};
use flowmeter_service::retry::{Retry, Stopping, pause};
use flowmeter_service::telemetry;
use flowmeter_store::batch::Writer;
use flowmeter_store::progress::{self, HEARTBEAT_TIMEOUT, Worker, heartbeat};
use flowmeter_store::{Store, StoreError};
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::Batching;
use crate::apply::Applier;
use crate::dead_letters::{self, DeadLetter};
use crate::gather::{MessageBatch, PendingBatch, Watermark};

/// How often a worker sends its heartbeat to the database.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    /// The worker was asked to stop. Messages that are not applied go back to the broker.
    #[error(transparent)]
    Stopping(#[from] Stopping),
    /// The broker or the connection to it failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The worker could not be registered.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other workers assume that this worker is dead, and take over its messages.
    #[error("the database received no heartbeat of this worker for {} s", HEARTBEAT_TIMEOUT.as_secs())]
    NoHeartbeat,
}

/// A running transaction. It owns the applier, and returns it.
type Applying = BoxFuture<'static, (Applier, MessageBatch, Result<Vec<DeadLetter>, Stopping>)>;

/// The consumer of one shard.
pub struct Shard {
    pub store: Store,
    pub settings: Settings,
    pub index: u16,
    pub batching: Batching,
    /// The connections of all shards, for the health check.
    pub connections: Connections,
}

impl Shard {
    /// Consumes messages until `stop`. Subscribes again whenever the broker or the database was unavailable.
    pub async fn run(self, stop: CancellationToken) {
        let mut retry = Retry::new("consume");
        while !stop.is_cancelled() {
            match self.subscribe(&mut retry, &stop).await {
                Ok(()) | Err(Interrupted::Stopping(Stopping)) => {}
                Err(error) => {
                    let wait = retry.failed(&error, Duration::ZERO);
                    let _ = pause(wait, &stop).await;
                }
            }
        }
    }

    /// Subscribes, and consumes messages until `stop` or until the broker or the database is unavailable. For
    /// the database, each subscription is a separate worker: its unacknowledged messages are delivered to
    /// others.
    async fn subscribe(&self, retry: &mut Retry, stop: &CancellationToken) -> Result<(), Interrupted> {
        let session = Session::open(&self.settings, self.index, self.batching.prefetch).await?;
        let worker = Worker { id: Uuid::now_v7(), shard: self.index };
        let joined = Instant::now();
        let watermark = Watermark::starting_at(progress::join(&self.store, worker).await?);
        let mut subscription = session.subscribe().await?;
        tracing::info!(shard = self.index, "consuming");
        retry.succeeded();
        let open = self.connections.open();
        let outcome = tokio::select! {
            outcome = self.consume(&mut subscription, worker, watermark, stop) => outcome,
            () = self.send_heartbeats(worker, joined) => Err(Interrupted::NoHeartbeat),
        };
        drop(open);
        // Messages that were received but are not being applied go back to the broker. If the broker does not
        // confirm this, the worker does not leave, and counts as dead.
        let left = match subscription.close().await {
            Ok(()) => progress::leave(&self.store, worker).await.map_err(Interrupted::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = left {
            tracing::debug!(shard = self.index, %error, "cannot record that this worker left");
        }
        outcome
    }

    /// Sends heartbeats, and ends when the database has received none for too long.
    async fn send_heartbeats(&self, worker: Worker, joined: Instant) {
        let mut retry = Retry::every(HEARTBEAT_INTERVAL, "send a heartbeat");
        let mut last = joined;
        while last.elapsed() < HEARTBEAT_TIMEOUT {
            tokio::time::sleep(HEARTBEAT_INTERVAL).await;
            let sent = Instant::now();
            let sending = heartbeat(&self.store, worker);
            match tokio::time::timeout_at(last + HEARTBEAT_TIMEOUT, sending).await {
                Ok(Ok(true)) => {
                    retry.succeeded();
                    last = sent;
                }
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    retry.failed(&error, Duration::ZERO);
                }
            }
        }
    }

    /// Consumes until `stop`, or until the broker is unavailable.
    async fn consume(
        &self,
        subscription: &mut Subscription,
        worker: Worker,
        watermark: Watermark,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        let mut pending = PendingBatch::new(self.batching, watermark.clone());
        let writer = Writer::new(self.store.clone(), worker);
        let mut idle = Some(Applier::new(writer, watermark, stop.clone()));
        let mut applying: Option<Applying> = None;
        loop {
            let due = pending.due();
            if due.is_some_and(|due| due <= Instant::now())
                && let Some(applier) = idle.take()
            {
                applying = Some(apply(applier, pending.take()));
                continue;
            }
            let stopping = stop.is_cancelled();
            if stopping && applying.is_none() {
                return Ok(());
            }
            tokio::select! {
                biased;
                (applier, batch, dead) = under_way(&mut applying) => {
                    applying = None;
                    self.settle(subscription, &batch, &dead?, stop).await?;
                    idle = Some(applier);
                }
                delivery = subscription.next(), if !stopping && !pending.is_full() => pending.push(delivery?),
                () = sleep_until(due), if applying.is_none() => {}
                () = stop.cancelled(), if !stopping => {}
            }
        }
    }

    /// Publishes the dead letters, records that they are dead, and then acknowledges the batch: in this
    /// order, so that a crash in between repeats a step and loses nothing.
    async fn settle(
        &self,
        subscription: &Subscription,
        batch: &MessageBatch,
        dead: &[DeadLetter],
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        dead_letters::publish(dead, batch, subscription).await?;
        dead_letters::record(dead, &self.store, stop).await?;
        if let Some(tag) = batch.last_tag() {
            subscription.ack_through(tag).await?;
        }
        Ok(())
    }
}

fn apply(mut applier: Applier, batch: MessageBatch) -> Applying {
    let span = tracing::info_span!("apply", messages = batch.messages.len());
    telemetry::continue_traceparent(&span, batch.trace());
    let applying = async move {
        let dead = applier.apply(&batch).await;
        (applier, batch, dead)
    };
    Box::pin(applying.instrument(span))
}

async fn under_way(applying: &mut Option<Applying>) -> <Applying as Future>::Output {
    match applying {
        Some(applying) => applying.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
