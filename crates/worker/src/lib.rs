//! The worker. It alone writes measured data, runs the periodic jobs that maintain it, and checks the
//! endpoints of flows.
//!
//! The modules of a batch, in order: `shard` receives messages, `gather` collects them, `decode` reads them,
//! `apply` writes them in one transaction, `dead_letters` handles requests that cannot be applied, and
//! `shard` acknowledges the batch.

mod apply;
mod checks;
mod config;
mod dead_letters;
mod decode;
mod gather;
mod jobs;
mod report;
mod shard;

use std::time::Duration;

use flowmeter_queue::Connections;
use flowmeter_service::server::{GrpcServer, watch_health};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::Store;

pub use config::{Batching, Checks, Config};

/// How long the broker may take to confirm the last reports. It usually takes milliseconds.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// Works until the tasks are asked to stop, and then finishes the running transactions. Messages that are not
/// acknowledged by the end of the process go back to the broker.
pub async fn run(config: Config, mut tasks: Tasks) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let queue = config.queue.settings();
    checks::spawn(&mut tasks, &store, &queue, &config.checks)?;
    let server = GrpcServer::bind(config.listen, &config.server, "worker", &[]).await?;
    let stop = tasks.stop();
    let connections = Connections::new(config.queue.shards);
    for index in 0..config.queue.shards {
        let shard = shard::Shard {
            store: store.clone(),
            settings: queue.clone(),
            index,
            batching: config.batching,
            connections: connections.clone(),
        };
        tasks.spawn(format!("shard {index}"), shard.run(stop.clone()));
    }
    jobs::spawn(&mut tasks, &store, &queue, config.jobs);
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
