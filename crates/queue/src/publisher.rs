//! Publishes accepted requests, and answers each sender when the broker has confirmed that its request is
//! durable.
//!
//! Each shard has a separate task, which owns a connection and its confirm channel, so that delivery tags
//! cannot be mixed up. Small requests that wait at the same time share a message.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::Request;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation, PublisherConfirm};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connect::{MANDATORY, close};
use crate::message::{self, Accepted};
use crate::{Connections, QueueError, Settings};

/// How requests share messages.
#[derive(Debug, Clone, Copy)]
pub struct PublisherSettings {
    /// How long a request waits for others to share a message with, while earlier messages are not confirmed.
    /// It does not wait when all are.
    pub linger: Duration,
    /// The size in bytes at which a message is published without waiting for more.
    pub message_bytes: usize,
    /// The maximum number of unconfirmed messages of a shard.
    pub window: usize,
    /// How often a message without requests carries the time to the workers, if no message with requests
    /// does. None if messages do not carry the time.
    pub tick: Option<Duration>,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            // Short compared to the 2 to 5 ms that the broker takes.
            linger: Duration::from_millis(2),
            // Measured: larger messages are not faster, and smaller ones cost the broker more.
            message_bytes: 256 * 1024,
            // 16 MiB: enough to keep the broker busy, and little enough to bound memory.
            window: 64,
            tick: Some(Duration::from_millis(500)),
        }
    }
}

/// Why it is unknown whether a request is in the queue. It is safe to publish the request again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is full.
    #[error("the queue is full")]
    Full,
    /// The broker is unavailable, or became unavailable before it confirmed.
    #[error("the broker is unavailable")]
    Unavailable,
}

/// The waits between attempts to connect: from 100 ms, which a restart of the broker takes at least, to 10 s.
/// Each is lengthened by a random part of itself, so that services do not reconnect at the same times.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times()
    .with_jitter();

/// The number of requests of a shard that may wait to be published.
const WAITING_REQUESTS: usize = 1024;

type Waiter = oneshot::Sender<Result<(), PublishError>>;
/// The senders that wait for a message, and its share of the memory.
type Waiters = Vec<(Waiter, OwnedSemaphorePermit)>;

/// Publishes accepted requests.
#[derive(Clone)]
pub struct Publisher {
    shards: Vec<mpsc::Sender<(Accepted, Waiter)>>,
    connections: Connections,
}

impl Publisher {
    /// A publisher, and the publishers of its shards, each of which must run in a separate task.
    #[must_use]
    pub fn new(settings: &Settings, publishing: PublisherSettings) -> (Self, Vec<ShardPublisher>) {
        let connections = Connections::new(settings.topology.shards);
        let shards = (0..settings.topology.shards).map(|shard| {
            let (sender, requests) = mpsc::channel(WAITING_REQUESTS);
            let publisher = ShardPublisher {
                settings: settings.clone(),
                publishing,
                shard,
                queue: settings.topology.queue(shard),
                requests,
                connections: connections.clone(),
            };
            (sender, publisher)
        });
        let (shards, publishers) = shards.unzip();
        (Self { shards, connections }, publishers)
    }

    /// Whether every shard has a connection to the broker.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connections.are_open()
    }

    /// Publishes a request, and returns when the broker has made it durable. Dropping the future does not
    /// take the request back.
    pub async fn publish(&self, accepted: Accepted) -> Result<(), PublishError> {
        // A repeated request goes to the shard of the first, so one worker receives both.
        let id = &accepted.request.request_id;
        let spread = id.last_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
        let shard = usize::from(spread) % self.shards.len();
        let (waiter, confirmed) = oneshot::channel();
        self.shards[shard].send((accepted, waiter)).await.map_err(|_| PublishError::Unavailable)?;
        confirmed.await.unwrap_or(Err(PublishError::Unavailable))
    }
}

/// Requests that will share a message.
#[derive(Default)]
struct PendingMessage {
    requests: Vec<Request>,
    waiters: Waiters,
    trace: message::TraceContext,
    bytes: usize,
    since: Option<Instant>,
}

impl PendingMessage {
    fn add(&mut self, accepted: Accepted, waiter: Waiter) {
        if waiter.is_closed() {
            // The sender has given up, and will send the request again.
            return;
        }
        self.bytes += accepted.request.encoded_len();
        self.trace = self.trace.take().or(accepted.trace);
        self.requests.push(accepted.request);
        self.waiters.push((waiter, accepted.room));
        self.since.get_or_insert_with(Instant::now);
    }
}

/// A message that the broker has not confirmed yet, and the senders that wait for it.
type Unconfirmed = (Waiters, PublisherConfirm);

async fn confirmed((waiters, confirm): Unconfirmed) -> (Waiters, Result<Confirmation, lapin::Error>) {
    (waiters, confirm.await)
}

