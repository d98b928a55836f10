//! What waits: items gather in an open batch of their kind, which is sealed when it is full, when it is old or when
//! someone wants it sent. It knows no network and waits for nothing.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use flowmeter_proto::v1::FlowRequest;
use tokio::time::Instant;

use super::flows::{self, Merged};
use super::settings::BatcherSettings;
use super::stats::{Kind, Stats};
use crate::client::Items;

/// A batch that is ready to be sent.
#[derive(Debug)]
pub(super) struct Batch {
    /// Its place in the order in which batches were begun.
    pub(super) number: u64,
    pub(super) items: Items,
    /// The room that it takes in the buffer.
    pub(super) room_items: usize,
    pub(super) room_bytes: usize,
    /// How many it stands for in [`Stats`].
    pub(super) recorded: u64,
}

impl Batch {
    pub(super) fn kind(&self) -> Kind {
        match self.items {
            Items::Usage(_) => Kind::Usage,
            Items::FlowRequests(_) => Kind::FlowRequests,
        }
    }
}

/// A batch that still takes items.
#[derive(Debug)]
struct Open<T> {
    number: u64,
    since: Instant,
    bytes: usize,
    recorded: u64,
    items: T,
}

/// All batches that are not sent yet, and which of all are not settled.
#[derive(Debug)]
pub(super) struct Buffer {
    settings: BatcherSettings,
    usage: Option<Open<Vec<Bytes>>>,
    flow_requests: Option<Open<Merged>>,
    sealed: VecDeque<Batch>,
    unsettled: BTreeSet<u64>,
    next_number: u64,
    pub(super) closed: bool,
    pub(super) stats: Stats,
}

impl Buffer {
    pub(super) fn new(settings: BatcherSettings) -> Self {
        Self {
            settings,
            usage: None,
            flow_requests: None,
            sealed: VecDeque::new(),
            unsettled: BTreeSet::new(),
            next_number: 0,
            closed: false,
            stats: Stats::default(),
        }
    }

    /// Adds an event, for which there is room. Returns whether the sender should look.
    pub(super) fn push_usage(&mut self, event: Bytes) -> bool {
        let (max_items, max_bytes) = self.settings.batch_limits();
        let bytes = event.len();
        if self.usage.as_ref().is_some_and(|open| open.bytes + bytes > max_bytes) {
            self.seal_usage();
        }
        let opens = self.usage.is_none();
        if opens {
            self.usage = Some(self.open());
        }
        let open = self.usage.as_mut().expect("it was opened above");
        open.bytes += bytes;
        open.recorded += 1;
        open.items.push(event);
        let full = open.items.len() >= max_items || open.bytes >= max_bytes;
        if full {
            self.seal_usage();
        }
        self.stats.usage.recorded += 1;
        opens || full
    }

    /// Adds a flow request to one that is like it and still waits.
    pub(super) fn merge_flow_request(&mut self, request: &FlowRequest) -> bool {
        let Some(open) = &mut self.flow_requests else { return false };
        if !open.items.merge(request) {
            return false;
        }
        open.recorded += flows::count(request);
        self.stats.flow_requests.recorded += flows::count(request);
        true
    }

    /// Adds a flow request that is like no other, for which there is room. Returns whether the sender should
    /// look.
    pub(super) fn push_flow_request(&mut self, request: FlowRequest) -> bool {
        let (max_items, max_bytes) = self.settings.batch_limits();
        let (bytes, count) = (flows::reserved_bytes(&request), flows::count(&request));
        if self.flow_requests.as_ref().is_some_and(|open| open.bytes + bytes > max_bytes) {
            self.seal_flow_requests();
        }
        let opens = self.flow_requests.is_none();
        if opens {
            self.flow_requests = Some(self.open());
        }
        let open = self.flow_requests.as_mut().expect("it was opened above");
        open.bytes += bytes;
        open.recorded += count;
        open.items.push(request);
        let full = open.items.len() >= max_items || open.bytes >= max_bytes;
        if full {
            self.seal_flow_requests();
        }
        self.stats.flow_requests.recorded += count;
        opens || full
    }

