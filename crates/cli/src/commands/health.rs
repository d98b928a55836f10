//! `flowmeter health`: the gRPC health check, for the health checks of containers.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::show;
use crate::{arguments::Remote, connection};

/// Check the health of a service over gRPC. Needs no token.
///
/// Prints SERVING and ends with exit code 0 if the service is ready; prints another
/// state or an error and ends with 1 if it is not.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Where the service listens, such as `http://127.0.0.1:7071`.
    url: String,

    /// The full name of one gRPC service, such as flowmeter.v1.IngestService.
    /// Default: the whole server.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    service: String,
}

/// Carries out the command.
pub(crate) async fn run(health: Health, remote: &Remote) -> Result<ExitCode> {
    let mut client = HealthClient::new(connection::channel(&health.url)?);
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
