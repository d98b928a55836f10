//! What is to be done now and then, by whichever worker comes first.

use std::time::Duration;

use flowmeter_queue::Backoff;
use flowmeter_store::Store;
use flowmeter_store::progress::forget_workers;
use flowmeter_store::rollups::{fold_again, fold_partials};
use tokio_util::sync::CancellationToken;

/// How often workers that are gone are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(5);

/// Folds roll-ups, one worker at a time.
pub async fn fold(store: Store, interval: Duration, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let wait = match fold_partials(&store).await {
            Ok(outcome) => {
                backoff.reset();
                if fold_again(outcome) { Duration::ZERO } else { interval }
            }
            Err(error) => {
                tracing::warn!(%error, "roll-ups could not be folded; trying again");
                backoff.next_wait().max(interval)
            }
        };
        pause(wait, &stop).await;
    }
}

/// Forgets workers that are gone, so that they do not hold back what answers say of
/// their freshness.
pub async fn forget(store: Store, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = forget_workers(&store).await {
            tracing::debug!(%error, "workers that are gone could not be forgotten");
        }
        pause(FORGET_INTERVAL, &stop).await;
    }
}

async fn pause(wait: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = stop.cancelled() => {}
    }
}
