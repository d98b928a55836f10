//! Removes the roll-ups of metrics that were changed or deleted, one worker at a time.

use std::time::Duration;

use flowmeter_store::Store;
use flowmeter_store::rollups::purge_abandoned;
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// How often the job looks for roll-ups that no metric uses any more.
const INTERVAL: Duration = Duration::from_secs(10);
/// The pause between two removals, in which roll-ups can be folded.
const PAUSE: Duration = Duration::from_millis(200);

/// Purges roll-ups until it is asked to stop.
pub async fn run((store, stop): (Store, CancellationToken)) {
    let mut repeat = Repeat::new("purge roll-ups", INTERVAL, stop);
    let wait_after = |has_removed| if has_removed { PAUSE } else { INTERVAL };
    while repeat.after(purge_abandoned(&store).await.map(wait_after)).await {}
}
