//! Reporting in the background: items are gathered into batches and sent while the service goes on with its work.

mod buffer;
mod deliver;
mod flows;
mod part;
mod settings;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flowmeter_proto::v1::{FlowRequest, UsageEvent};
use prost::Message;

pub use self::settings::{BatcherSettings, Incident, IncidentItems};
pub use self::stats::{Stats, Tally};

use self::deliver::Shared;
use self::stats::Kind;
use crate::client::Client;
use crate::guard::{FlowRequestGuard, UsageGuard};

/// Why an item was not taken. It is counted as [`Tally::dropped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There is no room in the buffer. Only where the caller does not wait for room.
    #[error("the buffer is full")]
    Full,
    /// The item alone is larger than a batch may be.
    #[error("an item of {bytes} bytes is larger than a batch may be, which is {max_bytes}")]
    TooLarge {
        /// Its size, encoded.
        bytes: usize,
        /// What was allowed.
        max_bytes: usize,
    },
    /// The batcher was shut down.
    #[error("the batcher was shut down")]
    Closed,
}

/// What was in the buffer when a batcher was shut down and is not known to be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Lost {
    /// Usage events.
    pub usage: u64,
    /// Requests to the endpoints of flows, by their counts.
    pub flow_requests: u64,
}

impl Lost {
    /// Whether nothing was.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers usage events and flow requests into batches and sends them in the background. Cheap to clone; all clones
/// share one buffer.
///
/// What it was given is in memory until the service acknowledges it: [`Batcher::shutdown`] before the process ends
/// waits for that. When the last clone is dropped without it, what waits is still sent, for as long as the
/// runtime lives.
///
/// Each batch has one request id, whatever happens to it, so that it counts once however often it is sent.
#[derive(Clone)]
pub struct Batcher {
    handle: Arc<Handle>,
}

/// Closes the buffer when nobody can add to it any more.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Batcher {
    pub(crate) fn spawn(client: Client, settings: BatcherSettings) -> Self {
        let shared = Arc::new(Shared::new(settings));
        shared.tasks.spawn(deliver::run(shared.clone(), client));
        Self { handle: Arc::new(Handle(shared)) }
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    /// Records an event, and waits for room in the buffer. An event without a timestamp gets the present time, unless
    /// it has an `event_id`, which needs a timestamp that stays the same.
    ///
    /// It is in the buffer when this returns, and in Flowmeter later. Cancel safe: when the future is dropped
    /// before it is ready, the event is not recorded.
    pub async fn record(&self, event: UsageEvent) -> Result<(), RecordError> {
        let shared = self.shared();
        let event = self.encode(event)?;
        let taken = match shared.take_room(event.len()).await {
            Ok(()) => shared.insert_usage(event),
            Err(error) => Err(error),
        };
        taken.inspect_err(|error| shared.count_dropped(Kind::Usage, 1, *error))
    }

    /// Records an event if there is room for it now, and drops it otherwise. Never waits. See [`Batcher::record`].
    pub fn try_record(&self, event: UsageEvent) -> Result<(), RecordError> {
        let shared = self.shared();
        let event = self.encode(event)?;
        shared
            .try_take_room(event.len())
            .and_then(|()| shared.insert_usage(event))
            .inspect_err(|error| shared.count_dropped(Kind::Usage, 1, *error))
    }

    /// Records a request to the endpoint of a flow, and waits for room in the buffer. A request without a
    /// timestamp gets the present time. Cancel safe.
    ///
    /// Requests that Flowmeter does not tell apart (of the same flow and quarter of an hour, with the same outcome
    /// and the same latency in seconds, rounded up) take the room of one while they wait.
    pub async fn record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        let shared = self.shared();
        let (request, count) = self.complete(request)?;
        if shared.merge_flow_request(&request) {
            return Ok(());
        }
        let taken = match shared.take_room(flows::reserved_bytes(&request)).await {
            Ok(()) => shared.insert_flow_request(request),
            Err(error) => Err(error),
        };
        taken.inspect_err(|error| shared.count_dropped(Kind::FlowRequests, count, *error))
    }

    /// Records a request to the endpoint of a flow if there is room for it now, and drops it otherwise. Never
    /// waits. See [`Batcher::record_flow_request`].
    pub fn try_record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        let shared = self.shared();
        let (request, count) = self.complete(request)?;
        if shared.merge_flow_request(&request) {
            return Ok(());
        }
        shared
            .try_take_room(flows::reserved_bytes(&request))
            .and_then(|()| shared.insert_flow_request(request))
            .inspect_err(|error| shared.count_dropped(Kind::FlowRequests, count, *error))
    }

    /// Begins an event that ends, and is recorded, when the guard is dropped.
    #[must_use = "the event ends when the guard is dropped"]
    pub fn start(&self, event: UsageEvent) -> UsageGuard {
        UsageGuard::new(self.clone(), event)
    }

    /// Begins a request to the endpoint of a flow, which the guard is told the end of.
    #[must_use = "the request ends when the guard is dropped"]
    pub fn start_flow_request(&self, flow_id: impl Into<String>) -> FlowRequestGuard {
        FlowRequestGuard::new(self.clone(), flow_id.into())
    }

    /// Sends all that waits, and returns when all that was given before is settled: accepted, rejected or given
    /// up. [`Batcher::stats`] tells which.
    pub async fn flush(&self) {
        self.shared().flush().await;
    }

    /// Takes nothing more, sends all that waits, and returns when it is settled, at the latest after `within`. What
    /// has no answer then is given up, and it is not known whether it was recorded.
    ///
    /// Says what was lost of what was in the buffer. What was lost before is in [`Batcher::stats`].
    pub async fn shutdown(&self, within: Duration) -> Lost {
        self.shared().shutdown(within).await
    }

    /// What became of all that was given until now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    fn encode(&self, mut event: UsageEvent) -> Result<Bytes, RecordError> {
        // A named event is told by its name and its own time: a time made up here would count it again with
        // each report. The service rejects it instead.
        if event.event_id.is_empty() {
            event.timestamp.get_or_insert_with(|| SystemTime::now().into());
        }
        self.check_size(event.encoded_len(), Kind::Usage, 1)?;
        Ok(event.encode_to_vec().into())
    }

    /// The request with all that has a default, and how many it stands for.
    fn complete(&self, mut request: FlowRequest) -> Result<(FlowRequest, u64), RecordError> {
        request.timestamp.get_or_insert_with(|| SystemTime::now().into());
        request.count.get_or_insert(1);
        let count = flows::count(&request);
        self.check_size(flows::reserved_bytes(&request), Kind::FlowRequests, count)?;
        Ok((request, count))
    }

    fn check_size(&self, bytes: usize, kind: Kind, count: u64) -> Result<(), RecordError> {
        let max_bytes = self.shared().max_item_bytes();
        if bytes <= max_bytes {
            return Ok(());
        }
        let error = RecordError::TooLarge { bytes, max_bytes };
        self.shared().count_dropped(kind, count, error);
        Err(error)
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
