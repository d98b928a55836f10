//! Checks whether the endpoints of flows are available. Only the worker that has the lease makes the checks.
//!
//! The times of a flow's checks follow from the flow alone ([`schedule`]), and the id of a report follows
//! from the flow and the time. So a worker that takes over needs no information from the previous one, and a
//! check that both have made counts once.

mod agenda;
mod fair_queue;
pub mod guard;
mod health;
mod lease;
mod missed;
mod probe;
mod result;
pub mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_queue::Settings;
use flowmeter_service::retry::Retry;
use flowmeter_service::tasks::Tasks;
use flowmeter_store::flows::{CheckedFlow, count_flow_changes, list_checked_flows};
use flowmeter_store::{Store, StoreError};
use futures::future::BoxFuture;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Checks;
use crate::report::Reporter;
use agenda::{Agenda, Due};
use fair_queue::FlowName;
use health::Changes;
use lease::{Keeper, Lease};
use missed::Missed;
use probe::{CaError, Failure, Probe};
use result::report_of;

/// How often a worker looks whether flows have changed. A change takes effect within 5 s, even if the
/// database is slow.
const REREAD_INTERVAL: Duration = Duration::from_secs(2);
/// How often the list of flows is read even if it has not changed. This also finds slots that are due earlier
/// because the clock was set back.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);

/// The flows after a number of changes.
struct Snapshot {
    changes: i64,
    flows: Vec<CheckedFlow>,
}

/// The list of flows that is being read. None if it has not changed.
type Reading = BoxFuture<'static, Result<Option<Snapshot>, StoreError>>;

/// How long the broker may take to confirm the last results when this worker stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Spawns the task that makes the checks while this worker has the lease, and the one that keeps the lease.
/// Fails if the file of certificate authorities is invalid.
pub fn spawn(tasks: &mut Tasks, store: &Store, queue: &Settings, settings: &Checks) -> Result<(), CaError> {
    let probe = Probe::new(
        settings.flow_check_allow.clone(),
        settings.flow_check_timeout,
        settings.flow_check_ca.as_deref(),
        probe::system_resolver(),
        probe::MAX_LOOKUPS,
    )?;
    let concurrency = usize::from(settings.flow_check_concurrency);
    let (keeper, lease) = Keeper::new(store.clone());
    // The lease is released as soon as the checks have ended, while other tasks can still be stopping, and
    // even if the checks panic.
    let (release, stop) = (CancellationToken::new(), tasks.stop());
    let asked = release.clone();
    tasks.spawn("keep the lease of the checks", async move {
        keeper.run(asked).await;
        stop.cancelled().await;
    });
    let checker = Checker {
        store: store.clone(),
        probe,
        concurrency,
        lease,
        stop: tasks.stop(),
        agenda: Agenda::new(settings.flow_check_interval, concurrency),
        reading: None,
        read_next: Instant::now(),
        read_retry: Retry::new("read the list of flows"),
        known: None,
        running: JoinSet::new(),
        names: HashMap::new(),
        changes: Arc::default(),
        reporter: Reporter::spawn(tasks, "results of checks", queue, concurrency),
        missed: Missed::default(),
    };
    let release = release.drop_guard();
    tasks.spawn("check endpoints", async move {
        let _release = release;
        checker.run().await;
    });
    Ok(())
}

/// Makes the checks while this worker has the lease.
struct Checker {
    store: Store,
    probe: Probe,
    concurrency: usize,
    lease: Lease,
    stop: CancellationToken,
    agenda: Agenda,
    /// The list of flows, while it is being read.
    reading: Option<Reading>,
    read_next: Instant,
    read_retry: Retry,
    /// The number of changes after which the flows were read, and until when that number is relied on.
    known: Option<(i64, Instant)>,
    /// The running checks, and their flows.
    running: JoinSet<Option<String>>,
    names: HashMap<task::Id, Arc<FlowName>>,
    changes: Arc<Changes>,
    reporter: Arc<Reporter>,
    missed: Missed,
}

