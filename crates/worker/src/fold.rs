//! Folds roll-ups, now and then: one worker at a time, whichever comes first.

use std::time::Duration;

use flowmeter_queue::Backoff;
use flowmeter_store::Store;
use flowmeter_store::rollups::{fold_again, fold_partials};
use tokio_util::sync::CancellationToken;

pub async fn run(store: Store, interval: Duration, stop: CancellationToken) {
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
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}
