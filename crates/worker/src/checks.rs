//! Checks whether the endpoints of flows are available, by one worker at a time.
//!
//! What is to be checked when follows from the flow alone ([`schedule`]), and the id under which a
//! result is reported follows from that. So a worker that takes over needs to know nothing of the
//! one before it, and a check that both made counts once.

mod agenda;
pub mod guard;
mod health;
mod lease;
mod probe;
mod report;
pub mod schedule;

use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_queue::{Backoff, Settings};
use flowmeter_store::flows::{CheckedFlow, list_checked_flows};
use flowmeter_store::{Store, StoreError};
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Checks;
use agenda::{Agenda, Due};
use lease::{Keeper, Lease};
use probe::{CaError, Failure, Probe};
use report::Reporter;

/// How often the list of flows is read again: changes take effect within 5 s, with room for a slow
/// answer.
const REREAD_INTERVAL: Duration = Duration::from_secs(2);
/// How often the log tells of skipped checks at most.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// Makes the checks while this worker has the lease.
pub struct Job {
    store: Store,
    queue: Settings,
    probe: Probe,
    interval: Duration,
    concurrency: usize,
}

/// A list of flows that is being read.
type Reading = BoxFuture<'static, Result<Vec<CheckedFlow>, StoreError>>;

impl Job {
    /// Fails if the file of authorities is of no use.
    pub fn new(store: Store, queue: Settings, settings: &Checks) -> Result<Self, CaError> {
        let probe = Probe::new(
            settings.flow_check_allow.clone(),
            settings.flow_check_timeout,
            settings.flow_check_ca.as_deref(),
            probe::system_resolver(),
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
        Work::new(self, lease, stop).run().await;
        release.cancel();
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
    permits: Arc<Semaphore>,
    running: JoinSet<()>,
    /// Connects when the lease is first taken: workers that stand by need no connection.
    reporter: Option<Arc<Reporter>>,
    skipped: u64,
    warn_next: Instant,
}

impl Work {
    fn new(job: Job, lease: Lease, stop: CancellationToken) -> Self {
        Self {
            lease,
            stop,
            agenda: Agenda::new(job.interval),
            reading: None,
            read_next: Instant::now(),
            read_backoff: Backoff::default(),
            permits: Arc::new(Semaphore::new(job.concurrency)),
            running: JoinSet::new(),
            reporter: None,
            skipped: 0,
            warn_next: Instant::now(),
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
        self.read_next = Instant::now();
        tokio::select! {
            () = self.lease.changed() => {}
            Some(ended) = self.running.join_next() => ended_well(ended),
            () = self.stop.cancelled() => {}
        }
    }

    /// Does the next thing that is to be done while the lease is held.
    async fn step(&mut self) {
        if self.reading.is_none() && self.read_next <= Instant::now() {
            let store = self.job.store.clone();
            self.reading = Some(Box::pin(async move { list_checked_flows(&store).await }));
        }
        self.skipped += self.agenda.advance(Timestamp::now());
        self.warn_of_skipped();
        let until_slot = self.agenda.next_slot().map(|slot| slot.since(Timestamp::now()));
        // Not longer than until the next reading, because the clock may be put forward meanwhile.
        let wake = until_slot.unwrap_or(REREAD_INTERVAL).min(REREAD_INTERVAL);
        tokio::select! {
            flows = under_way(&mut self.reading) => self.take_over(flows),
            permit = self.permits.clone().acquire_owned(), if self.agenda.is_due() => {
                self.start(permit.expect("it is never closed"));
            }
            Some(ended) = self.running.join_next() => ended_well(ended),
            () = tokio::time::sleep(wake) => {}
            () = self.lease.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn take_over(&mut self, flows: Result<Vec<CheckedFlow>, StoreError>) {
        self.reading = None;
        let mut wait = REREAD_INTERVAL;
        match flows {
            Ok(flows) => {
                self.read_backoff.reset();
                self.agenda.update(flows, Timestamp::now());
            }
            Err(error) => {
                wait = wait.max(self.read_backoff.next_wait());
                tracing::warn!(%error, "the flows could not be read; those that are known are checked");
            }
        }
        self.read_next = Instant::now() + wait;
    }

    fn start(&mut self, permit: OwnedSemaphorePermit) {
        // It may have ended while we waited for the permit.
        if !self.lease.is_held() {
            return;
        }
        let Some(due) = self.agenda.take_due() else { return };
        let (queue, concurrency) = (&self.job.queue, self.job.concurrency);
        let reporter = self.reporter.get_or_insert_with(|| Arc::new(Reporter::start(queue, concurrency)));
        self.running.spawn(check(self.job.probe.clone(), due, reporter.clone(), self.stop.clone(), permit));
    }

    fn warn_of_skipped(&mut self) {
        let now = Instant::now();
        if self.skipped == 0 || now < self.warn_next {
            return;
        }
        tracing::warn!(
            skipped = self.skipped,
            concurrency = self.job.concurrency,
            waiting_for_broker = self.reporter.as_ref().map_or(0, |reporter| reporter.late()),
            "checks were skipped, because too many others were under way; \
             unless those wait for the broker, raise --flow-check-concurrency"
        );
        self.skipped = 0;
        self.warn_next = now + WARN_INTERVAL;
    }
}

/// Makes one check and reports its result. The permit is held until the broker has the result, so
/// that results which wait for it are bounded too.
async fn check(
    probe: Probe,
    due: Due,
    reporter: Arc<Reporter>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let begun = Instant::now();
    let result = tokio::select! {
        result = probe.check(&due.flow.endpoint_url) => result,
        () = stop.cancelled() => return,
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = if result.is_ok() { "succeeded" } else { "failed" };
    let reason = result.as_ref().err().map(Failure::reason);
    tracing::debug!(flow = due.flow.flow_id, slot = %due.slot, duration_ms, outcome, reason, "checked");
    due.health.record(&due.flow, &result);
    reporter.report(report::request(&due.flow, due.slot, result.is_ok()), &stop).await;
}

fn ended_well(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a check failed by our own fault");
    }
}

async fn under_way(reading: &mut Option<Reading>) -> <Reading as Future>::Output {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}