impl Checker {
    /// Makes checks until it is asked to stop. Running checks are then abandoned, and the results
    /// that were published are confirmed, before the lease is released to the next worker.
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            if self.lease.is_held() {
                self.step().await;
            } else {
                self.stand_by().await;
            }
        }
        let drained = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!("the broker did not confirm the last results of checks");
        }
        self.running.shutdown().await;
    }

    /// Waits for the lease with an empty agenda: the slots of this time are missed, even if this worker had
    /// the lease just before. Checks that it has begun go on.
    async fn stand_by(&mut self) {
        self.agenda.clear();
        self.reading = None;
        self.known = None;
        self.read_next = Instant::now();
        tokio::select! {
            () = self.lease.changed() => {}
            Some(ended) = self.running.join_next_with_id() => self.ended(ended),
            () = self.stop.cancelled() => {}
        }
    }

    /// Handles the next event while the lease is held.
    async fn step(&mut self) {
        if self.reading.is_none() && self.read_next <= Instant::now() {
            let known = self.known.filter(|(_, until)| Instant::now() < *until).map(|(changes, _)| changes);
            self.reading = Some(Box::pin(read(self.store.clone(), known)));
        }
        self.missed.skipped(self.agenda.advance(Timestamp::now()));
        self.missed.log(self.concurrency, self.reporter.late());
        while self.lease.is_held()
            && let Some(due) = self.agenda.take_due()
        {
            self.start(due);
        }
        let until_slot = self.agenda.next_slot().map(|slot| slot.since(Timestamp::now()));
        // Not longer than until the next reading, because the clock may be set forward meanwhile.
        let wake = until_slot.unwrap_or(REREAD_INTERVAL).min(REREAD_INTERVAL);
        tokio::select! {
            flows = under_way(&mut self.reading) => self.update(flows),
            Some(ended) = self.running.join_next_with_id() => self.ended(ended),
            () = tokio::time::sleep(wake) => {}
            () = self.lease.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn update(&mut self, read: Result<Option<Snapshot>, StoreError>) {
        self.reading = None;
        let mut wait = REREAD_INTERVAL;
        match read {
            Ok(snapshot) => {
                self.read_retry.succeeded();
                if let Some(Snapshot { changes, flows }) = snapshot {
                    self.known = Some((changes, Instant::now() + REFRESH_INTERVAL));
                    self.agenda.update(flows, Timestamp::now());
                }
            }
            // Meanwhile the flows of the last list are checked.
            Err(error) => wait = self.read_retry.failed(&error, REREAD_INTERVAL),
        }
        self.read_next = Instant::now() + wait;
    }

    fn start(&mut self, due: Due) {
        let (probe, reporter, changes) = (self.probe.clone(), self.reporter.clone(), self.changes.clone());
        let name = due.name.clone();
        let task = self.running.spawn(check(probe, due, changes, reporter, self.stop.clone()));
        self.names.insert(task.id(), name);
    }

    fn ended(&mut self, ended: Result<(task::Id, Option<String>), JoinError>) {
        let (id, fault) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Some(error.to_string())),
        };
        if let Some(name) = self.names.remove(&id) {
            self.agenda.ended(&name);
        }
        if let Some(reason) = fault {
            self.missed.fault(reason);
        }
    }
}

/// Makes one check and reports its result. It ends when the broker has confirmed the result, so that the
/// number of results that wait is bounded too. Returns why the check could not be made, if the worker itself
/// is at fault: then nothing is reported, as if the slot was missed.
async fn check(
    probe: Probe,
    due: Due,
    changes: Arc<Changes>,
    reporter: Arc<Reporter>,
    stop: CancellationToken,
) -> Option<String> {
    let Due { flow, health, slot, .. } = due;
    let begun = Instant::now();
    let result = tokio::select! {
        result = probe.check(flow.tenant, &flow.endpoint_url) => result,
        () = stop.cancelled() => return None,
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = match &result {
        Ok(()) => "succeeded",
        Err(Failure::NotChecked(_)) => "not checked",
        Err(_) => "failed",
    };
    let reason = result.as_ref().err().map(Failure::reason);
    tracing::debug!(flow = flow.flow_id, %slot, duration_ms, outcome, reason, "checked");
    if matches!(result, Err(Failure::NotChecked(_))) {
        return reason;
    }
    changes.record(&flow, &health, &result);
    reporter.report(report_of(&flow, slot, result.is_ok()), &stop).await;
    None
}

/// Reads the flows, unless the number of their changes is still `known`.
async fn read(store: Store, known: Option<i64>) -> Result<Option<Snapshot>, StoreError> {
    let changes = count_flow_changes(&store).await?;
    if known == Some(changes) {
        return Ok(None);
    }
    Ok(Some(Snapshot { changes, flows: list_checked_flows(&store).await? }))
}

async fn under_way(reading: &mut Option<Reading>) -> <Reading as Future>::Output {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}
