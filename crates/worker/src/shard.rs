//! One shard: takes messages from its queue, applies them in order, and acknowledges
//! what is committed. While a transaction runs the next one gathers.

use std::time::Duration;

use flowmeter_queue::{Backoff, Connections, Session, Settings, Subscription};
use flowmeter_service::telemetry;
use flowmeter_store::Store;
use flowmeter_store::batch::Writer;
use flowmeter_store::progress::{self, SILENT_AT_MOST, Worker};
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::Batching;
use crate::apply::{Abandoned, Applier, DeadLetter};
use crate::gather::{Gathered, Given};

/// How often a worker says that it lives.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);

/// A transaction that is under way: it has the applier, and gives it back.
type Applying = BoxFuture<'static, (Applier, Gathered, Result<Vec<DeadLetter>, Abandoned>)>;

/// The consumer of one shard.
pub struct Shard {
    store: Store,
    settings: Settings,
    index: u16,
    batching: Batching,
    /// Of all shards, for the health check.
    connections: Connections,
}

impl Shard {
    pub fn new(
        store: Store,
        settings: Settings,
        index: u16,
        batching: Batching,
        connections: Connections,
    ) -> Self {
        Self { store, settings, index, batching, connections }
    }

    /// Works until `stop`, subscribing again whenever the broker or the database was away.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.work(&mut backoff, &stop).await
                && !matches!(error, Abandoned::Stopping)
            {
                let wait = backoff.next_wait();
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(shard = self.index, %error, wait_ms, "not consuming; trying again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// Subscribes, and consumes until `stop` or until the broker or the database is away. Each
    /// subscription is a worker of its own to the database: what one held is given to others.
    async fn work(&self, backoff: &mut Backoff, stop: &CancellationToken) -> Result<(), Abandoned> {
        let session = Session::open(&self.settings, self.index, self.batching.prefetch).await?;
        let worker = Worker { id: Uuid::now_v7(), shard: self.index };
        let joining = Instant::now();
        let given = Given::after(progress::join(&self.store, worker).await?);
        let mut subscription = session.subscribe().await?;
        tracing::info!(shard = self.index, "consuming");
        backoff.reset();
        let open = self.connections.open();
        let outcome = tokio::select! {
            outcome = self.consume(&mut subscription, worker, given, stop) => outcome,
            () = self.stay_known(worker, joining) => Err(Abandoned::Silent),
        };
        drop(open);
        // What was gathered and not begun goes back to the broker. Where it does not say that it knows,
        // the worker does not leave: it counts as if it had died.
        let left = match subscription.close().await {
            Ok(()) => progress::leave(&self.store, worker).await.map_err(Abandoned::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = left {
            tracing::debug!(shard = self.index, %error, "could not leave in order");
        }
        outcome
    }

    /// Says that a worker lives, and ends when nobody has heard it for too long.
    async fn stay_known(&self, worker: Worker, joining: Instant) {
        let mut heard = joining;
        while heard.elapsed() < SILENT_AT_MOST {
            tokio::time::sleep(TOUCH_INTERVAL).await;
            let asked = Instant::now();
            let touch = progress::touch(&self.store, worker);
            match tokio::time::timeout_at(heard + SILENT_AT_MOST, touch).await {
                Ok(Ok(true)) => heard = asked,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => tracing::debug!(%error, "could not say that this worker lives"),
            }
        }
    }

    /// Consumes until `stop`, or until the broker is away.
    async fn consume(
        &self,
        subscription: &mut Subscription,
        worker: Worker,
        given: Given,
        stop: &CancellationToken,
    ) -> Result<(), Abandoned> {
        let writer = Writer::new(self.store.clone(), worker);
        let mut idle =
            Some(Applier { store: self.store.clone(), writer, given: given.clone(), stop: stop.clone() });
        let mut applying: Option<Applying> = None;
        let mut gathered = Gathered::default();
        let mut items_before = 0;
        loop {
            let due = gathered.due(self.batching, items_before);
            if due.is_some_and(|due| due <= Instant::now())
                && let Some(applier) = idle.take()
            {
                given.begin();
                items_before = gathered.items;
                applying = Some(apply(applier, std::mem::take(&mut gathered)));
                continue;
            }
            let stopping = stop.is_cancelled();
            if stopping && applying.is_none() {
                return Ok(());
            }
            tokio::select! {
                biased;
                (applier, messages, outcome) = under_way(&mut applying) => {
                    applying = None;
                    settle(subscription, &applier, &messages, outcome?).await?;
                    idle = Some(applier);
                }
                delivery = subscription.next(), if !stopping && !gathered.is_full(self.batching) => {
                    let delivery = delivery?;
                    given.add(delivery.enqueued_at);
                    gathered.add(delivery);
                }
                () = sleep_until(due), if applying.is_none() => {}
                () = stop.cancelled(), if !stopping => {}
            }
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
