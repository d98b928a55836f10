//! The ingest service validates reports, assigns ids, and answers when the broker has made the reports
//! durable. It needs the store only for tokens and for the registrations of flows.

mod accept;
mod config;
mod flow_registry;
mod publish;
mod rpc;

use std::sync::Arc;

use flowmeter_proto::raw::ingest_service_server::IngestServiceServer;
use flowmeter_queue::{Publisher, PublisherSettings};
use flowmeter_service::auth::Authenticator;
use flowmeter_service::server::{GrpcServer, MAX_MESSAGE_BYTES, watch_health};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::Store;

pub use config::Config;

/// Serves until the tasks are asked to stop, and then finishes the running calls.
pub async fn run(config: Config, mut tasks: Tasks) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let settings = PublisherSettings { linger: config.linger, ..PublisherSettings::default() };
    let (publisher, shards) = Publisher::new(&config.queue.settings(), settings);
    for shard in shards {
        // Calls wait for the publisher, so it stops after them.
        let stop = tasks.stop_last();
        tasks.spawn_last(format!("publisher of shard {}", shard.shard()), shard.run(stop));
    }
    let authenticator = Authenticator::new(store.clone());
    let mut server =
        GrpcServer::bind(config.listen, &config.server, "ingest", &["flowmeter.v1.IngestService"]).await?;
    let service = rpc::Ingest {
        authenticator: authenticator.clone(),
        flows: flow_registry::FlowRegistry::new(store),
        limits: config.limits(),
        publisher: Arc::new(publish::BoundedPublisher::new(publisher.clone(), &config)),
    };
    let service = IngestServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    server.routes().add_service(service);
    let check = move || {
        let is_connected = publisher.is_connected();
        async move { if is_connected { Ok(()) } else { Err("no connection to the broker") } }
    };
    let stop = tasks.stop();
    tasks.spawn("health", watch_health(server.health(), stop.clone(), check));
    tasks.spawn("gRPC server", server.serve(Some(authenticator), stop));
    // Requests that the broker has not confirmed were not acknowledged.
    tasks.supervise(config.server.drain_timeout, config.confirm_timeout).await
}
