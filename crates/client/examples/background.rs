//! Records usage events in the background.
//!
//! Start Flowmeter with `cargo xtask up --detach`, set the variables that it prints, and run
//! `cargo run -p flowmeter-client --example background`.

use std::error::Error;
use std::time::Duration;

use flowmeter_client::{BatcherSettings, Client, ClientSettings, Incident, UsageEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("FLOWMETER_INGEST_URL")?;
    let token = std::env::var("FLOWMETER_TOKEN")?;
    record(&Client::new(ClientSettings::new(url).token(token))?).await
}

/// Records 1,000 events and one event that the service rejects.
pub async fn record(client: &Client) -> Result<(), Box<dyn Error>> {
    let settings = BatcherSettings::new()
        .max_age(Duration::from_millis(500))
        // Called for each loss. Losses are also counted and logged.
        .on_incident(|incident| match incident {
            Incident::Rejected { rejections, .. } => eprintln!("rejected: {rejections:?}"),
            other => eprintln!("lost: {other:?}"),
        });
    // One batcher per process. Clones share its buffer.
    let batcher = client.batcher(settings);

    for request in 0..1_000 {
        let event = UsageEvent {
            application: "shop".into(),
            method: "get".into(),
            service: "pets".into(),
            httpstatus: Some(if request % 50 == 0 { 500 } else { 200 }),
            duration: Some(5 + request % 20), // milliseconds
            ..UsageEvent::default()
        };
        // Waits when the buffer is full. `try_record` drops the event instead, and counts it.
        batcher.record(event).await?;
    }
    batcher.record(UsageEvent { duration: Some(-1), ..UsageEvent::default() }).await?;

    // Sends what is still in the buffer before the process ends.
    let lost = batcher.shutdown(Duration::from_secs(10)).await;
    let usage = batcher.stats().usage;
    println!("{} accepted, {} rejected, {} lost", usage.accepted, usage.rejected, lost.usage);
    Ok(())
}
