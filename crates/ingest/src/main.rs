//! `flowmeter-ingest`: accepts reports of usage over gRPC.

use clap::Parser;
use flowmeter_ingest::Config;
use flowmeter_service::tasks::Tasks;
use flowmeter_service::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "ingest")?;
    flowmeter_ingest::run(config, Tasks::until_signal()?).await?;
    tracing::info!("stopped");
    Ok(())
}
