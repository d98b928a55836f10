//! How much waits, for how long, and who is told of what is lost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_proto::v1::{ExecutionReport, FlowRequest, Rejection, UsageEvent};
use uuid::Uuid;

use super::RecordError;
use crate::error::Error;

/// What the contract allows in a batch.
const MAX_BATCH_ITEMS: usize = 10_000;
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Who is told of incidents.
pub(super) type Observer = Arc<dyn Fn(Incident) + Send + Sync>;

/// How a [`Batcher`](super::Batcher) works. The defaults suit a service of up to some 100,000 events/s; its memory
/// is at most about `buffer_bytes`, and is used only while there is something to report.
#[derive(Clone)]
pub struct BatcherSettings {
    pub(super) batch_items: usize,
    pub(super) batch_bytes: usize,
    pub(super) max_age: Duration,
    pub(super) buffer_items: usize,
    pub(super) buffer_bytes: usize,
    pub(super) in_flight: usize,
    pub(super) patience: Duration,
    pub(super) observer: Option<Observer>,
}

impl Default for BatcherSettings {
    fn default() -> Self {
        Self {
            batch_items: 1_000,
            batch_bytes: 1024 * 1024,
            max_age: Duration::from_secs(1),
            buffer_items: 100_000,
            buffer_bytes: 32 * 1024 * 1024,
            in_flight: 4,
            patience: Duration::from_mins(5),
            observer: None,
        }
    }
}

impl BatcherSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch is sent when it has so many items, 1 to 10,000, or reports of executions with 10,000 metrics. Default:
    /// 1,000, from which on larger batches save little.
    #[must_use]
    pub fn batch_items(mut self, items: usize) -> Self {
        self.batch_items = items.clamp(1, MAX_BATCH_ITEMS);
        self
    }

    /// A batch is sent before its items, as they are encoded, take more bytes than this, up to 4 MiB. A larger
    /// item is refused. Where the service takes less, a batch is sent in halves. Default: 1 MiB.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.clamp(1, MAX_BATCH_BYTES);
        self
    }

    /// A batch is sent when its first item has waited so long, at most an hour. Default: 1 s.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age.min(Duration::from_hours(1));
        self
    }

    /// So many items may be in memory, waiting or under way. Default: 100,000.
    #[must_use]
    pub fn buffer_items(mut self, items: usize) -> Self {
        self.buffer_items = items.max(1);
        self
    }

    /// So many bytes of items, as they are encoded, may be in memory, waiting or under way. Default: 32 MiB. A
    /// batch is never larger than this.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes.clamp(1, u32::MAX as usize);
        self
    }

    /// So many requests may be under way at a time, repetitions included. Default: 4.
    #[must_use]
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// How long after its first attempt a request may begin to be repeated; then its batch is given up. Meanwhile
    /// the buffer fills. Up to 6 days, because the service takes ids of requests for 7. Default: 5 minutes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.min(Duration::from_hours(6 * 24));
        self
    }

    /// Who is told of items that the service did not accept, of batches that were given up, and of what was
    /// dropped. It runs on the batcher's tasks, so it should be quick and hand over what takes long. Default: nobody;
    /// they are counted and logged all the same.
    #[must_use]
    pub fn on_incident(mut self, observer: impl Fn(Incident) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The limits of a batch: what fits the buffer as well, or a batch would never be full.
    pub(super) fn batch_limits(&self) -> (usize, usize) {
        (self.batch_items.min(self.buffer_items), self.batch_bytes.min(self.buffer_bytes))
    }
}

impl fmt::Debug for BatcherSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BatcherSettings")
            .field("batch_items", &self.batch_items)
            .field("batch_bytes", &self.batch_bytes)
            .field("max_age", &self.max_age)
            .field("buffer_items", &self.buffer_items)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("in_flight", &self.in_flight)
            .field("patience", &self.patience)
            .field("observer", &self.observer.is_some())
            .finish()
    }
}

/// What was given to a batcher and did not get into Flowmeter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Incident {
    /// The service did not accept some items of a batch. They are wrong for good.
    Rejected {
        /// The id of the request.
        request_id: Uuid,
        /// The items that were rejected, in the order of `rejections`.
        items: IncidentItems,
        /// Why, by ascending place in the request.
        rejections: Vec<Rejection>,
    },
    /// A batch was given up, or a part of one that the service did not take as a whole because it is too large.
    GivenUp {
        /// The id of the request. Under this id, [`Client::record_usage_as`](crate::Client::record_usage_as) may
        /// repeat it with the same items in the same order, and they count once.
        request_id: Uuid,
        /// All of the request.
        items: IncidentItems,
        /// What the last attempt failed for. None if the batcher was shut down before there was an answer.
        error: Option<Error>,
    },
    /// Items were not taken into the buffer. The first are told at once, further ones together every 10 s, and
    /// the rest when the batcher is shut down; what comes after that is only counted and logged.
    Dropped {
        /// How many, of all kinds together, since this was told last. [`Stats`](super::Stats) tells kinds apart.
        count: u64,
        /// Why the last of them were not taken.
        error: RecordError,
    },
}

/// The items that an [`Incident`] is about.
#[derive(Debug, Clone, PartialEq)]
pub enum IncidentItems {
    /// Usage events.
    Usage(Vec<UsageEvent>),
    /// Requests to the endpoints of flows, those that are alike in one item.
    FlowRequests(Vec<FlowRequest>),
    /// Reports of executions.
    Executions(Vec<ExecutionReport>),
}
