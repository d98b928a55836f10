//! The items that wait. Items gather in an open batch of their kind. A batch is sealed when it is full, when it is old, or
//! when a flush asks for it. This module does no I/O and never waits.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use flowmeter_proto::v1::FlowRequest;
use tokio::time::Instant;

use super::RecordError;
use super::executions::MAX_BATCH_METRICS;
use super::flows::{self, Merged};
use super::item::Item;
use super::settings::BatcherSettings;
use super::stats::Stats;
use crate::items::{Items, Kind};

/// A batch that is ready to be sent.
#[derive(Debug)]
pub(super) struct Batch {
    /// The position in the order in which batches were opened.
    pub(super) number: u64,
    pub(super) items: Items,
    /// The items that it uses of the buffer.
    pub(super) room_items: usize,
    pub(super) room_bytes: usize,
    /// The number of items that it counts as in [`Stats`].
    pub(super) recorded: u64,
}

/// A batch to which items are added.
#[derive(Debug)]
struct Open {
    number: u64,
    since: Instant,
    bytes: usize,
    metrics: usize,
    recorded: u64,
    items: Gathered,
}

/// The items of an open batch.
#[derive(Debug)]
enum Gathered {
    Encoded(Vec<Bytes>),
    FlowRequests(Merged),
}

impl Gathered {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Usage | Kind::Executions => Self::Encoded(Vec::new()),
            Kind::FlowRequests => Self::FlowRequests(Merged::default()),
        }
    }

    fn push(&mut self, item: Item) {
        match (self, item) {
            (Self::Encoded(items), Item::Usage(item) | Item::Execution { report: item, .. }) => {
                items.push(item);
            }
            (Self::FlowRequests(merged), Item::FlowRequest(request)) => merged.push(request),
            _ => unreachable!("an open batch is of one kind"),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Encoded(items) => items.len(),
            Self::FlowRequests(merged) => merged.len(),
        }
    }

    fn encode(self) -> Vec<Bytes> {
        match self {
            Self::Encoded(items) => items,
            Self::FlowRequests(merged) => merged.encode(),
        }
    }
}

/// All batches that are not sent yet, and the numbers of all batches that are not settled.
#[derive(Debug)]
pub(super) struct Buffer {
    settings: BatcherSettings,
    /// The open batch of each kind.
    open: [Option<Open>; Kind::ALL.len()],
    sealed: VecDeque<Batch>,
    unsettled: BTreeSet<u64>,
    next_number: u64,
    pub(super) closed: bool,
    pub(super) stats: Stats,
    /// The number of drops that are not reported yet, and the error of the last one.
    pub(super) dropped: Option<(u64, RecordError)>,
}

impl Buffer {
    pub(super) fn new(settings: BatcherSettings) -> Self {
        Self {
            settings,
            open: Default::default(),
            sealed: VecDeque::new(),
            unsettled: BTreeSet::new(),
            next_number: 0,
            closed: false,
            stats: Stats::default(),
            dropped: None,
        }
    }

    /// Adds an item for which room was reserved. Returns whether to wake the sender.
    pub(super) fn push(&mut self, item: Item) -> bool {
        let (max_items, max_bytes) = self.settings.batch_limits();
        let (kind, bytes, metrics, count) =
            (item.kind(), item.reserved_bytes(), item.metrics(), item.count());
        let has_no_room =
            |open: &Open| open.bytes + bytes > max_bytes || open.metrics + metrics > MAX_BATCH_METRICS;
        if self.open[kind as usize].as_ref().is_some_and(has_no_room) {
            self.seal_kind(kind);
        }
        let opens = self.open[kind as usize].is_none();
        if opens {
            self.begin(kind);
        }
        let open = self.open[kind as usize].as_mut().expect("it was begun above");
        open.bytes += bytes;
        open.metrics += metrics;
        open.recorded += count;
        open.items.push(item);
        let full =
            open.items.len() >= max_items || open.bytes >= max_bytes || open.metrics >= MAX_BATCH_METRICS;
        if full {
            self.seal_kind(kind);
        }
        self.stats.of(kind).recorded += count;
        opens || full
    }

    /// Counts a drop. Returns whether the drop will be reported.
    pub(super) fn count_dropped(&mut self, kind: Kind, count: u64, error: RecordError) -> bool {
        self.stats.of(kind).dropped += count;
        if !self.closed {
            let before = self.dropped.map_or(0, |(count, _)| count);
            self.dropped = Some((before + count, error));
        }
        !self.closed
    }

