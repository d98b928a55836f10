//! Rolls up the events that were stored before a metric was defined, one worker at a time.

use std::time::Duration;

use flowmeter_store::Store;
use flowmeter_store::rollups::{BackfillStep, backfill_step};
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// How often the job looks for new definitions. Until their backfill is done, queries are answered from the
/// events, so this only affects speed.
const INTERVAL: Duration = Duration::from_millis(500);

/// Backfills metrics until it is asked to stop.
pub async fn run((store, stop): (Store, CancellationToken)) {
    let mut repeat = Repeat::new("backfill a metric", INTERVAL, stop);
    while repeat.after(backfill_step(&store).await.map(wait_after)).await {}
}

/// The job only waits if there was nothing to do.
fn wait_after(step: BackfillStep) -> Duration {
    match step {
        BackfillStep::Advanced => Duration::ZERO,
        BackfillStep::Finished => {
            tracing::info!("the backfill of a metric is complete");
            Duration::ZERO
        }
        BackfillStep::Idle | BackfillStep::Busy => INTERVAL,
    }
}
