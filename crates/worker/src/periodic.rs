//! What is to be done now and then, by whichever worker comes first.

use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_queue::Backoff;
use flowmeter_store::events::LabelSetIndexes;
use flowmeter_store::flows::fold_flow_partials;
use flowmeter_store::progress::forget_workers;
use flowmeter_store::rollups::{BackfillStep, FoldOutcome, backfill_step, fold_partials, purge_abandoned};
use flowmeter_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// How often workers that are gone are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);
/// How often new definitions are looked for. Until they are rolled up they are answered from the
/// events, so this is about speed alone.
const BACKFILL_INTERVAL: Duration = Duration::from_millis(500);
/// How often roll-ups that nobody needs any more are looked for.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
/// How often weeks that have ended are looked for. What is written to a week within this time tells an import
/// of history, which goes on, from events that come late.
const INDEX_INTERVAL: Duration = Duration::from_mins(1);
/// Between two removals, so that folding gets its turn.
const PURGE_PAUSE: Duration = Duration::from_millis(200);

/// Folds roll-ups, one worker at a time.
pub async fn fold_rollups(store: Store, interval: Duration, stop: CancellationToken) {
    fold("roll-ups", || fold_partials(&store), interval, stop).await;
}

/// Folds the counters of flows, one worker at a time.
pub async fn fold_flows(store: Store, interval: Duration, stop: CancellationToken) {
    fold("counters of flows", || fold_flow_partials(&store), interval, stop).await;
}

async fn fold<F>(what: &str, folding: impl Fn() -> F, interval: Duration, stop: CancellationToken)
where
    F: Future<Output = Result<FoldOutcome, StoreError>>,
{
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let wait = match folding().await {
            Ok(outcome) => {
                backoff.reset();
                let is_full = matches!(outcome, FoldOutcome::Folded { is_full: true, .. });
                if is_full { Duration::ZERO } else { interval }
            }
            Err(error) => {
                tracing::warn!(what, %error, "could not be folded; trying again");
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

/// Rolls up what was stored before a metric was defined, one worker at a time.
pub async fn backfill(store: Store, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let wait = match backfill_step(&store).await {
            Ok(BackfillStep::Advanced) => {
                backoff.reset();
                Duration::ZERO
            }
            Ok(BackfillStep::Finished) => {
                backoff.reset();
                tracing::info!("the events stored before a metric was defined are rolled up");
                Duration::ZERO
            }
            Ok(BackfillStep::Idle | BackfillStep::Busy) => {
                backoff.reset();
                BACKFILL_INTERVAL
            }
            Err(error) => {
                tracing::warn!(%error, "trying again");
                backoff.next_wait().max(BACKFILL_INTERVAL)
            }
        };
        pause(wait, &stop).await;
    }
}

/// Removes the roll-ups of metrics that were changed or deleted, one worker at a time.
pub async fn purge(store: Store, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let wait = match purge_abandoned(&store).await {
            Ok(true) => PURGE_PAUSE,
            Ok(false) => PURGE_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "roll-ups that nobody needs could not be removed; trying again");
                PURGE_INTERVAL
            }
        };
        pause(wait, &stop).await;
    }
}

/// Indexes the events of weeks that have ended by their label sets, one worker at a time. A stop does not wait
/// for an index: whoever looks next begins it anew.
pub async fn index_weeks(store: Store, stop: CancellationToken) {
    let mut indexes = LabelSetIndexes::new();
    while !stop.is_cancelled() {
        let looked = tokio::select! {
            looked = indexes.look(&store, Timestamp::now()) => looked,
            () = stop.cancelled() => return,
        };
        if let Err(error) = looked {
            tracing::warn!(%error, "the events of a week could not be indexed; trying again");
        }
        pause(INDEX_INTERVAL, &stop).await;
    }
}

async fn pause(wait: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = stop.cancelled() => {}
    }
}
