//! The buffer as many tasks share it, and the task that sends its batches.
//!
//! Room in the buffer is counted by two semaphores. It is taken for an item before that enters the buffer, and given
//! back when its batch is settled, so that what is under way counts as well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, TryAcquireError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::buffer::{Batch, Buffer};
use super::item::Item;
use super::part::Part;
use super::settings::{BatcherSettings, Incident};
use super::stats::{Occasional, Stats};
use super::{Lost, RecordError};
use crate::answer::Recorded;
use crate::client::Client;
use crate::error::Error;
use crate::items::Kind;
use crate::retry::Patience;

/// What all clones of a batcher and its tasks share.
pub(super) struct Shared {
    settings: BatcherSettings,
    buffer: Mutex<Buffer>,
    room_items: Semaphore,
    room_bytes: Semaphore,
    /// Who waits for room. Room comes from what is sent, so as long as anybody does, no batch waits for its age.
    waiting: AtomicUsize,
    /// Wakes the sender.
    wake: Notify,
    /// Wakes those who wait until something is settled.
    settled: Notify,
    pub(super) tasks: TaskTracker,
    abort: CancellationToken,
    /// Cancelled when nothing more is taken.
    pub(super) closing: CancellationToken,
    /// Wakes who tells of drops.
    pub(super) dropped: Notify,
    /// Drops after the end, which are only logged.
    late: Occasional,
    rejections: Occasional,
    losses: Occasional,
}

impl Shared {
    pub(super) fn new(settings: BatcherSettings) -> Self {
        Self {
            buffer: Mutex::new(Buffer::new(settings.clone())),
            room_items: Semaphore::new(settings.buffer_items),
            room_bytes: Semaphore::new(settings.buffer_bytes),
            waiting: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: Notify::new(),
            tasks: TaskTracker::new(),
            abort: CancellationToken::new(),
            closing: CancellationToken::new(),
            dropped: Notify::new(),
            late: Occasional::default(),
            rejections: Occasional::default(),
            losses: Occasional::default(),
            settings,
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> Stats {
        self.buffer().stats
    }

    /// The bytes of room that an item takes, if a batch can hold it.
    pub(super) fn check_size(&self, item: &Item) -> Result<usize, RecordError> {
        let (bytes, max_bytes) = (item.reserved_bytes(), self.settings.batch_limits().1);
        if bytes <= max_bytes { Ok(bytes) } else { Err(RecordError::TooLarge { bytes, max_bytes }) }
    }

    /// Takes the room for an item if there is any. Who waits has come before.
    pub(super) fn try_take_room(&self, bytes: usize) -> Result<(), RecordError> {
        let failed = |error| match error {
            TryAcquireError::NoPermits => RecordError::Full,
            TryAcquireError::Closed => RecordError::Closed,
        };
        let item = self.room_items.try_acquire().map_err(failed)?;
        let room = self.room_bytes.try_acquire_many(permits(bytes)).map_err(failed)?;
        item.forget();
        room.forget();
        Ok(())
    }

    /// Takes the room for an item when there is any, in the order in which it is asked for.
    pub(super) async fn take_room(&self, bytes: usize) -> Result<(), RecordError> {
        match self.try_take_room(bytes) {
            Err(RecordError::Full) => {}
            settled => return settled,
        }
        let _waiting = Waiting::new(self);
        let item = self.room_items.acquire().await.map_err(|_| RecordError::Closed)?;
        let room = self.room_bytes.acquire_many(permits(bytes)).await.map_err(|_| RecordError::Closed)?;
        item.forget();
        room.forget();
        Ok(())
    }

    fn give_room(&self, items: usize, bytes: usize) {
        self.room_items.add_permits(items);
        self.room_bytes.add_permits(bytes);
    }

    /// Adds a flow request to one that is like it, which takes no room.
    pub(super) fn merge(&self, item: &Item) -> bool {
        let Item::FlowRequest(request) = item else { return false };
        let mut buffer = self.buffer();
        !buffer.closed && buffer.merge(request)
    }

    /// Puts an item into the buffer, for which room was taken.
    pub(super) fn insert(&self, item: Item) -> Result<(), RecordError> {
        let bytes = item.reserved_bytes();
        let mut buffer = self.buffer();
        let closed = buffer.closed;
        // One that is like it may have come while this one waited for room.
        let merged = !closed && matches!(&item, Item::FlowRequest(request) if buffer.merge(request));
        let wakes = !closed && !merged && buffer.push(item);
        drop(buffer);
        if closed || merged {
            self.give_room(1, bytes);
        }
        if wakes {
            self.wake.notify_one();
        }
        if closed { Err(RecordError::Closed) } else { Ok(()) }
    }

    /// Counts what was not taken. Nobody tells of it any more who comes after the end.
    pub(super) fn count_dropped(&self, kind: Kind, count: u64, error: RecordError) {
        if self.buffer().count_dropped(kind, count, error) {
            self.dropped.notify_one();
        } else if let Some(dropped) = self.late.add(count) {
            tracing::warn!(dropped, %error, "reports to Flowmeter were dropped");
        }
    }

    /// Tells of what was dropped since this was done last.
    pub(super) fn tell_dropped(&self) {
        let Some((count, error)) = self.buffer().dropped.take() else { return };
        tracing::warn!(dropped = count, %error, "reports to Flowmeter were dropped");
        if let Some(observer) = &self.settings.observer {
            observer(Incident::Dropped { count, error });
        }
    }

    pub(super) async fn flush(&self) {
        let end = self.buffer().seal();
        self.wake.notify_one();
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            // From here on no notification is missed.
            settled.as_mut().enable();
            if self.buffer().is_settled_before(end) {
                return;
            }
            settled.await;
        }
    }

    /// Takes nothing more. What waits is sent.
    pub(super) fn close(&self) {
        let mut buffer = self.buffer();
        buffer.closed = true;
        buffer.seal();
        drop(buffer);
        self.room_items.close();
        self.room_bytes.close();
        self.tasks.close();
        self.closing.cancel();
        self.wake.notify_one();
    }

    pub(super) async fn shutdown(&self, within: Duration) -> Lost {
        let before = self.stats();
        self.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            self.abort.cancel();
            self.tasks.wait().await;
        }
        let after = self.stats();
        Lost {
            usage: after.usage.given_up - before.usage.given_up,
            flow_requests: after.flow_requests.given_up - before.flow_requests.given_up,
            executions: after.executions.given_up - before.executions.given_up,
        }
    }

