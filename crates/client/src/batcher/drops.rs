//! Reports drops, on a separate task and with a rate limit, so that the callers of the batcher are not delayed.

use std::sync::Arc;

use super::deliver::Shared;
use super::stats::LOG_INTERVAL;

/// Reports the first drop immediately, further drops together, and the rest when the batcher closes.
pub(super) async fn run(shared: Arc<Shared>) {
    while shared.closing.run_until_cancelled(shared.dropped.notified()).await.is_some() {
        shared.report_dropped();
        shared.closing.run_until_cancelled(tokio::time::sleep(LOG_INTERVAL)).await;
    }
    shared.report_dropped();
}
