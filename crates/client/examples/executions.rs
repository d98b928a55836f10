//! Reports how the API calls of an integration's command ended.
//!
//! Start Flowmeter with `cargo xtask up --detach`, set the variables that it prints, and run
//! `cargo run -p flowmeter-client --example executions`.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use flowmeter_client::{BatcherSettings, Client, ClientSettings, ExecutionSchedule};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("FLOWMETER_INGEST_URL")?;
    let token = std::env::var("FLOWMETER_TOKEN")?;
    enrich(&Client::new(ClientSettings::new(url).token(token))?).await
}

/// The HTTP status of a call, or why the call failed. A real integration would call its API here.
fn call(url: &str) -> Result<u16, io::Error> {
    match url {
        "https://busy.example" => Ok(429),
        "https://down.example" => Err(io::ErrorKind::ConnectionRefused.into()),
        _ => Ok(200),
    }
}

/// Looks up four URLs. A URL that met a rate limit is to be tried again later.
pub async fn enrich(client: &Client) -> Result<(), Box<dyn Error>> {
    let batcher = client.batcher(BatcherSettings::default());
    let mut execution = batcher.start_execution("VirusTotal", "vt-prod", "url");
    let mut retries = 0;
    for url in ["https://a.example", "https://b.example", "https://busy.example", "https://down.example"] {
        match call(url) {
            Ok(429) => retries += 1,
            result => execution.metrics_mut().add_call(&result),
        }
    }
    // What is still open at the deadline counts as `RetryTimeout`.
    execution.set_schedule(ExecutionSchedule {
        id: "run-4711".into(),
        items_remaining: retries,
        deadline: Some((SystemTime::now() + Duration::from_mins(10)).into()),
    });
    // Dropping the guard puts the report into the buffer.
    drop(execution);

    let lost = batcher.shutdown(Duration::from_secs(10)).await;
    println!("{} reports accepted, {} lost", batcher.stats().executions.accepted, lost.executions);
    Ok(())
}
