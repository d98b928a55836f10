//! Periodic jobs, one file for each. Every worker runs all of them; a job that must not run twice at the same time
//! takes a lock in the database.

mod backfill;
mod deadlines;
mod fold;
mod forget;
mod purge;
mod settle;

use std::fmt::Display;
use std::time::Duration;

use flowmeter_queue::Settings;
use flowmeter_service::config::duration;
use flowmeter_service::retry::{Retry, pause};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::Store;
use tokio_util::sync::CancellationToken;

/// How often jobs run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Intervals {
    /// How often partial rows are folded into roll-ups.
    // Queries add the partial rows, so a longer interval only makes them slower.
    #[arg(long, env = "FLOWMETER_FOLD_INTERVAL", default_value = "1s", value_parser = duration)]
    pub fold_interval: Duration,

    /// How often small segments of events are merged into larger ones.
    // Queries read small segments, too, so a longer interval only makes them slower.
    #[arg(long, env = "FLOWMETER_SETTLE_INTERVAL", default_value = "1s", value_parser = duration)]
    pub settle_interval: Duration,
}

/// Spawns every job.
pub fn spawn(tasks: &mut Tasks, store: &Store, queue: &Settings, intervals: Intervals) {
    let stop = tasks.stop();
    let parts = || (store.clone(), stop.clone());
    tasks.spawn("fold roll-ups", fold::rollups(parts(), intervals.fold_interval));
    tasks.spawn("fold flow counters", fold::flow_counters(parts(), intervals.fold_interval));
    tasks.spawn("backfill metrics", backfill::run(parts()));
    tasks.spawn("purge roll-ups", purge::run(parts()));
    tasks.spawn("settle events", settle::run(parts(), intervals.settle_interval));
    tasks.spawn("forget workers", forget::workers(parts()));
    tasks.spawn("forget schedules", forget::schedules(parts()));
    deadlines::spawn(tasks, store, queue);
}

/// Repeats a job until it is asked to stop.
struct Repeat {
    retry: Retry,
    interval: Duration,
    stop: CancellationToken,
}

impl Repeat {
    /// A job that waits for `interval` at least after a failure. The log says "cannot `action`".
    fn new(action: &'static str, interval: Duration, stop: CancellationToken) -> Self {
        Self { retry: Retry::new(action), interval, stop }
    }

    /// Waits until the job is to run again: for as long as a run that succeeded asks for, or until the next attempt.
    /// Returns whether it is to run again.
    async fn after<E: Display + Send>(&mut self, run: Result<Duration, E>) -> bool {
        let wait = match run {
            Ok(wait) => {
                self.retry.succeeded();
                wait
            }
            Err(error) => self.retry.failed(&error, self.interval),
        };
        pause(wait, &self.stop).await.is_ok()
    }
}
