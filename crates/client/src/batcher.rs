//! Reporting in the background: items are gathered into batches and sent while the service goes on with its work.

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
        /// Its size, encoded; of a report of an execution that of the events that it becomes.
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
    /// Reports of executions.
    pub executions: u64,
}

impl Lost {
    /// Whether nothing was.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers usage events, flow requests and reports of executions into batches and sends them in the background. Cheap
/// to clone; all clones share one buffer.
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
        shared.tasks.spawn(drops::run(shared.clone()));
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
        self.enqueue(usage(event)).await
    }

    /// Records an event if there is room for it now, and drops it otherwise. Never waits. See [`Batcher::record`].
    pub fn try_record(&self, event: UsageEvent) -> Result<(), RecordError> {
        self.try_enqueue(usage(event))
    }

    /// Records a request to the endpoint of a flow, and waits for room in the buffer. A request without a
    /// timestamp gets the present time. Cancel safe.
    ///
    /// Requests that Flowmeter does not tell apart (of the same flow and quarter of an hour, with the same outcome
    /// and the same latency in seconds, rounded up) take the room of one while they wait.
    pub async fn record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        self.enqueue(flow_request(request)).await
    }

    /// Records a request to the endpoint of a flow if there is room for it now, and drops it otherwise. Never
    /// waits. See [`Batcher::record_flow_request`].
    pub fn try_record_flow_request(&self, request: FlowRequest) -> Result<(), RecordError> {
        self.try_enqueue(flow_request(request))
    }

    /// Reports an execution, and waits for room in the buffer. A report without a timestamp gets the present time.
    /// Cancel safe. [`Batcher::start_execution`] makes the report as well.
    ///
    /// It takes the room of the events that it becomes, one for each metric. Where the service is of a version that
    /// takes no executions, it is counted as [`Tally::unsupported`], which is no loss.
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

    /// Reports an execution if there is room for it now, and drops it otherwise. Never waits. See
    /// [`Batcher::report_execution`].
    pub fn try_report_execution(&self, report: ExecutionReport) -> Result<(), RecordError> {
        self.try_enqueue(execution(report))
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

    /// Begins an execution of `command` by an instance of `integration`, whose metrics are reported when the guard is
    /// dropped.
    #[must_use = "the execution ends when the guard is dropped"]
    pub fn start_execution(
        &self,
        integration: impl Into<String>,
        instance: impl Into<String>,
        command: impl Into<String>,
    ) -> ExecutionGuard {
        ExecutionGuard::new(self.clone(), integration.into(), instance.into(), command.into())
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
    // A named event is told by its name and its own time: a time made up here would count it again with
    // each report. The service rejects it instead.
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
