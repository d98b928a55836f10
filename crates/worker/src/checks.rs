//! Checks whether the endpoints of flows are available, by one worker at a time.
//!
//! What is to be checked when follows from the flow alone ([`schedule`]), and the id under which a
//! result is reported follows from that. So a worker that takes over needs to know nothing of the
//! one before it, and a check that both made counts once.

mod agenda;
pub mod guard;
mod health;
mod lease;
mod missed;
mod probe;
pub mod report;
pub mod schedule;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_queue::{Backoff, Settings};
use flowmeter_store::flows::{CheckedFlow, count_flow_changes, list_checked_flows};
use flowmeter_store::{Store, StoreError};
use futures::future::BoxFuture;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Checks;
use agenda::{Agenda, Due};
use health::Changes;
use lease::{Keeper, Lease};
use missed::Missed;
use probe::{CaError, Failure, Probe};
use report::Reporter;
use turns::Name;

/// How often to look whether flows have changed: changes take effect within 5 s, with room for a slow
/// answer.
const REREAD_INTERVAL: Duration = Duration::from_secs(2);
/// How often the list of flows is read although nothing says that it changed, which also finds slots
/// that are near again because the clock was put back.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);

/// Makes the checks while this worker has the lease.
pub struct Job {
    store: Store,
    queue: Settings,
    probe: Probe,
    interval: Duration,
    concurrency: usize,
}

/// The flows, as they were after so many changes.
struct Snapshot {
    changes: i64,
    flows: Vec<CheckedFlow>,
}

/// The flows that are being read. None where they have not changed.
type Reading = BoxFuture<'static, Result<Option<Snapshot>, StoreError>>;

impl Job {
    /// Fails if the file of authorities is of no use.
    pub fn new(store: Store, queue: Settings, settings: &Checks) -> Result<Self, CaError> {
        let probe = Probe::new(
            settings.flow_check_allow.clone(),
            settings.flow_check_timeout,
            settings.flow_check_ca.as_deref(),
            probe::system_resolver(),
            probe::MAX_LOOKUPS,
        )?;
        let concurrency = usize::from(settings.flow_check_concurrency);
        Ok(Self { store, queue, probe, interval: settings.flow_check_interval, concurrency })
    }

    /// Works until `stop`. Checks that are under way then are abandoned, results that are on their
    /// way are confirmed, and then the lease is given back, so that the next worker never meets us.
    pub async fn run(self, stop: CancellationToken) {
        let (keeper, lease) = Keeper::new(self.store.clone());
        let release = CancellationToken::new();
        let keeping = tokio::spawn(keeper.run(release.clone()));
        // Also where the work panics: a lease that is kept for nobody would stop all checks.
        let guard = release.drop_guard();
        Work::new(self, lease, stop).run().await;
        drop(guard);
        if let Err(error) = keeping.await {
            tracing::error!(%error, "the keeper of the checks' lease failed");
        }
    }
}

/// The work of a job.
struct Work {
    job: Job,
    lease: Lease,
    stop: CancellationToken,
    agenda: Agenda,
    /// The list of flows, while it is being read.
    reading: Option<Reading>,
    read_next: Instant,
    read_backoff: Backoff,
    /// After how many changes the flows were read, and when that is no longer relied on.
    known: Option<(i64, Instant)>,
    /// The checks that are under way, and of which flows they are.
    running: JoinSet<Option<String>>,
    names: HashMap<task::Id, Arc<Name>>,
    changes: Arc<Changes>,
    /// Connects when the lease is first taken: workers that stand by need no connection.
    reporter: Option<Arc<Reporter>>,
    missed: Missed,
}

impl Work {
    fn new(job: Job, lease: Lease, stop: CancellationToken) -> Self {
        Self {
            lease,
            stop,
            agenda: Agenda::new(job.interval, job.concurrency),
            reading: None,
            read_next: Instant::now(),
            read_backoff: Backoff::default(),
            known: None,
            running: JoinSet::new(),
            names: HashMap::new(),
            changes: Arc::default(),
            reporter: None,
            missed: Missed::default(),
            job,
        }
    }

    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            if self.lease.is_held() {
                self.step().await;
            } else {
                self.stand_by().await;
            }
        }
        if let Some(reporter) = &self.reporter {
            reporter.drain().await;
        }
        self.running.shutdown().await;
    }

    /// Waits for the lease, with nothing planned: slots that nobody starts are missed, also where
    /// it was this worker's the moment before. Checks that it started go on.
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

    /// Does the next thing that is to be done while the lease is held.
    async fn step(&mut self) {
        if self.reading.is_none() && self.read_next <= Instant::now() {
            let known = self.known.filter(|(_, until)| Instant::now() < *until).map(|(changes, _)| changes);
            self.reading = Some(Box::pin(read(self.job.store.clone(), known)));
        }
        self.missed.skipped(self.agenda.advance(Timestamp::now()));
        let late = self.reporter.as_ref().map_or(0, |reporter| reporter.late());
        self.missed.tell(self.job.concurrency, late);
        while self.lease.is_held()
            && let Some(due) = self.agenda.take_due()
        {
            self.start(due);
        }
        let until_slot = self.agenda.next_slot().map(|slot| slot.since(Timestamp::now()));
        // Not longer than until the next reading, because the clock may be put forward meanwhile.
        let wake = until_slot.unwrap_or(REREAD_INTERVAL).min(REREAD_INTERVAL);
        tokio::select! {
            flows = under_way(&mut self.reading) => self.take_over(flows),
            Some(ended) = self.running.join_next_with_id() => self.ended(ended),
            () = tokio::time::sleep(wake) => {}
            () = self.lease.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn take_over(&mut self, read: Result<Option<Snapshot>, StoreError>) {
        self.reading = None;
        let mut wait = REREAD_INTERVAL;
        match read {
            Ok(snapshot) => {
                self.read_backoff.reset();
                if let Some(Snapshot { changes, flows }) = snapshot {
                    self.known = Some((changes, Instant::now() + REFRESH_INTERVAL));
                    self.agenda.update(flows, Timestamp::now());
                }
            }
            Err(error) => {
                wait = wait.max(self.read_backoff.next_wait());
                tracing::warn!(%error, "the flows could not be read; those that are known are checked");
            }
        }
        self.read_next = Instant::now() + wait;
    }

    fn start(&mut self, due: Due) {
        let (queue, concurrency) = (&self.job.queue, self.job.concurrency);
        let reporter = self.reporter.get_or_insert_with(|| Arc::new(Reporter::start(queue, concurrency)));
        let (probe, reporter, changes) = (self.job.probe.clone(), reporter.clone(), self.changes.clone());
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

/// Makes one check and reports its result. It ends when the broker has the result, so that results
/// which wait for it are bounded too. Returns why the check could not be made, if that is our own fault:
/// nothing is reported then, as if nobody had been there.
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
    reporter.report(report::request(&flow, slot, result.is_ok()), &stop).await;
    None
}

/// Reads the flows, unless they are `known` as they were after as many changes as there were till now.
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
