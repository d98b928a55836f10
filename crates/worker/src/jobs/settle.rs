//! Settles the segments of events, one worker at a time.

use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::Store;
use flowmeter_store::events::Settler;
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// Settles segments until it is asked to stop.
pub async fn run((store, stop): (Store, CancellationToken), interval: Duration) {
    let mut repeat = Repeat::new("settle events", interval, stop.clone());
    let mut settler = Settler::new(store);
    loop {
        // A stop does not wait for a round: what it has not merged remains as it is.
        let round = stop.run_until_cancelled(settler.round(Timestamp::now())).await;
        let Some(round) = round else { return };
        if let Ok(settled) = &round
            && settled.weeks > 0
        {
            tracing::info!(weeks = settled.weeks, "settled the events of weeks that have ended");
        }
        if !repeat.after(round.map(|_| interval)).await {
            return;
        }
    }
}
