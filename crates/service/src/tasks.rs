//! Supervision of background tasks. Every long-lived task of a service has a name and belongs to one
//! [`Tasks`]. A task that ends before the service was asked to stop is a failure, whether it panics, returns
//! an error or just returns. Then its name and the cause are logged, the other tasks are asked to stop, and
//! the service ends with an error, so that the process is restarted.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::shutdown::Signals;

/// How much longer than the drain timeout the supervisor waits, so that a task with this timeout ends first
/// and can report its unfinished work.
const GRACE: Duration = Duration::from_secs(1);

/// The name of the span that a task runs in. Its field `task` is the name of the task.
pub(crate) const TASK_SPAN: &str = "background";

/// The background tasks of a service, which stop in two steps: the publishers of a service, for example, are
/// asked to stop only after the calls that wait for them have ended.
pub struct Tasks {
    first: Group,
    last: Group,
}

/// The outcome of a task: nothing, or a result.
pub trait Outcome {
    /// The outcome as a result.
    fn into_result(self) -> anyhow::Result<()>;
}

impl Outcome for () {
    fn into_result(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Outcome for anyhow::Result<()> {
    fn into_result(self) -> anyhow::Result<()> {
        self
    }
}

impl Tasks {
    /// No tasks yet. Tasks must end when `stop` is cancelled. The supervisor cancels it when a task fails.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { first: Group::new(stop), last: Group::new(CancellationToken::new()) }
    }

    /// Tasks that are asked to stop when the process receives SIGTERM or SIGINT.
    pub fn until_signal() -> std::io::Result<Self> {
        let signals = Signals::listen()?;
        let mut tasks = Self::new(CancellationToken::new());
        let stop = tasks.stop();
        tasks.spawn("signals", signals.stop_service(stop));
        Ok(tasks)
    }

    /// The token that asks the tasks to stop.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.first.stop.clone()
    }

    /// The token that asks the tasks that stop last to stop.
    #[must_use]
    pub fn stop_last(&self) -> CancellationToken {
        self.last.stop.clone()
    }

