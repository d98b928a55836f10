//! Reporting in the background: items are gathered into batches and sent while the service continues its work.

mod buffer;
mod deliver;
mod drops;
mod executions;
mod flows;
mod item;
mod part;
mod settings;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flowmeter_proto::v1::{ExecutionReport, FlowRequest, UsageEvent};

pub use self::settings::{BatcherSettings, Incident, IncidentItems};
pub use self::stats::{Stats, Tally};

use self::deliver::Shared;
use self::item::Item;
use crate::client::Client;
use crate::guard::{ExecutionGuard, FlowRequestGuard, UsageGuard};

/// Why an item was dropped. The item is counted as [`Tally::dropped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The buffer is full. Only methods that do not wait fail with this error.
    Full,
    /// The item is larger than the limit of a batch.
    TooLarge {
        /// The encoded size of the item. For an execution, the size of the resulting usage events.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The batcher was shut down.
    Closed,
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("the buffer is full"),
            Self::TooLarge { bytes, max_bytes } => {
                write!(formatter, "expected an item of at most {max_bytes} bytes, found {bytes}")
            }
            Self::Closed => formatter.write_str("the batcher was shut down"),
        }
    }
}

impl std::error::Error for RecordError {}

/// The number of items that were in the buffer at shutdown and were not confirmed by the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Lost {
    /// Usage events.
    pub usage: u64,
    /// Requests to the endpoints of flows, including their counts.
    pub flow_requests: u64,
    /// Reports of executions.
    pub executions: u64,
}

impl Lost {
    /// Whether nothing was lost.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers usage events, flow requests and executions into batches, and sends the batches in the background. A batcher is
/// cheap to clone, and all clones share one buffer.
///
/// Items are in memory until the service acknowledges them. Call [`Batcher::shutdown`] before the process ends, and it
/// waits for the acknowledgements. If the last clone is dropped instead, the remaining items are still sent while the
/// runtime lives.
///
/// Each batch has one request id for all its attempts, so that it counts once.
#[derive(Clone)]
pub struct Batcher {
    handle: Arc<Handle>,
}

/// Closes the buffer when the last clone of the batcher is dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Batcher {
    pub(crate) fn spawn(client: Client, settings: BatcherSettings) -> Self {
        let shared = Arc::new(Shared::new(settings));
        shared.spawn(deliver::run(shared.clone(), client));
        shared.spawn(drops::run(shared.clone()));
        Self { handle: Arc::new(Handle(shared)) }
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    /// Records an event. Waits while the buffer is full. An event without a timestamp gets the current time, unless it has
    /// an `event_id`, which requires a timestamp that is the same in every report.
    ///
    /// When this method returns, the event is in the buffer, but not yet in Flowmeter. The method is cancel safe: if the
    /// future is dropped before it is ready, the event is not recorded.
    pub async fn record(&self, event: UsageEvent) -> Result<(), RecordError> {
        self.enqueue(usage(event)).await
    }

    /// Records an event, or drops it if the buffer is full. Never waits. See [`Batcher::record`].
    pub fn try_record(&self, event: UsageEvent) -> Result<(), RecordError> {
        self.try_enqueue(usage(event))
    }

    /// Records a request to the endpoint of a flow. Waits while the buffer is full. A request without a timestamp gets the
    /// current time. The method is cancel safe.
    ///
    /// Requests that Flowmeter counts together use the room of one item in the buffer. These are requests of the same flow
    /// and quarter-hour with the same outcome and the same latency in seconds, rounded up.
    pub async fn record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        self.enqueue(flow_request(request)).await
    }

