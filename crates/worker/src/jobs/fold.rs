//! Folds partial rows into roll-ups, one worker at a time.

use std::time::Duration;

use flowmeter_store::Store;
use flowmeter_store::flows::fold_flow_partials;
use flowmeter_store::rollups::{FoldOutcome, Folder};
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// Folds the roll-ups of events.
pub async fn rollups((store, stop): (Store, CancellationToken), interval: Duration) {
    let mut repeat = Repeat::new("fold roll-ups", interval, stop);
    let mut folder = Folder::new(store);
    while repeat.after(folder.round().await.map(|folded| wait_after(folded, interval))).await {}
}

/// Folds the counters of flows.
pub async fn flow_counters((store, stop): (Store, CancellationToken), interval: Duration) {
    let mut repeat = Repeat::new("fold flow counters", interval, stop);
    while repeat.after(fold_flow_partials(&store).await.map(|folded| wait_after(folded, interval))).await {}
}

/// A fold with the maximum number of rows has left some.
fn wait_after(folded: FoldOutcome, interval: Duration) -> Duration {
    if matches!(folded, FoldOutcome::Folded { is_full: true, .. }) { Duration::ZERO } else { interval }
}
