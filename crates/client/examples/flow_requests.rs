//! Records requests to the endpoint of a flow, with their outcome and latency.
//!
//! Start Flowmeter with `cargo xtask up --detach`, set the variables that it prints, register the flow with
//! `flowmeter flow create signup`, and run `cargo run -p flowmeter-client --example flow_requests`.

use std::error::Error;
use std::io;
use std::time::Duration;

use flowmeter_client::{BatcherSettings, Client, ClientSettings, FlowOutcome, FlowRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("FLOWMETER_INGEST_URL")?;
    let token = std::env::var("FLOWMETER_TOKEN")?;
    record(&Client::new(ClientSettings::new(url).token(token))?, "signup").await
}

/// The HTTP status of an endpoint, or why the request failed. A real client would send a request here.
fn post(path: &str) -> Result<u16, io::Error> {
    if path == "/slow" { Err(io::ErrorKind::TimedOut.into()) } else { Ok(200) }
}

/// Records single requests, and then many requests with the same outcome at once.
pub async fn record(client: &Client, flow_id: &str) -> Result<(), Box<dyn Error>> {
    let batcher = client.batcher(BatcherSettings::default());
    for path in ["/", "/slow"] {
        // The guard measures the latency until it learns how the request ended.
        let request = batcher.start_flow_request(flow_id);
        match post(path) {
            Ok(httpstatus) => request.answered(httpstatus),
            Err(error) => request.failed(&error),
        }
    }
    let mut many = FlowRequest { flow_id: flow_id.into(), count: Some(300), ..FlowRequest::default() };
    many.set_outcome(FlowOutcome::Succeeded);
    many.latency = Some(Duration::from_millis(800).try_into()?);
    batcher.record_flow_request(many).await?;

    let lost = batcher.shutdown(Duration::from_secs(10)).await;
    let requests = batcher.stats().flow_requests;
    println!("{} accepted, {} rejected, {} lost", requests.accepted, requests.rejected, lost.flow_requests);
    Ok(())
}
