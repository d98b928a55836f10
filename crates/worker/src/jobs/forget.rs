//! Deletes old rows of workers and schedules.

use std::time::Duration;

use flowmeter_store::Store;
use flowmeter_store::progress::forget_workers;
use flowmeter_store::schedules::forget_schedules;
use tokio_util::sync::CancellationToken;

use super::Repeat;

/// How often the job looks for departed workers.
const WORKERS_INTERVAL: Duration = Duration::from_secs(1);
/// How often the job looks for old schedules.
const SCHEDULES_INTERVAL: Duration = Duration::from_hours(1);

/// Deletes departed workers, so that they do not hold back the watermark.
pub async fn workers((store, stop): (Store, CancellationToken)) {
    let mut repeat = Repeat::new("forget departed workers", WORKERS_INTERVAL, stop);
    while repeat.after(forget_workers(&store).await.map(|()| WORKERS_INTERVAL)).await {}
}

/// Deletes schedules of executions that ended long ago.
pub async fn schedules((store, stop): (Store, CancellationToken)) {
    let mut repeat = Repeat::new("forget old schedules", Duration::ZERO, stop);
    while repeat.after(forget_schedules(&store).await.map(|_| SCHEDULES_INTERVAL)).await {}
}
