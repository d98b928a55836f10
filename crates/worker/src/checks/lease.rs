//! Keeps the lease of the checks, so that one worker at a time makes them. Even where two do, as
//! when clocks go wrong, each check still counts once, by its id; the lease spares endpoints.

use std::time::Duration;

use flowmeter_store::Store;
use flowmeter_store::leases::{acquire_or_renew, release};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Its name.
const NAME: &str = "flow-checks";
/// How long it lasts. With the time until another asks, the checks pause for 20 s at most when
/// their worker dies.
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed, and how often others ask for it. Two renewals may fail.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait for the database's answer, so that one that is lost costs one renewal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Until the next try, where the database did not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker knows of the lease: until when it has it, by its own monotonic clock.
#[derive(Clone)]
pub struct Lease(watch::Receiver<Option<Instant>>);

impl Lease {
    /// Whether this worker has it. It is counted from when the last renewal was sent, so this ends
    /// before the row does, also while the database is away or after this process stood still. Where
    /// the whole machine was suspended, its monotonic clock may have stopped meanwhile: then this
    /// holds for longer, another worker checks at the same time, and each slot still counts once.
    pub fn is_held(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits for news of it.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Takes the lease when it is free and keeps it, until it is dropped in order.
pub struct Keeper {
    store: Store,
    holder: Uuid,
    until: watch::Sender<Option<Instant>>,
    /// Whether the log says that this worker has it.
    told: bool,
    failing: bool,
}

impl Keeper {
    /// Nobody has anything yet.
    pub fn new(store: Store) -> (Self, Lease) {
        let (until, held) = watch::channel(None);
        (Self { store, holder: Uuid::now_v7(), until, told: false, failing: false }, Lease(held))
    }

    /// Works until `stop`, and then gives the lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Not cut off by the stop: a request whose answer nobody waits for could take the lease
            // after it was given back. Where the database does not answer in time that can still be,
            // and the lease ends by itself.
            let wait = self.ask().await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        self.until.send_replace(None);
        // Also where it seems not to be ours: an answer may have been lost.
        if !matches!(timeout(ANSWER_TIMEOUT, release(&self.store, NAME, self.holder)).await, Ok(Ok(()))) {
            tracing::debug!("the lease of the checks could not be given back; it ends by itself");
        }
    }

    /// Asks for the lease, and returns when to ask again.
    async fn ask(&mut self) -> Duration {
        let sent = Instant::now();
        let asking = acquire_or_renew(&self.store, NAME, self.holder, DURATION);
        let answer = timeout(ANSWER_TIMEOUT, asking).await;
        let (is_held, wait, error) = match answer {
            Ok(Ok(true)) => {
                self.until.send_replace(Some(sent + DURATION));
                (true, RENEW_INTERVAL, None)
            }
            Ok(Ok(false)) => {
                self.until.send_replace(None);
                (false, RENEW_INTERVAL, None)
            }
            Ok(Err(error)) => (self.is_held(), RETRY_INTERVAL, Some(error.to_string())),
            Err(_) => (self.is_held(), RETRY_INTERVAL, Some("no answer in time".to_owned())),
        };
        self.tell(is_held, error);
        wait
    }

    fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    fn tell(&mut self, is_held: bool, error: Option<String>) {
        if is_held && !self.told {
            tracing::info!(holder = %self.holder, "this worker checks the endpoints of flows now");
        } else if self.told && !is_held {
            tracing::info!(holder = %self.holder, "this worker lost the lease and checks no more");
        }
        self.told = is_held;
        let fails = error.is_some();
        if let Some(error) = error.filter(|_| !self.failing) {
            tracing::warn!(error, "the lease of the checks cannot be asked for; trying again");
        }
        self.failing = fails;
    }
}
