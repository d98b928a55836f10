//! `flowmeter-query`: the query service as a program.

use clap::Parser;
use flowmeter_query::Config;
use flowmeter_service::tasks::Tasks;
use flowmeter_service::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::start(&config.server.telemetry, "query")?;
    flowmeter_query::run(config, Tasks::until_signal()?).await?;
    tracing::info!("stopped");
    Ok(())
}