    /// Records a request to the endpoint of a flow, or drops it if the buffer is full. Never waits. See
    /// [`Batcher::record_flow_request`].
    pub fn try_record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        self.try_enqueue(flow_request(request))
    }

    /// Reports an execution. Waits while the buffer is full. A report without a timestamp gets the current time. The method
    /// is cancel safe. [`Batcher::start_execution`] also creates the report.
    ///
    /// In the buffer a report uses the room of the resulting usage events, one for each metric. If the version of the
    /// service does not support executions, the report is counted as [`Tally::unsupported`], which is not a loss.
    ///
    /// ```
    /// # use flowmeter_client::{BatcherSettings, Client, ClientSettings, ExecutionMetrics, MetricType};
    /// # flowmeter_fake::example(async |fake| {
    /// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
    /// let mut metrics = ExecutionMetrics::new();
    /// metrics.add_many(MetricType::Success, 12);
    /// if let Some(report) = metrics.report("VirusTotal", "VirusTotal_instance_1", "url") {
    ///     batcher.report_execution(report).await?;
    /// }
    /// # batcher.flush().await;
    /// # assert_eq!(fake.executions()[0].metrics[0].count, 12);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn report_execution(&self, report: ExecutionReport) -> Result<(), RecordError> {
        self.enqueue(execution(report)).await
    }

    /// Reports an execution, or drops the report if the buffer is full. Never waits. See [`Batcher::report_execution`].
    pub fn try_report_execution(&self, report: ExecutionReport) -> Result<(), RecordError> {
        self.try_enqueue(execution(report))
    }

    /// Starts an event. The guard records the event with its duration when the guard is dropped.
    #[must_use = "the event ends when the guard is dropped"]
    pub fn start(&self, event: UsageEvent) -> UsageGuard {
        UsageGuard::new(self.clone(), event)
    }

    /// Starts a request to the endpoint of a flow. Call a method of the guard when the request ends.
    #[must_use = "the request ends when the guard is dropped"]
    pub fn start_flow_request(&self, flow_id: impl Into<String>) -> FlowRequestGuard {
        FlowRequestGuard::new(self.clone(), flow_id.into())
    }

    /// Starts an execution of `command` by an instance of `integration`. The guard reports the metrics when it is dropped.
    #[must_use = "the execution ends when the guard is dropped"]
    pub fn start_execution(
        &self,
        integration: impl Into<String>,
        instance: impl Into<String>,
        command: impl Into<String>,
    ) -> ExecutionGuard {
        ExecutionGuard::new(self.clone(), integration.into(), instance.into(), command.into())
    }

    /// Sends everything in the buffer, and returns when every item recorded before this call is accepted, rejected or given
    /// up. See [`Batcher::stats`].
    pub async fn flush(&self) {
        self.shared().flush().await;
    }

    /// Closes the batcher, sends everything in the buffer, and returns when every item is accepted, rejected or given up, or
    /// after `within`. Items without an answer by then are given up; the service may have recorded them.
    ///
    /// Returns the items in the buffer that were lost. [`Batcher::stats`] also contains earlier losses.
    pub async fn shutdown(&self, within: Duration) -> Lost {
        self.shared().shutdown(within).await
    }

    /// The number of items so far by their results.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    async fn enqueue(&self, item: Item) -> Result<(), RecordError> {
        let shared = self.shared();
        let (kind, count) = (item.kind(), item.count());
        let taken = async {
            let bytes = shared.check_size(&item)?;
            if shared.merge(&item) {
                return Ok(());
            }
            shared.take_room(bytes).await?;
            shared.insert(item)
        };
        taken.await.inspect_err(|error| shared.count_dropped(kind, count, *error))
    }

    fn try_enqueue(&self, item: Item) -> Result<(), RecordError> {
        let shared = self.shared();
        let (kind, count) = (item.kind(), item.count());
        let taken = || {
            let bytes = shared.check_size(&item)?;
            if shared.merge(&item) {
                return Ok(());
            }
            shared.try_take_room(bytes)?;
            shared.insert(item)
        };
        taken().inspect_err(|error| shared.count_dropped(kind, count, *error))
    }
}

fn usage(mut event: UsageEvent) -> Item {
    // An event with an event_id is identified by the id and the timestamp. A timestamp generated here would count the
    // event again with each report, so the service rejects the event instead.
    if event.event_id.is_empty() {
        event.timestamp.get_or_insert_with(|| SystemTime::now().into());
    }
    Item::usage(&event)
}

fn flow_request(mut request: FlowRequest) -> Item {
    request.timestamp.get_or_insert_with(|| SystemTime::now().into());
    request.count.get_or_insert(1);
    Item::FlowRequest(request)
}

fn execution(mut report: ExecutionReport) -> Item {
    report.timestamp.get_or_insert_with(|| SystemTime::now().into());
    Item::execution(&report)
}

impl fmt::Debug for Batcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
