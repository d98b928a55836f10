//! One shard: takes messages from its queue, applies them in order, and acknowledges
//! what is committed. While a transaction runs the next one gathers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_queue::{Backoff, Settings, Subscription};
use flowmeter_service::telemetry;
use flowmeter_store::batch::Writer;
use flowmeter_store::progress::{self, Progress, Worker};
use flowmeter_store::{Store, StoreError};
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::Batching;
use crate::apply::{Abandoned, Applier, DeadLetter};
use crate::gather::{Gathered, Held};

/// How often a worker says how far it is.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// A transaction that is under way: it has the applier, and gives it back.
type Applying = BoxFuture<'static, (Applier, Gathered, Result<Vec<DeadLetter>, Abandoned>)>;

/// The consumer of one shard.
pub struct Shard {
    store: Store,
    settings: Settings,
    batching: Batching,
    worker: Worker,
    /// Shards without a connection, for the health check.
    disconnected: Arc<AtomicUsize>,
}

impl Shard {
    pub fn new(
        store: Store,
        settings: Settings,
        shard: u16,
        batching: Batching,
        disconnected: Arc<AtomicUsize>,
    ) -> Self {
        let worker = Worker { id: Uuid::now_v7(), shard };
        Self { store, settings, batching, worker, disconnected }
    }

    /// Works until `stop`, connecting again whenever the broker was away.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let opened = Subscription::open(&self.settings, self.worker.shard, self.batching.prefetch).await;
            let outcome = match opened {
                Ok(subscription) => {
                    tracing::info!(shard = self.worker.shard, "consuming");
                    backoff.reset();
                    self.disconnected.fetch_sub(1, Ordering::Relaxed);
                    let outcome = self.consume(subscription, &stop).await;
                    self.disconnected.fetch_add(1, Ordering::Relaxed);
                    outcome
                }
                Err(error) => Err(Abandoned::Queue(error)),
            };
            if let Err(Abandoned::Queue(error)) = outcome {
                let wait = backoff.next_wait();
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(shard = self.worker.shard, %error, wait_ms, "the broker is away; trying again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        if let Err(error) = progress::leave(&self.store, self.worker).await {
            tracing::debug!(%error, "could not say goodbye");
        }
    }

    /// Consumes until `stop`, or until the broker is away.
    async fn consume(
        &self,
        mut subscription: Subscription,
        stop: &CancellationToken,
    ) -> Result<(), Abandoned> {
        let held = Held::nothing();
        let writer = Writer::new(self.store.clone(), self.worker);
        let mut idle =
            Some(Applier { store: self.store.clone(), writer, held: held.clone(), stop: stop.clone() });
        let mut applying: Option<Applying> = None;
        let mut gathered = Gathered::default();
        let mut reported = Instant::now();
        let mut reached = Timestamp::EPOCH;
        let mut items_before = 0;
        loop {
            let due = gathered.due(self.batching, items_before);
            if due.is_some_and(|due| due <= Instant::now())
                && let Some(applier) = idle.take()
            {
                held.clear();
                items_before = gathered.items;
                applying = Some(apply(applier, std::mem::take(&mut gathered)));
                continue;
            }
            let stopping = stop.is_cancelled();
            if stopping && applying.is_none() {
                // What was gathered and not begun goes back to the broker.
                subscription.close().await;
                return Ok(());
            }
            tokio::select! {
                biased;
                (applier, messages, outcome) = under_way(&mut applying) => {
                    applying = None;
                    settle(&subscription, &applier, &messages, outcome?).await?;
                    idle = Some(applier);
                    reached = reached.max(messages.newest.unwrap_or(reached));
                    reported = Instant::now();
                }
                delivery = subscription.next(), if !stopping && !gathered.is_full(self.batching) => {
                    let delivery = delivery?;
                    held.add(delivery.enqueued_at);
                    gathered.add(delivery);
                }
                () = sleep_until(due), if applying.is_none() => {}
                () = stop.cancelled(), if !stopping => {}
                () = tokio::time::sleep_until(reported + REPORT_INTERVAL), if applying.is_none() => {
                    self.report(reached, &held).await;
                    reported = Instant::now();
                }
            }
        }
    }

    /// Says how far this worker is, while there is nothing to apply.
    async fn report(&self, reached: Timestamp, held: &Held) {
        let progress = Progress { applied_through: reached, holds_from: held.oldest() };
        let reported: Result<(), StoreError> = progress::report(&self.store, self.worker, progress).await;
        if let Err(error) = reported {
            tracing::debug!(%error, "progress could not be reported");
        }
    }
}

fn apply(mut applier: Applier, gathered: Gathered) -> Applying {
    let span = tracing::info_span!("apply", messages = gathered.messages.len());
    let trace = gathered.messages.iter().find_map(|(delivery, _)| delivery.trace.as_deref());
    telemetry::continue_traceparent(&span, trace);
    let applying = async move {
        let outcome = applier.apply(&gathered).await;
        (applier, gathered, outcome)
    };
    Box::pin(applying.instrument(span))
}

/// Writes the dead letters, then that they are dead, and then acknowledges everything: in
/// this order, so that a crash in between repeats and loses nothing.
async fn settle(
    subscription: &Subscription,
    applier: &Applier,
    messages: &Gathered,
    dead: Vec<DeadLetter>,
) -> Result<(), Abandoned> {
    for letter in &dead {
        let (delivery, _) = &messages.messages[letter.message];
        subscription.bury(delivery, &letter.data, &letter.reason).await?;
    }
    for letter in &dead {
        applier.record_death(letter).await?;
    }
    if let Some(tag) = messages.last_tag() {
        subscription.ack_through(tag).await?;
    }
    Ok(())
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
