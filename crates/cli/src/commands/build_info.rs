//! `flowmeter build-info`: what the query service was built from.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::GetBuildInfoRequest;

use super::show;
use crate::{arguments::Remote, connection, json, render::table};

/// Show the version and the features of the query service. Needs no token.
#[derive(Debug, Args)]
pub(crate) struct BuildInfo {}

/// Runs the command.
pub(crate) async fn run(remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::query(remote)?;
    let call =
        connection::within(remote.timeout, GetBuildInfoRequest {}, |request| client.get_build_info(request));
    let info = call.await?;
    if remote.json() {
        show(&json::pretty("GetBuildInfoResponse", &info)?)?;
    } else {
        show(&table::properties(&[
            ("service", info.service),
            ("version", info.version),
            ("commit", info.commit),
            ("features", info.features.join(", ")),
        ]))?;
    }
    Ok(ExitCode::SUCCESS)
}
