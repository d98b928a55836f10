//! Keeps the lease of the checks, so that one worker at a time makes them and endpoints are not checked
//! twice. If two workers make them, for example because a clock is wrong, each check still counts once, by
//! its id.

use std::time::Duration;

use flowmeter_service::retry::Retry;
use flowmeter_store::Store;
use flowmeter_store::leases::{acquire_or_renew, release};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The name of the lease.
const NAME: &str = "flow-checks";
/// How long the lease lasts. With the time until another worker asks, the checks pause for at most 20 s when
/// their worker dies.
const DURATION: Duration = Duration::from_secs(15);
/// How often the lease is renewed, and how often other workers ask for it. Two renewals may fail.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait for the answer of the database, so that a lost answer costs one renewal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// How long to wait after an error before asking again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Until when this worker has the lease, by its own monotonic clock.
#[derive(Clone)]
pub struct Lease(watch::Receiver<Option<Instant>>);

impl Lease {
    /// Whether this worker has the lease. The time counts from when the last renewal was sent, so it ends
    /// before the row in the database expires, even while the database is unavailable or after this process
    /// stood still. If the whole machine was suspended, its monotonic clock may have stopped. Then this
    /// returns true for too long, and another worker checks at the same time. Each slot still counts once.
    pub fn is_held(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits for a change.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Acquires the lease when it is free, and renews it until it is asked to release it.
pub struct Keeper {
    store: Store,
    holder: Uuid,
    until: watch::Sender<Option<Instant>>,
    /// Whether the log says that this worker has the lease.
    logged: bool,
    retry: Retry,
}

impl Keeper {
    /// A keeper without the lease, and the lease for the checks.
    pub fn new(store: Store) -> (Self, Lease) {
        let (until, held) = watch::channel(None);
        (
            Self {
                store,
                holder: Uuid::now_v7(),
                until,
                logged: false,
                retry: Retry::every(RETRY_INTERVAL, "renew the lease of the checks"),
            },
            Lease(held),
        )
    }

    /// Keeps the lease until `stop`, and then releases it.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // The stop does not interrupt this: a request without a receiver of its answer could take the
            // lease after it was released. If the database does not answer in time, this can still happen,
            // and then the lease expires.
            let wait = self.ask().await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        self.until.send_replace(None);
        // Even if this worker does not seem to have the lease, because an answer may have been lost.
        if !matches!(timeout(ANSWER_TIMEOUT, release(&self.store, NAME, self.holder)).await, Ok(Ok(()))) {
            tracing::debug!("the lease of the checks could not be released; it expires");
        }
    }

    /// Takes or renews the lease. Returns how long to wait before doing so again.
    async fn ask(&mut self) -> Duration {
        let sent = Instant::now();
        let asking = acquire_or_renew(&self.store, NAME, self.holder, DURATION);
        let answer = timeout(ANSWER_TIMEOUT, asking).await;
        let (is_held, wait) = match answer {
            Ok(Ok(true)) => {
                self.until.send_replace(Some(sent + DURATION));
                self.retry.succeeded();
                (true, RENEW_INTERVAL)
            }
            Ok(Ok(false)) => {
                self.until.send_replace(None);
                self.retry.succeeded();
                (false, RENEW_INTERVAL)
            }
            Ok(Err(error)) => (self.is_held(), self.retry.failed(&error, Duration::ZERO)),
            Err(_) => {
                let error = format!("the database did not answer within {} s", ANSWER_TIMEOUT.as_secs());
                (self.is_held(), self.retry.failed(&error, Duration::ZERO))
            }
        };
        self.log(is_held);
        wait
    }

    fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    fn log(&mut self, is_held: bool) {
        if is_held && !self.logged {
            tracing::info!(holder = %self.holder, "this worker now checks the endpoints of flows");
        } else if self.logged && !is_held {
            tracing::info!(holder = %self.holder, "this worker has lost the lease and makes no more checks");
        }
        self.logged = is_held;
    }
}