    /// The next batch, when it is ready. None when there will be no more.
    async fn next_batch(self: &Arc<Self>) -> Option<Unsettled> {
        loop {
            let due = {
                let mut buffer = self.buffer();
                if self.waiting.load(Ordering::SeqCst) > 0 {
                    buffer.seal();
                }
                if let Some(batch) = buffer.take(Instant::now()) {
                    return Some(Unsettled::new(self, batch));
                }
                if buffer.closed {
                    return None;
                }
                buffer.due()
            };
            match due {
                None => self.wake.notified().await,
                // Either way the buffer is looked at again.
                Some(due) => drop(tokio::time::timeout_at(due, self.wake.notified()).await),
            }
        }
    }
}

/// Someone who waits for room, until it is dropped.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an item is no larger than a batch, which is 4 MiB at most")
}

/// Sends batches, so many at a time, until the buffer is closed and empty.
pub(super) async fn run(shared: Arc<Shared>, client: Client) {
    let slots = Arc::new(Semaphore::new(shared.settings.in_flight));
    loop {
        // A batch is taken when it can be sent at once; until then it may grow.
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("it is never closed");
            shared.next_batch().await.map(|batch| (slot, batch))
        };
        let next = tokio::select! {
            biased;
            () = shared.abort.cancelled() => None,
            next = next => next,
        };
        let Some((slot, batch)) = next else { break };
        let client = client.clone();
        shared.tasks.spawn(async move {
            deliver(&client, batch).await;
            drop(slot);
        });
    }
    // Empty, unless there was no time for it.
    let rest: Vec<_> = std::iter::from_fn(|| shared.buffer().take(Instant::now())).collect();
    let rest: Vec<_> = rest.into_iter().map(|batch| Unsettled::new(&shared, batch)).collect();
    for batch in rest {
        batch.give_up(&Part::new(batch.batch.items.clone()), None);
    }
}

