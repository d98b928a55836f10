//! Reports the schedules of executions whose deadline has passed: the items that remained become calls that
//! ended in `RetryTimeout`, at the time of the deadline.
//!
//! Several workers may report the same schedule. The id of the report follows from the schedule and its
//! deadline, so the ledger counts it once, however often it is reported and whichever worker dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flowmeter_contract::executions::Caller;
use flowmeter_core::ids::{RequestEventIds, RequestId};
use flowmeter_proto::queue::{Request, Usage};
use flowmeter_queue::Settings;
use flowmeter_service::tasks::Tasks;
use flowmeter_store::schedules::{OverdueSchedule, OverdueSchedules, list_overdue, settle_schedule};
use flowmeter_store::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio_util::sync::CancellationToken;

use super::Repeat;
use crate::report::Reporter;

/// How often the job looks for deadlines that have passed.
const INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of schedules that one look returns.
const AT_ONCE: i64 = 500;
/// The maximum number of reports that wait for the broker at the same time.
const CONCURRENCY: usize = 64;
/// The type of the calls that stand for the remaining items.
const TYPE: &str = "RetryTimeout";

/// Spawns the job and its reporter.
pub fn spawn(tasks: &mut Tasks, store: &Store, queue: &Settings) {
    let reporter = Reporter::spawn(tasks, "timeouts of schedules", queue, CONCURRENCY);
    let (store, stop, shards) = (store.clone(), tasks.stop(), queue.topology.shards);
    tasks.spawn("report overdue schedules", run(store, shards, reporter, stop));
}

async fn run(store: Store, shards: u16, reporter: Arc<Reporter>, stop: CancellationToken) {
    let mut repeat = Repeat::new("report overdue schedules", INTERVAL, stop.clone());
    while repeat.after(report_overdue(&store, shards, &reporter, &stop).await).await {}
}

/// Reports some of the overdue schedules. Returns how long to wait before the next look.
async fn report_overdue(
    store: &Store,
    shards: u16,
    reporter: &Reporter,
    stop: &CancellationToken,
) -> Result<Duration, StoreError> {
    let OverdueSchedules { overdue, is_full } = list_overdue(store, shards, AT_ONCE).await?;
    let reports = stream::iter(overdue).map(|one| report(store, reporter, one, stop));
    reports.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    Ok(if is_full { Duration::ZERO } else { INTERVAL })
}

/// Reports one schedule, and records that in the database once the broker has confirmed the report. A report
/// that is not confirmed is made again by the next worker that looks.
async fn report(
    store: &Store,
    reporter: &Reporter,
    overdue: OverdueSchedule,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    tokio::select! {
        () = reporter.report(request(&overdue), stop) => {}
        () = stop.cancelled() => {}
    }
    if stop.is_cancelled() {
        return Ok(());
    }
    settle_schedule(store, &overdue).await?;
    tracing::info!(
        schedule = overdue.id,
        integration = overdue.labels[0],
        items_remaining = overdue.items_remaining,
        deadline = %overdue.deadline,
        "a schedule passed its deadline with items remaining"
    );
    Ok(())
}

/// The report that the remaining items of a schedule have timed out.
fn request(overdue: &OverdueSchedule) -> Request {
    let OverdueSchedule { tenant, id, labels, items_remaining, deadline } = overdue;
    let [integration, instance, command] = labels;
    let event = Caller { integration, instance, command }.usage_event(TYPE, *items_remaining, *deadline);
    let request_id = RequestId::of_deadline(*tenant, id, *deadline);
    let event_id = RequestEventIds::new(*tenant, request_id).at(0, *deadline);
    Request {
        tenant_id: Bytes::copy_from_slice(tenant.0.as_bytes()),
        request_id: Bytes::copy_from_slice(request_id.0.as_bytes()),
        usage: vec![Usage {
            id: Bytes::copy_from_slice(event_id.0.as_bytes()),
            keyed: false,
            event: event.encode_to_vec().into(),
        }],
        ..Request::default()
    }
}
