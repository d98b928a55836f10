//! Indexes the events of weeks that have ended by their label sets, one worker at a time.

use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::Store;
use flowmeter_store::events::LabelSetIndexes;
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// How often the job looks for weeks that have ended. What is written to a week within this time distinguishes an
/// import of history, which goes on, from events that come late.
const INTERVAL: Duration = Duration::from_mins(1);

/// Indexes weeks until it is asked to stop. A stop does not wait for an index, because the next worker builds
/// it again.
pub async fn run((store, stop): (Store, CancellationToken)) {
    let mut repeat = Repeat::new("index the events of a week", INTERVAL, stop.clone());
    let mut indexes = LabelSetIndexes::new();
    loop {
        let looked = stop.run_until_cancelled(indexes.look(&store, Timestamp::now())).await;
        let Some(looked) = looked else { return };
        if !repeat.after(looked.map(|_| INTERVAL)).await {
            return;
        }
    }
}
