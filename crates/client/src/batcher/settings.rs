//! The settings of a batcher, and the incidents that it reports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_proto::v1::{ExecutionReport, FlowRequest, Rejection, UsageEvent};
use uuid::Uuid;

use super::RecordError;
use crate::error::Error;

/// The limits of a batch in the contract.
const MAX_BATCH_ITEMS: usize = 10_000;
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The function that is called with incidents.
pub(super) type Observer = Arc<dyn Fn(Incident) + Send + Sync>;

/// The settings of a [`Batcher`](super::Batcher). The defaults suit a service of up to about 100,000 events/s. A batcher
/// uses at most about `buffer_bytes` of memory, and only while there are items to report.
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

    /// Sets the number of items at which a batch is sent, 1 to 10,000. A batch of executions is also sent when it has 10,000
    /// metrics. Default: 1,000, because larger batches save little.
    #[must_use]
    pub fn batch_items(mut self, items: usize) -> Self {
        self.batch_items = items.clamp(1, MAX_BATCH_ITEMS);
        self
    }

    /// Sets the maximum size of a batch, in bytes of its encoded items, up to 4 MiB. A larger item is dropped. If the limit
    /// of the service is smaller, the batch is sent in halves. Default: 1 MiB.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.clamp(1, MAX_BATCH_BYTES);
        self
    }

    /// Sets how long the first item of a batch waits before the batch is sent, at most 1 h. Default: 1 s.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age.min(Duration::from_hours(1));
        self
    }

    /// Sets the maximum number of items in memory, waiting or in flight. Default: 100,000.
    #[must_use]
    pub fn buffer_items(mut self, items: usize) -> Self {
        self.buffer_items = items.max(1);
        self
    }

    /// Sets the maximum size of all items in memory, waiting or in flight, in bytes of the encoded items. A batch is never
    /// larger. Default: 32 MiB.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes.clamp(1, u32::MAX as usize);
        self
    }

    /// Sets the maximum number of requests in flight, including retries. Default: 4.
    #[must_use]
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// Sets how long after the first attempt of a request a retry may start. After that, its batch is given up. In the
    /// meantime the buffer fills. At most 6 days, because the service accepts request ids of the last 7 days. Default: 5 min.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.min(Duration::from_hours(6 * 24));
        self
    }

    /// Sets a function that is called when the service rejects items, when a batch is given up, and when items are dropped.
    /// It runs on the tasks of the batcher, so it should return quickly. Default: none. Losses are counted and logged in any
    /// case.
    #[must_use]
    pub fn on_incident(mut self, observer: impl Fn(Incident) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The limits of a batch, which are at most those of the buffer; otherwise a batch would never be full.
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

/// Items that were not recorded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Incident {
    /// The service rejected some items of a batch. A retry would fail again.
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
        /// The error of the last attempt. None if the batcher was shut down before an attempt failed.
        error: Option<Error>,
    },
    /// Items were dropped before they were in the buffer. The first drop is reported immediately, further drops every 10 s,
    /// and the rest at shutdown. Drops after the shutdown are only counted and logged.
    Dropped {
        /// The number of items of all kinds since the last such incident. [`Stats`](super::Stats) has them by kind.
        count: u64,
        /// Why the last item was dropped.
        error: RecordError,
    },
}

/// The items of an [`Incident`].
#[derive(Debug, Clone, PartialEq)]
pub enum IncidentItems {
    /// Usage events.
    Usage(Vec<UsageEvent>),
    /// Requests to the endpoints of flows. Requests that Flowmeter counts together are one item.
    FlowRequests(Vec<FlowRequest>),
    /// Reports of executions.
    Executions(Vec<ExecutionReport>),
}
