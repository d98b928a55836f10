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
    /// When the oldest of them was enqueued.
    pub oldest: Option<Timestamp>,
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
        self.oldest = self.oldest.into_iter().chain(delivery.enqueued_at).min();
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

/// The times of the messages that a worker was given, shared with the transaction that records how far it
/// is: it needs those that are gathered while it runs.
#[derive(Clone)]
pub struct Given(Arc<Times>);

/// Microseconds since the epoch.
struct Times {
    /// Of the newest, be it applied or not.
    newest: AtomicI64,
    /// Of the oldest that is gathered and not being applied.
    waiting: AtomicI64,
}

const NONE_WAITS: i64 = i64::MAX;

impl Given {
    /// No message was given yet, and none will be that was enqueued before `start`.
    pub fn after(start: Timestamp) -> Self {
        let newest = AtomicI64::new(start.micros());
        Self(Arc::new(Times { newest, waiting: AtomicI64::new(NONE_WAITS) }))
    }

    /// A message was given.
    pub fn add(&self, enqueued_at: Option<Timestamp>) {
        if let Some(at) = enqueued_at {
            self.0.newest.fetch_max(at.micros(), Ordering::Relaxed);
            self.0.waiting.fetch_min(at.micros(), Ordering::Relaxed);
        }
    }

    /// All of them are being applied now.
    pub fn begin(&self) {
        self.0.waiting.store(NONE_WAITS, Ordering::Relaxed);
    }

    /// Through which time all that was given and that will be given is applied, once that is which is being
    /// applied: the queue is in order of time.
    pub fn applied_through(&self) -> Timestamp {
        let Times { newest, waiting } = &*self.0;
        Timestamp::from_micros(newest.load(Ordering::Relaxed).min(waiting.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_holds_back_and_nothing_older_is_expected() {
        let at = Timestamp::from_micros;
        let given = Given::after(at(100));
        assert_eq!(given.applied_through(), at(100));
        for time in [Some(200), None, Some(300)] {
            given.add(time.map(at));
        }
        assert_eq!(given.applied_through(), at(200));
        given.begin();
        assert_eq!(given.applied_through(), at(300));
        // One that another worker gave back.
        given.add(Some(at(50)));
        assert_eq!(given.applied_through(), at(50));
        given.begin();
        assert_eq!(given.applied_through(), at(300));
    }
}
