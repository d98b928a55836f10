//! Gathers messages until they are worth a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, Request};
use flowmeter_queue::Delivery;
use tokio::time::Instant;

use crate::Batching;

/// Messages that will be applied together.
#[derive(Default)]
pub struct Gathered {
    /// The messages in order, each with its requests or why it has none.
    pub messages: Vec<(Delivery, Result<Envelope, String>)>,
    /// When the newest of them was enqueued.
    pub newest: Option<Timestamp>,
    /// The number of their events, of rows of counters, and of values of assets.
    pub items: usize,
    bytes: usize,
    requests: bool,
    since: Option<Instant>,
}

/// Bytes of messages from which on a transaction does not wait for more: a bound on
/// memory where messages are large.
const MAX_BYTES: usize = 16 * 1024 * 1024;

impl Gathered {
    /// Adds a message.
    pub fn add(&mut self, delivery: Delivery) {
        let envelope = delivery.envelope();
        match &envelope {
            Ok(envelope) => {
                let items = |request: &Request| {
                    let values = request.asset_values.iter().map(|of_one| of_one.values.len());
                    request.usage.len()
                        + request.flow_counts.len()
                        + request.schedules.len()
                        + values.sum::<usize>()
                };
                self.items += envelope.requests.iter().map(items).sum::<usize>();
                self.requests |= !envelope.requests.is_empty();
            }
            Err(_) => self.requests = true,
        }
        self.bytes += delivery.data.len();
        self.newest = self.newest.max(delivery.enqueued_at);
        self.since.get_or_insert_with(Instant::now);
        self.messages.push((delivery, envelope));
    }

    /// Whether there is no room for more.
    pub fn is_full(&self, batching: Batching) -> bool {
        self.items >= batching.batch_events
            || self.bytes >= MAX_BYTES
            || self.messages.len() >= usize::from(batching.prefetch)
    }

    /// When they are to be applied, after a transaction of so many items; None while there
    /// is nothing. Messages without requests only tell the time, which can wait for others.
    pub fn due(&self, batching: Batching, items_before: usize) -> Option<Instant> {
        const TIME_CAN_WAIT: Duration = Duration::from_millis(200);
        let since = self.since?;
        if self.is_full(batching) {
            return Some(since);
        }
        Some(since + if self.requests { batching.linger_after(items_before) } else { TIME_CAN_WAIT })
    }

    /// The tag of the last message.
    pub fn last_tag(&self) -> Option<u64> {
        self.messages.last().map(|(delivery, _)| delivery.tag)
    }
}

/// When the oldest message that is gathered and not being applied was enqueued, shared
/// with the transaction that records it.
#[derive(Clone)]
pub struct Held(Arc<AtomicI64>);

impl Held {
    const NOTHING: i64 = i64::MAX;

    /// Nothing is held.
    pub fn nothing() -> Self {
        Self(Arc::new(AtomicI64::new(Self::NOTHING)))
    }

    /// A message was taken.
    pub fn add(&self, enqueued_at: Option<Timestamp>) {
        if let Some(at) = enqueued_at {
            self.0.fetch_min(at.micros(), Ordering::Relaxed);
        }
    }

    /// All of them are being applied now.
    pub fn clear(&self) {
        self.0.store(Self::NOTHING, Ordering::Relaxed);
    }

    /// The oldest.
    pub fn oldest(&self) -> Option<Timestamp> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != Self::NOTHING).then(|| Timestamp::from_micros(micros))
    }
}