    fn open<T: Default>(&mut self) -> Open<T> {
        let number = self.next_number;
        self.next_number += 1;
        self.unsettled.insert(number);
        Open { number, since: Instant::now(), bytes: 0, recorded: 0, items: T::default() }
    }

    fn seal_usage(&mut self) {
        let Some(open) = self.usage.take() else { return };
        self.sealed.push_back(Batch {
            number: open.number,
            room_items: open.items.len(),
            room_bytes: open.bytes,
            recorded: open.recorded,
            items: Items::Usage(open.items),
        });
    }

    fn seal_flow_requests(&mut self) {
        let Some(open) = self.flow_requests.take() else { return };
        self.sealed.push_back(Batch {
            number: open.number,
            room_items: open.items.len(),
            room_bytes: open.bytes,
            recorded: open.recorded,
            items: Items::FlowRequests(open.items.encode()),
        });
    }

    /// Makes all that waits ready to be sent. Returns the number that the next batch will have: those before it
    /// hold all that was given until now.
    pub(super) fn seal(&mut self) -> u64 {
        self.seal_usage();
        self.seal_flow_requests();
        self.next_number
    }

    /// Takes a batch that is ready to be sent at the time `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.usage.as_ref().is_some_and(|open| now >= open.since + self.settings.max_age) {
            self.seal_usage();
        }
        if self.flow_requests.as_ref().is_some_and(|open| now >= open.since + self.settings.max_age) {
            self.seal_flow_requests();
        }
        self.sealed.pop_front()
    }

    /// When an open batch will be ready because of its age.
    pub(super) fn due(&self) -> Option<Instant> {
        let usage = self.usage.as_ref().map(|open| open.since);
        let flow_requests = self.flow_requests.as_ref().map(|open| open.since);
        Some(usage.into_iter().chain(flow_requests).min()? + self.settings.max_age)
    }

    /// A batch is settled: accepted, or given up.
    pub(super) fn settle(&mut self, number: u64) {
        self.unsettled.remove(&number);
    }

    /// Whether every batch before this number is settled.
    pub(super) fn is_settled_before(&self, number: u64) -> bool {
        self.unsettled.first().is_none_or(|first| *first >= number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sizes(buffer: &mut Buffer) -> Vec<usize> {
        std::iter::from_fn(|| buffer.take(Instant::now())).map(|batch| batch.room_items).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_ready_when_it_is_full_or_old_or_wanted() {
        let settings = BatcherSettings::new().batch_items(3).batch_bytes(10).max_age(Duration::from_secs(1));
        let mut buffer = Buffer::new(settings);
        let small = Bytes::from_static(b"1");
        let wakes: Vec<_> = (0..4).map(|_| buffer.push_usage(small.clone())).collect();
        assert_eq!(wakes, [true, false, true, true]);
        assert_eq!(sizes(&mut buffer), [3]);
        // The next one has no room in the open batch, and fills one of its own.
        assert!(buffer.push_usage(Bytes::from_static(b"1234567890")));
        assert_eq!(sizes(&mut buffer), [1, 1]);

        buffer.push_usage(small.clone());
        assert_eq!(buffer.due(), Some(Instant::now() + Duration::from_secs(1)));
        assert_eq!(sizes(&mut buffer), [0_usize; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sizes(&mut buffer), [1]);
        assert_eq!(buffer.due(), None);

        buffer.push_usage(small);
        buffer.seal();
        assert_eq!(sizes(&mut buffer), [1]);
    }

    #[tokio::test]
    async fn it_is_known_what_was_given_before_is_settled() {
        let mut buffer = Buffer::new(BatcherSettings::new());
        assert!(buffer.is_settled_before(buffer.next_number));
        buffer.push_usage(Bytes::new());
        let first = buffer.seal();
        buffer.push_usage(Bytes::new());
        let second = buffer.seal();
        assert!(!buffer.is_settled_before(first));
        buffer.settle(1);
        assert!(!buffer.is_settled_before(first) && !buffer.is_settled_before(second));
        buffer.settle(0);
        assert!(buffer.is_settled_before(first) && buffer.is_settled_before(second));
    }
}
