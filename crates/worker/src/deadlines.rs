//! Schedules of executions whose deadline has passed: what remained is reported as calls that ended in
//! `RetryTimeout`, at the time of the deadline.
//!
//! Several workers may report the same: the id of the report follows from the schedule and its deadline, so
//! the ledger counts it once, however often it is reported and whoever dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flowmeter_contract::executions::Caller;
use flowmeter_core::ids::{RequestEventIds, RequestId};
use flowmeter_proto::queue::{Request, Usage};
use flowmeter_queue::{Backoff, Settings};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::schedules::{Due, Overdue, forget_schedules, list_overdue, settle_schedule};
use flowmeter_store::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::checks::report::Reporter;

/// How often deadlines are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// States of schedules that one look is about at most.
const AT_ONCE: i64 = 500;
/// Reports that wait for the broker at the same time.
const UNDER_WAY: usize = 64;
/// Looks between two times that old schedules are forgotten: about an hour.
const FORGET_EVERY: u32 = 3_600;
/// How the calls of what remained have ended.
const TYPE: &str = "RetryTimeout";

/// Spawns what reports overdue schedules.
pub fn spawn(tasks: &mut Tasks, store: &Store, queue: &Settings) {
    let reporter = Reporter::spawn(tasks, "timeouts of schedules", queue, UNDER_WAY);
    tasks.spawn("deadlines of schedules", run(store.clone(), queue.topology.shards, reporter, tasks.stop()));
}

/// Reports what is overdue until `stop`.
async fn run(store: Store, shards: u16, reporter: Arc<Reporter>, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut looks = 0_u32;
    while !stop.is_cancelled() {
        let wait = match step(&store, shards, &reporter, &stop).await {
            Ok(is_full) => {
                backoff.reset();
                if is_full { Duration::ZERO } else { INTERVAL }
            }
            Err(error) => {
                tracing::warn!(%error, "deadlines of schedules could not be looked at; trying again");
                backoff.next_wait().max(INTERVAL)
            }
        };
        if looks.is_multiple_of(FORGET_EVERY)
            && let Err(error) = forget_schedules(&store).await
        {
            tracing::debug!(%error, "old schedules could not be forgotten");
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Reports some of what is overdue. Returns whether there may be more.
async fn step(
    store: &Store,
    shards: u16,
    reporter: &Reporter,
    stop: &CancellationToken,
) -> Result<bool, StoreError> {
    let Due { overdue, is_full } = list_overdue(store, shards, AT_ONCE).await?;
    let reports = stream::iter(overdue).map(|one| report(store, reporter, one, stop));
    reports.buffer_unordered(UNDER_WAY).try_collect::<()>().await?;
    Ok(is_full)
}

/// Reports one schedule, and notes it when the broker has confirmed. What is not confirmed is reported again
/// by whoever comes next.
async fn report(
    store: &Store,
    reporter: &Reporter,
    overdue: Overdue,
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
        "a scheduled command did not come to its end in time"
    );
    Ok(())
}

/// The report that what remained of a schedule has timed out.
fn request(overdue: &Overdue) -> Request {
    let Overdue { tenant, id, labels, items_remaining, deadline } = overdue;
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
