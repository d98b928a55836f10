//! `flowmeter-worker`: applies what was reported.

use clap::Parser;
use flowmeter_service::{shutdown, telemetry};
use flowmeter_worker::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "worker")?;
    let stop = shutdown::on_signal()?;
    flowmeter_worker::run(config, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
