//! Records every request to a server, without a change to the methods of the server.
//!
//! The server is a gRPC health service of tonic. The layer works the same around axum and other tower services of
//! HTTP.
//!
//! Start Flowmeter with `cargo xtask up --detach`, set the variables that it prints, and run
//! `cargo run -p flowmeter-client --example tower_layer`.

use std::error::Error;
use std::time::Duration;

use flowmeter_client::{BatcherSettings, Client, ClientSettings, UsageEvent, UsageLayer, describe_by_path};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("FLOWMETER_INGEST_URL")?;
    let token = std::env::var("FLOWMETER_TOKEN")?;
    serve(&Client::new(ClientSettings::new(url).token(token))?).await
}

/// Serves two calls, one of which fails, and records both.
pub async fn serve(client: &Client) -> Result<(), Box<dyn Error>> {
    let batcher = client.batcher(BatcherSettings::default());
    // Service, method, status, duration and size come from the request and its answer. Add what else is known.
    let layer = UsageLayer::new(batcher.clone())
        .describe(|request| Some(UsageEvent { application: "health".into(), ..describe_by_path(request) }));

    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = incoming.local_addr()?;
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming));

    let mut caller = HealthClient::new(Endpoint::from_shared(format!("http://{address}"))?.connect_lazy());
    for service in ["", "unknown"] {
        match caller.check(HealthCheckRequest { service: service.into() }).await {
            Ok(answer) => println!("{service:?}: status {}", answer.into_inner().status),
            Err(status) => println!("{service:?}: {:?}", status.code()),
        }
    }

    let lost = batcher.shutdown(Duration::from_secs(10)).await;
    println!("{} requests recorded, {} lost", batcher.stats().usage.accepted, lost.usage);
    Ok(())
}
