//! `flowmeter receipt`: the state of a request.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::get_receipt_response::State;

use super::show;
use crate::{
    arguments::Remote,
    connection::{self, Patience},
    json, moment,
    render::table,
    replay::settling,
};

/// Show the state of a request to the ingest service.
///
/// Needs a token with the scope query. Exit codes: 0 the request is applied, or still pending
/// without --wait; 1 it is dead, which means that it cannot be applied, or --wait timed out.
#[derive(Debug, Args)]
pub(crate) struct Receipt {
    /// The request id that the ingest service returned.
    request_id: String,

    /// Wait until the request is applied or dead.
    #[arg(long)]
    wait: bool,

    /// The maximum time for --wait.
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = moment::parse_duration)]
    wait_at_most: Duration,
}

/// Runs the command.
pub(crate) async fn run(receipt: Receipt, remote: &Remote) -> Result<ExitCode> {
    let in_all = if receipt.wait { receipt.wait_at_most } else { Duration::ZERO };
    let patience = Patience { call: remote.timeout, in_all };
    let answer = settling::receipt(connection::query(remote)?, receipt.request_id, patience).await?;
    let state = answer.state();
    if remote.json() {
        show(&json::pretty("GetReceiptResponse", &answer)?)?;
    } else {
        show(&table::properties(&[
            ("request", answer.request_id),
            ("state", state.as_str_name().trim_start_matches("STATE_").to_owned()),
            ("accepted", answer.accepted_count.to_string()),
            ("duplicates", answer.duplicate_count.to_string()),
            ("conflicts", answer.conflict_count.to_string()),
            ("settled", moment::rfc3339(answer.settle_time.as_ref())),
            ("dead reason", answer.dead_reason),
            ("fresh through", moment::rfc3339(answer.fresh_through.as_ref())),
        ]))?;
    }
    let good = match state {
        State::Applied => true,
        State::Pending => !receipt.wait,
        State::Dead | State::Unspecified => false,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
