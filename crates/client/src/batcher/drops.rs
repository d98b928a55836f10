//! Tells of what was dropped: never in the way of whoever recorded it, and not more often than anyone wants to hear.

use std::sync::Arc;

use super::deliver::Shared;
use super::stats::LOG_INTERVAL;

/// Tells of the first drop at once, of further ones together, and of the rest when nothing more is taken.
pub(super) async fn run(shared: Arc<Shared>) {
    while shared.closing.run_until_cancelled(shared.dropped.notified()).await.is_some() {
        shared.tell_dropped();
        shared.closing.run_until_cancelled(tokio::time::sleep(LOG_INTERVAL)).await;
    }
    shared.tell_dropped();
}
