//! `flowmeter-worker`: applies what was reported.

use clap::Parser;
use flowmeter_service::tasks::Tasks;
use flowmeter_service::telemetry;
use flowmeter_worker::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "worker")?;
    flowmeter_worker::run(config, Tasks::until_signal()?).await?;
    tracing::info!("stopped");
    Ok(())
}
