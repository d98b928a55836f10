//! `flowmeter-ingest`: accepts reports of usage over gRPC.

use clap::Parser;
use flowmeter_ingest::Config;
use flowmeter_service::{shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "ingest")?;
    let stop = shutdown::on_signal()?;
    flowmeter_ingest::run(config, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