/// Sends a batch, in parts if the service takes none so large.
async fn deliver(client: &Client, mut batch: Unsettled) {
    let shared = batch.shared.clone();
    let patience = Patience { call: client.call_timeout(), in_all: shared.settings.patience };
    // The last is sent first.
    let mut parts = vec![Part::new(batch.batch.items.clone())];
    while let Some(part) = parts.pop() {
        let sent = tokio::select! {
            biased;
            sent = client.send_if_supported(part.items.clone(), part.request_id, patience) => Some(sent),
            () = shared.abort.cancelled() => None,
        };
        match sent {
            Some(Ok(Some(recorded))) => batch.record(&part, recorded),
            Some(Ok(None)) => batch.leave_out(&part),
            Some(Err(error)) => match part.halves(&error) {
                Some([first, second]) => parts.extend([second, first]),
                None => batch.give_up(&part, Some(error)),
            },
            None => batch.give_up(&part, None),
        }
    }
}

/// A batch that left the buffer. It gives back its room when it is dropped, whatever became of it.
struct Unsettled {
    shared: Arc<Shared>,
    batch: Batch,
    accepted: u64,
    rejected: u64,
    unsupported: u64,
}

impl Unsettled {
    fn new(shared: &Arc<Shared>, batch: Batch) -> Self {
        Self { shared: shared.clone(), batch, accepted: 0, rejected: 0, unsupported: 0 }
    }

    fn record(&mut self, part: &Part, recorded: Recorded) {
        let rejected = recorded.rejections.iter().map(|rejection| usize::try_from(rejection.index).ok());
        let items = part.at(rejected.map(Option::unwrap_or_default));
        let count = part.count();
        let rejected = items.count().min(count);
        self.rejected += rejected;
        self.accepted += count - rejected;
        let Some(first) = recorded.rejections.first() else { return };
        if let Some(rejections) = self.shared.rejections.add(rejected) {
            let violation = first.field_violations.first();
            tracing::warn!(
                rejections,
                reason = first.reason,
                field = violation.map(|violation| &violation.field),
                description = violation.map(|violation| &violation.description),
                "Flowmeter rejected reports"
            );
        }
        if let Some(observer) = &self.shared.settings.observer {
            let (request_id, rejections) = (recorded.request_id, recorded.rejections);
            observer(Incident::Rejected { request_id, items, rejections });
        }
    }

    /// The service has no use for it.
    fn leave_out(&mut self, part: &Part) {
        self.unsupported += part.count();
        tracing::debug!(count = part.count(), kind = ?part.items.kind, "the service does not take such reports");
    }

    fn give_up(&self, part: &Part, error: Option<Error>) {
        if let Some(given_up) = self.shared.losses.add(part.count()) {
            let error = error.as_ref().map(ToString::to_string);
            tracing::error!(given_up, error, "reports to Flowmeter were given up");
        }
        if let Some(observer) = &self.shared.settings.observer {
            observer(Incident::GivenUp { request_id: part.request_id, items: part.all(), error });
        }
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let batch = &self.batch;
        let mut buffer = self.shared.buffer();
        let tally = buffer.stats.of(batch.items.kind);
        tally.accepted += self.accepted;
        tally.rejected += self.rejected;
        tally.unsupported += self.unsupported;
        tally.given_up += batch.recorded - self.accepted - self.rejected - self.unsupported;
        buffer.settle(batch.number);
        drop(buffer);
        self.shared.give_room(batch.room_items, batch.room_bytes);
        self.shared.settled.notify_waiters();
    }
}
