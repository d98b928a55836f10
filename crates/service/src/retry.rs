//! Retries: waits that grow with each attempt, and log messages with the action that failed, the error, and
//! the time of the next attempt. A later success is logged once.

use std::fmt::Display;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The waits begin at 100 ms, because a restart of a server takes at least as long. Each is lengthened by a
/// random part of itself, so that processes do not retry at the same times. The longest is 10 s, so that an
/// operator need not wait long after a recovery.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times()
    .with_jitter();

/// The service was asked to stop, so there is no retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping")]
pub struct Stopping;

/// Attempts at one action.
pub struct Retry {
    action: &'static str,
    policy: ExponentialBuilder,
    waits: ExponentialBackoff,
    failing: Option<Failing>,
}

/// Consecutive attempts that have failed.
struct Failing {
    since: Instant,
    attempts: u32,
}

impl Retry {
    /// Attempts at `action`, none of which has failed yet. The log says "cannot `action`", so it begins with
    /// a verb.
    #[must_use]
    pub fn new(action: &'static str) -> Self {
        Self::with(action, WAITS)
    }

    /// The same with waits that do not grow.
    #[must_use]
    pub fn every(interval: Duration, action: &'static str) -> Self {
        let policy = ExponentialBuilder::new().with_min_delay(interval).with_max_delay(interval);
        Self::with(action, policy.without_max_times())
    }

    fn with(action: &'static str, policy: ExponentialBuilder) -> Self {
        Self { action, policy, waits: policy.build(), failing: None }
    }

    /// Logs a failed attempt. Returns how long to wait before the next one, which is at least `interval`.
    pub fn failed(&mut self, error: &dyn Display, interval: Duration) -> Duration {
        let wait = self.waits.next().unwrap_or_default().max(interval);
        let failing = self.failing.get_or_insert_with(|| Failing { since: Instant::now(), attempts: 0 });
        failing.attempts += 1;
        let (attempt, retry_in_ms) = (failing.attempts, millis(wait));
        tracing::warn!(%error, attempt, retry_in_ms, "cannot {}; trying again", self.action);
        wait
    }

    /// Logs a failed attempt, and waits until the next one is due.
    pub async fn wait_after(
        &mut self,
        error: &(impl Display + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Stopping> {
        let wait = self.failed(error, Duration::ZERO);
        pause(wait, stop).await
    }

    /// Records that an attempt has succeeded. Logs it if earlier attempts have failed.
    pub fn succeeded(&mut self) {
        if let Some(Failing { since, attempts }) = self.failing.take() {
            self.waits = self.policy.build();
            let failing_ms = millis(since.elapsed());
            tracing::info!(failed_attempts = attempts, failing_ms, "can {} again", self.action);
        }
    }
}

/// The waits between attempts, without logging.
pub fn waits() -> impl Iterator<Item = Duration> {
    WAITS.build()
}

/// Waits, unless the service is asked to stop.
pub async fn pause(wait: Duration, stop: &CancellationToken) -> Result<(), Stopping> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Stopping),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_ten_seconds_and_are_reset_by_a_success() {
        let mut retry = Retry::new("reach the database");
        let waits: Vec<_> = (0..20).map(|_| retry.failed(&"no route", Duration::ZERO)).collect();
        let of_attempt = |attempt: u32| Duration::from_millis(100) * 2_u32.pow(attempt);
        for (attempt, wait) in (0..).zip(&waits[..5]) {
            assert!((of_attempt(attempt)..=2 * of_attempt(attempt)).contains(wait), "{waits:?}");
        }
        assert!(waits[8..].iter().all(|wait| (5..=10).contains(&wait.as_secs())), "{waits:?}");
        assert_eq!(retry.failed(&"no route", Duration::from_mins(1)), Duration::from_mins(1));
        retry.succeeded();
        assert!(retry.failing.is_none());
        assert!(retry.failed(&"no route", Duration::ZERO) <= Duration::from_millis(200));
    }

    #[test]
    fn fixed_waits_do_not_grow() {
        let mut retry = Retry::every(Duration::from_secs(1), "send a heartbeat");
        assert!((0..20).all(|_| retry.failed(&"no route", Duration::ZERO) == Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut retry = Retry::new("reach the database");
        assert_eq!(retry.wait_after(&"no route", &stop).await, Err(Stopping));
        assert_eq!(pause(Duration::MAX, &stop).await, Err(Stopping));
    }
}
