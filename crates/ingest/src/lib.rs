//! The ingest service: validates what is reported, assigns ids, and answers when the broker has made it durable.
//! It needs the store only for tokens and for the registrations of flows.

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
use flowmeter_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;

/// Serves until `stop`; then finishes the calls that are under way.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    // The publishers outlive the calls: they stop when the last sender is gone.
    let (publishers, stop_publishers) = (TaskTracker::new(), CancellationToken::new());
    let settings = PublisherSettings { linger: config.linger, ..PublisherSettings::default() };
    let publisher = Publisher::start(&config.queue.settings(), settings, &publishers, &stop_publishers);

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
    let check =
        || async { if publisher.is_connected() { Ok(()) } else { Err("no connection to the broker") } };
    let watching = watch_health(server.health(), stop.clone(), check);
    let (served, ()) = tokio::join!(server.serve(Some(authenticator), stop.clone()), watching);

    stop_publishers.cancel();
    publishers.close();
    if tokio::time::timeout(config.confirm_timeout, publishers.wait()).await.is_err() {
        tracing::warn!("the broker did not confirm what was left; it was not acknowledged either");
    }
    served
}
