//! The worker: it owns every write of measured data, and the periodic jobs around it.

mod apply;
mod config;
mod fold;
mod gather;
mod shard;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flowmeter_core::metric::Catalog;
use flowmeter_service::server::{GrpcServer, watch_health};
use flowmeter_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Batching, Config};

/// Works until `stop`; then finishes the transactions that are under way.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let server = GrpcServer::bind(config.listen, &config.server, "worker", &[]).await?;
    let disconnected = Arc::new(AtomicUsize::new(usize::from(config.queue.shards)));
    let tasks = TaskTracker::new();
    for index in 0..config.queue.shards {
        let shard = shard::Shard::new(
            store.clone(),
            Catalog::built_in(),
            config.queue.settings(),
            index,
            config.batching,
            disconnected.clone(),
        );
        tasks.spawn(shard.run(stop.clone()));
    }
    tasks.spawn(fold::run(store.clone(), config.fold_interval, stop.clone()));
    tasks.close();

    let check = || async {
        if disconnected.load(Ordering::Relaxed) > 0 {
            return Err("no connection to the broker".to_owned());
        }
        store.check().await.map_err(|error| error.to_string())
    };
    let watching = watch_health(server.health(), stop.clone(), check);
    let (served, (), ()) = tokio::join!(server.serve(stop.clone()), watching, tasks.wait());
    served
}
