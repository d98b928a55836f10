//! The worker: it owns every write of measured data, and the periodic jobs around it.

mod apply;
mod checks;
mod config;
mod deadlines;
mod gather;
mod periodic;
mod shard;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowmeter_service::server::{GrpcServer, watch_health};
use flowmeter_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Batching, Checks, Config};

/// Works until `stop`; then finishes the transactions that are under way.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let checks = checks::Job::new(store.clone(), config.queue.settings(), &config.checks)?;
    let server = GrpcServer::bind(config.listen, &config.server, "worker", &[]).await?;
    let disconnected = Arc::new(AtomicUsize::new(usize::from(config.queue.shards)));
    let tasks = TaskTracker::new();
    for index in 0..config.queue.shards {
        let shard = shard::Shard::new(
            store.clone(),
            config.queue.settings(),
            index,
            config.batching,
            disconnected.clone(),
        );
        tasks.spawn(shard.run(stop.clone()));
    }
    tasks.spawn(periodic::fold_rollups(store.clone(), config.fold_interval, stop.clone()));
    tasks.spawn(periodic::fold_flows(store.clone(), config.fold_interval, stop.clone()));
    tasks.spawn(periodic::forget(store.clone(), stop.clone()));
    tasks.spawn(periodic::backfill(store.clone(), stop.clone()));
    tasks.spawn(periodic::purge(store.clone(), stop.clone()));
    tasks.spawn(periodic::index_weeks(store.clone(), stop.clone()));
    tasks.spawn(checks.run(stop.clone()));
    tasks.spawn(deadlines::run(store.clone(), config.queue.settings(), stop.clone()));
    tasks.close();

    let check = || async {
        if disconnected.load(Ordering::Relaxed) > 0 {
            return Err("no connection to the broker".to_owned());
        }
        store.check().await.map_err(|error| error.to_string())
    };
    let watching = watch_health(server.health(), stop.clone(), check);
    let (served, (), ()) = tokio::join!(
        server.serve(None, stop.clone()),
        watching,
        finish(&tasks, &stop, config.server.drain_timeout)
    );
    served
}

/// Waits for the tasks to end, but not for ever once they were asked to: what they hold
/// goes back to the broker when the process ends.
async fn finish(tasks: &TaskTracker, stop: &CancellationToken, patience: Duration) {
    let overtime = async {
        stop.cancelled().await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        () = tasks.wait() => {}
        () = overtime => tracing::warn!("work was cut off: it took longer than the drain timeout"),
    }
}
