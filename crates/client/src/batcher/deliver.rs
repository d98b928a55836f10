//! The buffer that the tasks of a batcher share, and the task that sends its batches.
//!
//! Two semaphores count the room in the buffer. Room is reserved before an item enters the buffer and released when its
//! batch is settled, so items in flight count as well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, TryAcquireError, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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

/// The state that all clones and tasks of a batcher share.
pub(super) struct Shared {
    settings: BatcherSettings,
    buffer: Mutex<Buffer>,
    room_items: Semaphore,
    room_bytes: Semaphore,
    /// The number of callers that wait for room. Only sent batches release room, so while any caller waits, batches are sent
    /// without waiting for their age.
    waiting: AtomicUsize,
    /// Wakes the sender.
    wake: Notify,
    /// Wakes the callers that wait until batches are settled.
    settled: Notify,
    /// Each task holds a receiver, so it is closed when all tasks have ended.
    tasks: watch::Sender<()>,
    abort: CancellationToken,
    /// Cancelled when the batcher closes.
    pub(super) closing: CancellationToken,
    /// Wakes the task that reports drops.
    pub(super) dropped: Notify,
    /// Drops after the shutdown, which are only logged.
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
            tasks: watch::Sender::new(()),
            abort: CancellationToken::new(),
            closing: CancellationToken::new(),
            dropped: Notify::new(),
            late: Occasional::default(),
            rejections: Occasional::default(),
            losses: Occasional::default(),
            settings,
        }
    }

    /// Starts a task, for which [`Shared::shutdown`] waits.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.tasks.subscribe();
        tokio::spawn(async move {
            task.await;
            drop(running);
        });
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> Stats {
        self.buffer().stats
    }

    /// The bytes that an item needs, if it fits into a batch.
    pub(super) fn check_size(&self, item: &Item) -> Result<usize, RecordError> {
        let (bytes, max_bytes) = (item.reserved_bytes(), self.settings.batch_limits().1);
        if bytes <= max_bytes { Ok(bytes) } else { Err(RecordError::TooLarge { bytes, max_bytes }) }
    }

    /// Reserves room for an item if there is room. Callers that wait go first.
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

    /// Reserves room for an item. Waits for room, in the order of the callers.
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

    /// Merges a flow request into a waiting item, which needs no room.
    pub(super) fn merge(&self, item: &Item) -> bool {
        let Item::FlowRequest(request) = item else { return false };
        let mut buffer = self.buffer();
        !buffer.closed && buffer.merge(request)
    }

    /// Puts an item into the buffer, for which room was reserved.
    pub(super) fn insert(&self, item: Item) -> Result<(), RecordError> {
        let bytes = item.reserved_bytes();
        let mut buffer = self.buffer();
        let closed = buffer.closed;
        // A request with the same key may have been added while this one waited for room.
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

    /// Counts drops. Drops after the shutdown are only logged, because the task that reports drops has ended.
    pub(super) fn count_dropped(&self, kind: Kind, count: u64, error: RecordError) {
        if self.buffer().count_dropped(kind, count, error) {
            self.dropped.notify_one();
        } else if let Some(dropped) = self.late.add(count) {
            tracing::warn!(dropped, %error, "reports to Flowmeter were dropped");
        }
    }

    /// Reports the drops since the last report.
    pub(super) fn report_dropped(&self) {
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
            // No notification is missed from here on.
            settled.as_mut().enable();
            if self.buffer().is_settled_before(end) {
                return;
            }
            settled.await;
        }
    }

    /// Closes the batcher. Waiting items are sent.
    pub(super) fn close(&self) {
        let mut buffer = self.buffer();
        buffer.closed = true;
        buffer.seal();
        drop(buffer);
        self.room_items.close();
        self.room_bytes.close();
        self.closing.cancel();
        self.wake.notify_one();
    }

    pub(super) async fn shutdown(&self, within: Duration) -> Lost {
        let before = self.stats();
        self.close();
        if tokio::time::timeout(within, self.tasks.closed()).await.is_err() {
            self.abort.cancel();
            self.tasks.closed().await;
        }
        let after = self.stats();
        Lost {
            usage: after.usage.given_up - before.usage.given_up,
            flow_requests: after.flow_requests.given_up - before.flow_requests.given_up,
            executions: after.executions.given_up - before.executions.given_up,
        }
    }

    /// Waits for the next batch that is ready. None if the batcher is closed and its buffer is empty.
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
                // In both cases the buffer is checked again.
                Some(due) => drop(tokio::time::timeout_at(due, self.wake.notified()).await),
            }
        }
    }
}

/// A caller that waits for room, until this is dropped.
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
    u32::try_from(bytes).expect("an item fits into a batch, which is at most 4 MiB")
}

/// Sends batches, with a limited number in flight, until the buffer is closed and empty.
pub(super) async fn run(shared: Arc<Shared>, client: Client) {
    let slots = Arc::new(Semaphore::new(shared.settings.in_flight));
    loop {
        // A batch is taken only when it can be sent immediately, so that it can grow until then.
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            shared.next_batch().await.map(|batch| (slot, batch))
        };
        let Some((slot, batch)) = shared.abort.run_until_cancelled(next).await.flatten() else { break };
        let client = client.clone();
        shared.spawn(async move {
            deliver(&client, batch).await;
            drop(slot);
        });
    }
    // The buffer is empty unless the shutdown was out of time.
    let rest: Vec<_> = std::iter::from_fn(|| shared.buffer().take(Instant::now())).collect();
    let rest: Vec<_> = rest.into_iter().map(|batch| Unsettled::new(&shared, batch)).collect();
    for batch in rest {
        batch.give_up(&Part::new(batch.batch.items.clone()), None);
    }
}

/// Sends a batch, in parts if it is too large for the service.
async fn deliver(client: &Client, mut batch: Unsettled) {
    let shared = batch.shared.clone();
    let patience = Patience { call: client.call_timeout(), in_all: shared.settings.patience };
    // The last part is sent first.
    let mut parts = vec![Part::new(batch.batch.items.clone())];
    while let Some(part) = parts.pop() {
        let sent = client.send_if_supported(part.items.clone(), part.request_id, patience);
        match shared.abort.run_until_cancelled(sent).await {
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

/// A batch that left the buffer. It releases its room and settles when it is dropped.
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

    /// The service does not support these items.
    fn leave_out(&mut self, part: &Part) {
        self.unsupported += part.count();
        tracing::debug!(count = part.count(), kind = ?part.items.kind, "the service does not support these reports");
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
