//! `flowmeter health`: the gRPC health check, for the health checks of containers.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::show;
use crate::{arguments::Remote, connection};

/// Check the health of a service over gRPC. Needs no token.
///
/// Prints the state of the service. Exit codes: 0 the state is SERVING; 1 it is not, or the
/// service does not answer.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The URL of the service, such as `http://127.0.0.1:7071`.
    url: String,

    /// The full name of one gRPC service, such as flowmeter.v1.IngestService.
    /// Default: all services of the server.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    service: String,
}

/// Runs the command.
pub(crate) async fn run(health: Health, remote: &Remote) -> Result<ExitCode> {
    let mut client = HealthClient::new(connection::without_token(&health.url, remote)?);
    let request = HealthCheckRequest { service: health.service };
    let call = connection::within(remote.timeout, request, |request| client.check(request));
    let answer = call.await.with_context(|| format!("{} is not healthy", health.url))?;
    let state = answer.status().as_str_name();
    if remote.json() {
        show(&serde_json::json!({ "status": state }).to_string())?;
    } else {
        show(state)?;
    }
    let serving = answer.status() == tonic_health::pb::health_check_response::ServingStatus::Serving;
    Ok(if serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