    /// Merges a flow request into a waiting item. Returns false if there is none with the same key.
    pub(super) fn merge(&mut self, request: &FlowRequest) -> bool {
        let Some(open) = &mut self.open[Kind::FlowRequests as usize] else { return false };
        let Gathered::FlowRequests(merged) = &mut open.items else { return false };
        if !merged.merge(request) {
            return false;
        }
        open.recorded += flows::count(request);
        self.stats.flow_requests.recorded += flows::count(request);
        true
    }

    fn begin(&mut self, kind: Kind) {
        let number = self.next_number;
        self.next_number += 1;
        self.unsettled.insert(number);
        let (since, items) = (Instant::now(), Gathered::new(kind));
        self.open[kind as usize] = Some(Open { number, since, bytes: 0, metrics: 0, recorded: 0, items });
    }

    fn seal_kind(&mut self, kind: Kind) {
        let Some(open) = self.open[kind as usize].take() else { return };
        self.sealed.push_back(Batch {
            number: open.number,
            room_items: open.items.len(),
            room_bytes: open.bytes,
            recorded: open.recorded,
            items: Items { kind, encoded: open.items.encode() },
        });
    }

    /// Seals all open batches. Returns the number of the next batch: the batches before it contain every item so far.
    pub(super) fn seal(&mut self) -> u64 {
        for kind in Kind::ALL {
            self.seal_kind(kind);
        }
        self.next_number
    }

    /// Takes a batch that is ready at the time `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch> {
        for kind in Kind::ALL {
            let open = self.open[kind as usize].as_ref();
            if open.is_some_and(|open| now >= open.since + self.settings.max_age) {
                self.seal_kind(kind);
            }
        }
        self.sealed.pop_front()
    }

    /// When the next open batch will be ready because of its age.
    pub(super) fn due(&self) -> Option<Instant> {
        let oldest = self.open.iter().flatten().map(|open| open.since).min()?;
        Some(oldest + self.settings.max_age)
    }

    /// Marks a batch as settled, which means accepted, rejected or given up.
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
    async fn a_batch_is_ready_when_it_is_full_or_old_or_flushed() {
        let settings = BatcherSettings::new().batch_items(3).batch_bytes(10).max_age(Duration::from_secs(1));
        let mut buffer = Buffer::new(settings);
        let small = || Item::Usage(Bytes::from_static(b"1"));
        let wakes: Vec<_> = (0..4).map(|_| buffer.push(small())).collect();
        assert_eq!(wakes, [true, false, true, true]);
        assert_eq!(sizes(&mut buffer), [3]);
        // The next item does not fit into the open batch, and fills a new one.
        assert!(buffer.push(Item::Usage(Bytes::from_static(b"1234567890"))));
        assert_eq!(sizes(&mut buffer), [1, 1]);

        buffer.push(small());
        assert_eq!(buffer.due(), Some(Instant::now() + Duration::from_secs(1)));
        assert_eq!(sizes(&mut buffer), [0_usize; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sizes(&mut buffer), [1]);
        assert_eq!(buffer.due(), None);

        buffer.push(small());
        buffer.seal();
        assert_eq!(sizes(&mut buffer), [1]);
    }

    #[tokio::test]
    async fn the_metrics_of_a_batch_are_limited() {
        let mut buffer = Buffer::new(BatcherSettings::new().batch_items(10_000));
        let of = |metrics| Item::Execution { report: Bytes::new(), metrics, reserved_bytes: 0 };
        for metrics in [6_000, 4_001, 5_999, 1, 10_001, 0] {
            buffer.push(of(metrics));
        }
        // 4,001 and 5,999 reach the limit. A report beyond the limit is a separate batch, which the service rejects.
        assert_eq!(sizes(&mut buffer), [1, 2, 1, 1]);
        buffer.seal();
        assert_eq!(sizes(&mut buffer), [1]);
    }

    #[tokio::test]
    async fn settled_batches_are_tracked_by_number() {
        let mut buffer = Buffer::new(BatcherSettings::new());
        assert!(buffer.is_settled_before(buffer.next_number));
        buffer.push(Item::Usage(Bytes::new()));
        let first = buffer.seal();
        buffer.push(Item::Usage(Bytes::new()));
        let second = buffer.seal();
        assert!(!buffer.is_settled_before(first));
        buffer.settle(1);
        assert!(!buffer.is_settled_before(first) && !buffer.is_settled_before(second));
        buffer.settle(0);
        assert!(buffer.is_settled_before(first) && buffer.is_settled_before(second));
    }
}