    /// Spawns a task, which must not end before [`Self::stop`]. Every line that it logs carries its name.
    pub fn spawn<T>(&mut self, name: impl Into<Cow<'static, str>>, task: T)
    where
        T: Future<Output: Outcome> + Send + 'static,
    {
        self.first.spawn(name.into(), task);
    }

    /// Spawns a task that other tasks need until they have ended. It must not end before [`Self::stop_last`]
    /// is cancelled.
    pub fn spawn_last<T>(&mut self, name: impl Into<Cow<'static, str>>, task: T)
    where
        T: Future<Output: Outcome> + Send + 'static,
    {
        self.last.spawn(name.into(), task);
    }

    /// Supervises the tasks until all have ended. When they are asked to stop, by a signal or because one of
    /// them has failed, they have `drain_timeout` to end, and the tasks that stop last have `last_timeout`
    /// more. Tasks that are still running then are aborted. Returns the first failure.
    pub async fn supervise(mut self, drain_timeout: Duration, last_timeout: Duration) -> anyhow::Result<()> {
        let stop = self.stop();
        let mut failure = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            failure = self.first.first_failure() => Some(failure),
            failure = self.last.first_failure() => Some(failure),
        };
        for (group, timeout) in [(&mut self.first, drain_timeout + GRACE), (&mut self.last, last_timeout)] {
            group.stop.cancel();
            let found = group.drain(timeout).await;
            failure = failure.or(found);
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Tasks that are asked to stop at the same time.
struct Group {
    running: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, Cow<'static, str>>,
    stop: CancellationToken,
}

type Ended = Result<(Id, anyhow::Result<()>), JoinError>;

impl Group {
    fn new(stop: CancellationToken) -> Self {
        Self { running: JoinSet::new(), names: HashMap::new(), stop }
    }

    fn spawn<T>(&mut self, name: Cow<'static, str>, task: T)
    where
        T: Future<Output: Outcome> + Send + 'static,
    {
        // Of the highest level, so that no log filter drops the name.
        let span = tracing::error_span!(parent: None, TASK_SPAN, task = &*name);
        let task = async move { task.await.into_result() }.instrument(span);
        let handle = self.running.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for a task that ends without being asked to, and returns its failure.
    async fn first_failure(&mut self) -> anyhow::Error {
        while let Some(ended) = self.running.join_next_with_id().await {
            if let Some(failure) = self.failure(ended) {
                return failure;
            }
        }
        std::future::pending().await
    }

    /// Waits until the tasks have ended, but at most `timeout`, and then aborts the remaining tasks. Returns
    /// the first failure.
    async fn drain(&mut self, timeout: Duration) -> Option<anyhow::Error> {
        let deadline = Instant::now() + timeout;
        let mut first_failure = None;
        while let Ok(Some(ended)) = timeout_at(deadline, self.running.join_next_with_id()).await {
            let failure = self.failure(ended);
            first_failure = first_failure.or(failure);
        }
        if !self.running.is_empty() {
            let mut tasks: Vec<_> = self.names.values().collect();
            tasks.sort_unstable();
            tracing::warn!(?tasks, ?timeout, "tasks were aborted because they did not stop in time");
        }
        self.running.shutdown().await;
        first_failure
    }

    /// The failure of a task that has ended. Logs it. None if the task was asked to stop and succeeded.
    fn failure(&mut self, ended: Ended) -> Option<anyhow::Error> {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(cause_of(error))),
        };
        let name = self.names.remove(&id).expect("every task has a name");
        let cause = match outcome {
            Ok(()) if self.stop.is_cancelled() => return None,
            Ok(()) => anyhow!("it ended without being asked to stop"),
            Err(cause) => cause,
        };
        // With all causes, in one line.
        tracing::error!(task = &*name, cause = format!("{cause:#}"), "a background task failed");
        Some(cause.context(format!("the background task {name:?} failed")))
    }
}

/// The message of a panic, or that a task was aborted.
fn cause_of(error: JoinError) -> anyhow::Error {
    match error.try_into_panic() {
        Ok(panic) => anyhow!("it panicked: {}", panic_message(&*panic)),
        Err(error) => error.into(),
    }
}

/// The message of a panic, from its payload.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(20);
    const LAST: Duration = Duration::from_secs(3);

    /// Tasks, and the token that asks them to stop.
    fn tasks() -> (Tasks, CancellationToken) {
        let stop = CancellationToken::new();
        (Tasks::new(stop.clone()), stop)
    }

    /// Spawns a task that ends when it is asked to. Returns a flag that is set when it has ended.
    fn spawn_obedient(tasks: &mut Tasks) -> Arc<AtomicBool> {
        let ended = Arc::new(AtomicBool::new(false));
        let (stop, flag) = (tasks.stop(), ended.clone());
        tasks.spawn("obedient", async move {
            stop.cancelled().await;
            flag.store(true, Ordering::Relaxed);
        });
        ended
    }

    /// Supervises a task that is `failing` and one that ends when it is asked to. Returns the failure.
    async fn failure(failing: impl Future<Output: Outcome> + Send + 'static) -> String {
        let (mut tasks, stop) = tasks();
        let ended = spawn_obedient(&mut tasks);
        tasks.spawn("failing", failing);
        let failure = tasks.supervise(DRAIN, LAST).await.unwrap_err();
        assert!(stop.is_cancelled() && ended.load(Ordering::Relaxed), "the other task is asked to stop");
        format!("{failure:#}")
    }

    #[tokio::test]
    async fn a_panic_stops_the_service_with_its_message() {
        let found = failure(async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "the row is {}", "missing");
        });
        assert_eq!(found.await, "the background task \"failing\" failed: it panicked: the row is missing");
    }

    #[tokio::test]
    async fn an_error_stops_the_service_with_its_causes() {
        let found = failure(async { Err(anyhow!("refused").context("cannot connect")) });
        assert_eq!(found.await, "the background task \"failing\" failed: cannot connect: refused");
    }

    #[tokio::test]
    async fn a_task_that_just_returns_stops_the_service() {
        let found = failure(async {});
        assert_eq!(
            found.await,
            "the background task \"failing\" failed: it ended without being asked to stop"
        );
    }

    #[tokio::test]
    async fn tasks_that_end_when_asked_are_not_failures() {
        let (mut tasks, stop) = tasks();
        let ended = [spawn_obedient(&mut tasks), spawn_obedient(&mut tasks)];
        stop.cancel();
        tasks.supervise(DRAIN, LAST).await.unwrap();
        assert!(ended.iter().all(|ended| ended.load(Ordering::Relaxed)));
    }

    #[tokio::test]
    async fn a_failure_while_the_service_stops_is_returned() {
        let (mut tasks, stop) = tasks();
        let stopping = stop.clone();
        tasks.spawn("failing", async move {
            stopping.cancelled().await;
            Err(anyhow!("nothing was written"))
        });
        stop.cancel();
        let failure = tasks.supervise(DRAIN, LAST).await.unwrap_err();
        assert_eq!(format!("{failure:#}"), "the background task \"failing\" failed: nothing was written");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_aborted_after_the_drain_timeout() {
        let (mut tasks, stop) = tasks();
        let held = Arc::new(());
        let holding = held.clone();
        tasks.spawn("stubborn", async move {
            std::future::pending::<()>().await;
            drop(holding);
        });
        let ended = spawn_obedient(&mut tasks);
        stop.cancel();
        let begun = Instant::now();
        tasks.supervise(DRAIN, LAST).await.unwrap();
        assert!(ended.load(Ordering::Relaxed));
        assert!((DRAIN..DRAIN + 2 * GRACE).contains(&begun.elapsed()));
        assert_eq!(Arc::strong_count(&held), 1, "the task was dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_others_need_stop_last_with_a_separate_timeout() {
        let (mut tasks, stop) = tasks();
        let stop_last = tasks.stop_last();
        let needed = Arc::new(AtomicBool::new(true));
        let (still_needed, asked) = (needed.clone(), tasks.stop());
        tasks.spawn("calls", async move {
            asked.cancelled().await;
            tokio::time::sleep(DRAIN).await;
            still_needed.store(false, Ordering::Relaxed);
        });
        tasks.spawn_last("publisher", async move {
            stop_last.cancelled().await;
            assert!(!needed.load(Ordering::Relaxed), "the calls have not ended");
            tokio::time::sleep(LAST / 2).await;
        });
        stop.cancel();
        tasks.supervise(DRAIN, LAST).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_others_need_must_not_end_before_them() {
        let (mut tasks, stop) = tasks();
        let ended = spawn_obedient(&mut tasks);
        tasks.spawn_last("publisher", async {});
        let failure = tasks.supervise(DRAIN, LAST).await.unwrap_err().to_string();
        assert_eq!(failure, "the background task \"publisher\" failed");
        assert!(stop.is_cancelled() && ended.load(Ordering::Relaxed));
    }
}
