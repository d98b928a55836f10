//! `flowmeter-query`: answers from what has been applied.

use clap::Parser;
use flowmeter_query::Config;
use flowmeter_service::{shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "query")?;
    let stop = shutdown::on_signal()?;
    flowmeter_query::run(config, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
