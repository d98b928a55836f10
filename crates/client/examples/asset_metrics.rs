//! Emits asset metrics: strings, numbers and booleans.
//!
//! Start Flowmeter with `cargo xtask up --detach`, set the variables that it prints, and run
//! `cargo run -p flowmeter-client --example asset_metrics`.

use std::error::Error;

use flowmeter_client::{AssetDocument, AssetValue, Client, ClientSettings, asset_metric};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("FLOWMETER_INGEST_URL")?;
    let token = std::env::var("FLOWMETER_TOKEN")?;
    emit(&Client::new(ClientSettings::new(url).token(token))?).await
}

/// Emits the metrics of one asset, and then those of several assets in one request.
pub async fn emit(client: &Client) -> Result<(), Box<dyn Error>> {
    let customers = AssetDocument {
        asset_urn: "urn:crm:customers".into(),
        timestamp: None, // the time of the call
        metrics: vec![
            asset_metric("qualityScore", 97.5),
            asset_metric("rowCount", 1_200_000),
            asset_metric("revenue", AssetValue::decimal("12345678901234567.89")), // exact, unlike a double
            asset_metric("steward", "Kim"),
            asset_metric("certified", true),
        ],
    };
    let emitted = client.emit_asset_metrics(&customers).await?;
    println!("{} metrics in request {}", emitted.metrics.len(), emitted.request_id);

    let document = |(urn, score): (&str, f64)| AssetDocument {
        asset_urn: urn.into(),
        metrics: vec![asset_metric("qualityScore", score)],
        ..AssetDocument::default()
    };
    let scores = [("urn:crm:orders", 99.0), ("urn:crm:invoices", 88.5)];
    let emitted = client.batch_emit_asset_metrics(&scores.map(document)).await?;
    println!("{} metrics accepted", emitted.accepted_count);
    for rejection in &emitted.rejections {
        eprintln!("document {} rejected: {:?}", rejection.index, rejection.field_violations);
    }
    Ok(())
}
