//! The worker: it owns every write of measured data, and the periodic jobs around it.

mod apply;
mod checks;
mod config;
mod deadlines;
mod gather;
mod periodic;
mod shard;

use std::time::Duration;

use flowmeter_queue::Connections;
use flowmeter_service::server::{GrpcServer, watch_health};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::Store;

pub use config::{Batching, Checks, Config};

/// How long the last reports may take to be confirmed. A broker that is there needs milliseconds.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// Works until the tasks are asked to stop; then finishes the transactions that are under way. What is cut off
/// goes back to the broker when the process ends.
pub async fn run(config: Config, mut tasks: Tasks) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let queue = config.queue.settings();
    checks::spawn(&mut tasks, &store, &queue, &config.checks)?;
    let server = GrpcServer::bind(config.listen, &config.server, "worker", &[]).await?;
    let stop = tasks.stop();
    let connections = Connections::new(config.queue.shards);
    for index in 0..config.queue.shards {
        let shard =
            shard::Shard::new(store.clone(), queue.clone(), index, config.batching, connections.clone());
        tasks.spawn(format!("shard {index}"), shard.run(stop.clone()));
    }
    let fold_interval = config.fold_interval;
    tasks.spawn("fold of roll-ups", periodic::fold_rollups(store.clone(), fold_interval, stop.clone()));
    tasks.spawn("fold of flow counters", periodic::fold_flows(store.clone(), fold_interval, stop.clone()));
    tasks.spawn("removal of gone workers", periodic::forget(store.clone(), stop.clone()));
    tasks.spawn("backfill", periodic::backfill(store.clone(), stop.clone()));
    tasks.spawn("purge of roll-ups", periodic::purge(store.clone(), stop.clone()));
    tasks.spawn("index of label sets", periodic::index_weeks(store.clone(), stop.clone()));
    deadlines::spawn(&mut tasks, &store, &queue);
    let check = move || {
        let (store, is_connected) = (store.clone(), connections.are_open());
        async move {
            if !is_connected {
                return Err("no connection to the broker".to_owned());
            }
            store.check().await.map_err(|error| error.to_string())
        }
    };
    tasks.spawn("health", watch_health(server.health(), stop.clone(), check));
    tasks.spawn("gRPC server", server.serve(None, stop));
    tasks.supervise(config.server.drain_timeout, CONFIRM_TIMEOUT).await
}
