//! Gathers messages for a transaction, and keeps the watermark, which the gathered messages hold back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, Request};
use flowmeter_queue::Delivery;
use tokio::time::Instant;

use crate::Batching;

/// Messages that will be applied in one transaction.
#[derive(Default)]
pub struct MessageBatch {
    /// The messages in order, each with its requests or the reason why it cannot be decoded.
    pub messages: Vec<(Delivery, Result<Envelope, String>)>,
    /// When the oldest message was enqueued.
    pub oldest: Option<Timestamp>,
    items: usize,
    bytes: usize,
    has_requests: bool,
    since: Option<Instant>,
}

impl MessageBatch {
    /// The tag of the last message.
    pub fn last_tag(&self) -> Option<u64> {
        self.messages.last().map(|(delivery, _)| delivery.tag)
    }

    /// The trace of the first message that has one.
    pub fn trace(&self) -> Option<&str> {
        self.messages.iter().find_map(|(delivery, _)| delivery.trace.as_deref())
    }

    fn push(&mut self, delivery: Delivery) {
        let envelope = delivery.envelope();
        match &envelope {
            Ok(envelope) => {
                self.items += envelope.requests.iter().map(items_of).sum::<usize>();
                self.has_requests |= !envelope.requests.is_empty();
            }
            Err(_) => self.has_requests = true,
        }
        self.bytes += delivery.data.len();
        self.oldest = self.oldest.into_iter().chain(delivery.enqueued_at).min();
        self.since.get_or_insert_with(Instant::now);
        self.messages.push((delivery, envelope));
    }
}

/// The number of a request's events, rows of counters, schedules and values of assets.
fn items_of(request: &Request) -> usize {
    let values = request.asset_values.iter().map(|of_one| of_one.values.len());
    request.usage.len() + request.flow_counts.len() + request.schedules.len() + values.sum::<usize>()
}

/// The batch that is being gathered while the batch before it is applied.
pub struct PendingBatch {
    batching: Batching,
    watermark: Watermark,
    batch: MessageBatch,
    /// The number of items in the batch before, which tells the load.
    items_before: usize,
}

/// The size of messages in bytes at which a transaction does not wait for more: a bound on memory for large
/// messages.
const MAX_BYTES: usize = 16 * 1024 * 1024;

impl PendingBatch {
    /// An empty batch, whose messages hold back the watermark.
    pub fn new(batching: Batching, watermark: Watermark) -> Self {
        Self { batching, watermark, batch: MessageBatch::default(), items_before: 0 }
    }

    /// Adds a message.
    pub fn push(&mut self, delivery: Delivery) {
        self.watermark.received(delivery.enqueued_at);
        self.batch.push(delivery);
    }

    /// Takes the batch to apply it, and begins the next one.
    pub fn take(&mut self) -> MessageBatch {
        self.watermark.begin();
        self.items_before = self.batch.items;
        std::mem::take(&mut self.batch)
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.batch.items >= self.batching.batch_events
            || self.batch.bytes >= MAX_BYTES
            || self.batch.messages.len() >= usize::from(self.batching.prefetch)
    }

    /// When the batch is to be applied. None while it is empty. Messages without requests only carry the
    /// time, which can wait for others.
    pub fn due(&self) -> Option<Instant> {
        const TIME_CAN_WAIT: Duration = Duration::from_millis(200);
        let since = self.batch.since?;
        if self.is_full() {
            return Some(since);
        }
        let linger = linger_after(self.batching, self.items_before);
        Some(since + if self.batch.has_requests { linger } else { TIME_CAN_WAIT })
    }
}

/// How long a message waits for others, after a batch with that number of `items`. Under load a longer wait
/// is worth it: a transaction writes about the same number of partial rows, however many events it applies.
fn linger_after(batching: Batching, items: usize) -> Duration {
    /// The number of items above which the wait is longer than the shortest.
    const MANY: usize = 200;
    /// 25 ms are still far below the second within which answers are complete.
    const LONGEST: usize = 5;
    let factor = (items / MANY).clamp(1, LONGEST);
    batching.batch_linger * u32::try_from(factor).expect("at most 5")
}

/// The low watermark of a worker: the time up to which every message that the worker has received, or will
/// receive, has been applied. The queue is in order of time, so the watermark follows from the messages that
/// were received.
///
/// Shared with the transaction that records it, because the watermark depends on the messages that arrive
/// while the transaction runs.
#[derive(Clone)]
pub struct Watermark(Arc<Times>);

/// Microseconds since the epoch.
struct Times {
    /// When the newest message was enqueued, whether it is applied or not.
    newest: AtomicI64,
    /// When the oldest message was enqueued that is pending, which means that no transaction applies it yet.
    oldest_pending: AtomicI64,
}

const NOTHING_PENDING: i64 = i64::MAX;

impl Watermark {
    /// The watermark before the first message. All messages will be enqueued at `start` or later.
    pub fn starting_at(start: Timestamp) -> Self {
        let newest = AtomicI64::new(start.micros());
        Self(Arc::new(Times { newest, oldest_pending: AtomicI64::new(NOTHING_PENDING) }))
    }

    /// A message was received, and is pending.
    pub fn received(&self, enqueued_at: Option<Timestamp>) {
        if let Some(at) = enqueued_at {
            self.0.newest.fetch_max(at.micros(), Ordering::Relaxed);
            self.0.oldest_pending.fetch_min(at.micros(), Ordering::Relaxed);
        }
    }

    /// A transaction now applies everything that was pending.
    pub fn begin(&self) {
        self.0.oldest_pending.store(NOTHING_PENDING, Ordering::Relaxed);
    }

    /// The watermark as it will be once the transaction that runs has committed.
    pub fn time(&self) -> Timestamp {
        let Times { newest, oldest_pending } = &*self.0;
        Timestamp::from_micros(newest.load(Ordering::Relaxed).min(oldest_pending.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_load_up_to_a_limit() {
        let batching =
            Batching { batch_events: 20_000, batch_linger: Duration::from_millis(5), prefetch: 64 };
        let waits = [0, 200, 500, 1_000, 20_000].map(|events| linger_after(batching, events).as_millis());
        assert_eq!(waits, [5, 5, 10, 25, 25]);
    }

    #[test]
    fn pending_messages_hold_the_watermark_back() {
        let at = Timestamp::from_micros;
        let watermark = Watermark::starting_at(at(100));
        assert_eq!(watermark.time(), at(100));
        for time in [Some(200), None, Some(300)] {
            watermark.received(time.map(at));
        }
        assert_eq!(watermark.time(), at(200));
        watermark.begin();
        assert_eq!(watermark.time(), at(300));
        // A message that another worker returned is older.
        watermark.received(Some(at(50)));
        assert_eq!(watermark.time(), at(50));
        watermark.begin();
        assert_eq!(watermark.time(), at(300));
    }
}