/// Publishes the requests of one shard over a separate connection.
pub struct ShardPublisher {
    settings: Settings,
    publishing: PublisherSettings,
    shard: u16,
    queue: String,
    requests: mpsc::Receiver<(Accepted, Waiter)>,
    connections: Connections,
}

impl ShardPublisher {
    /// The number of its shard.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// Publishes until `stop` is cancelled or every [`Publisher`] is dropped, and then until the broker has
    /// confirmed or rejected the rest. Connects again whenever the connection fails.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut waits = WAITS.build();
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stop.cancelled() => return,
            };
            let outcome = match connected {
                Ok((connection, channel)) => {
                    waits = WAITS.build();
                    tracing::info!(queue = self.queue, "publishing");
                    let open = self.connections.open();
                    let outcome = self.publish(&channel, &stop).await;
                    drop(open);
                    // An error does not matter here, because the connection ends in any case.
                    let _ = close(&connection).await;
                    outcome
                }
                Err(error) => Err(error),
            };
            let Err(error) = outcome else { return };
            let wait = waits.next().unwrap_or_default();
            let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(queue = self.queue, %error, retry_in_ms, "cannot publish; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn connect(&self) -> Result<(lapin::Connection, Channel), QueueError> {
        let connection = self.settings.connect("flowmeter publisher").await?;
        let channel = connection.create_channel().await?;
        self.settings.topology.declare(&connection).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok((connection, channel))
    }

    /// Publishes until the connection fails, or until `stop` or the end of every [`Publisher`] leaves nothing
    /// to do.
    async fn publish(&mut self, channel: &Channel, stop: &CancellationToken) -> Result<(), QueueError> {
        let mut pending = PendingMessage::default();
        let mut confirming = FuturesUnordered::new();
        let mut last_message = Instant::now();
        let mut open = true;
        while open || !pending.requests.is_empty() || !confirming.is_empty() {
            let full = pending.bytes >= self.publishing.message_bytes;
            let room = confirming.len() < self.publishing.window;
            let linger_end = pending.since.map(|since| since + self.publishing.linger);
            let due = linger_end.is_some_and(|end| full || confirming.is_empty() || end <= Instant::now());
            if room && due {
                let message = std::mem::take(&mut pending);
                confirming.push(confirmed(self.send(channel, message).await?));
                last_message = Instant::now();
                continue;
            }
            let tick = self.publishing.tick.map(|tick| last_message + tick);
            tokio::select! {
                biased;
                Some((waiters, confirmation)) = confirming.next() => settle(waiters, confirmation)?,
                request = self.requests.recv(), if open && !full => match request {
                    Some((accepted, waiter)) => pending.add(accepted, waiter),
                    None => open = false,
                },
                () = stop.cancelled(), if open => {
                    self.requests.close();
                    // Requests that were sent to the channel before it was closed are still published.
                    while let Ok((accepted, waiter)) = self.requests.try_recv() {
                        pending.add(accepted, waiter);
                    }
                    open = false;
                }
                () = sleep_until(linger_end), if room && linger_end.is_some() => {}
                () = sleep_until(tick), if open && room => {
                    confirming.push(confirmed(self.send(channel, PendingMessage::default()).await?));
                    last_message = Instant::now();
                }
            }
        }
        Ok(())
    }

    async fn send(&self, channel: &Channel, pending: PendingMessage) -> Result<Unconfirmed, QueueError> {
        let waiters = pending.waiters;
        let payload = message::encode(pending.requests);
        let enqueued_at = self.publishing.tick.map(|_| Timestamp::now());
        let confirm = channel
            .basic_publish(
                "".into(),
                self.queue.as_str().into(),
                MANDATORY,
                &payload,
                message::properties(enqueued_at, pending.trace),
            )
            .await?;
        Ok((waiters, confirm))
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Answers the senders of a message.
fn settle(waiters: Waiters, confirmation: Result<Confirmation, lapin::Error>) -> Result<(), QueueError> {
    let (answer, outcome) = match confirmation {
        Ok(Confirmation::Ack(None)) => (Ok(()), Ok(())),
        // The queue does not exist. If several messages are unconfirmed, it is not known which one was
        // returned, so all of them fail.
        Ok(Confirmation::Ack(Some(_))) => (Err(PublishError::Unavailable), Err(QueueError::Unroutable)),
        Ok(Confirmation::Nack(_)) => (Err(PublishError::Full), Ok(())),
        Ok(Confirmation::NotRequested) => (Err(PublishError::Unavailable), Err(QueueError::Refused)),
        Err(error) => (Err(PublishError::Unavailable), Err(error.into())),
    };
    for (waiter, _room) in waiters {
        // A sender that has given up does not need the answer.
        let _ = waiter.send(answer);
    }
    outcome
}
