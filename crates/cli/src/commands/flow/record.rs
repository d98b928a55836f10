//! `flowmeter flow record`: requests to the endpoint of a flow from the command line.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::{FlowOutcome, FlowRequest, RecordFlowRequestsRequest, RecordFlowRequestsResponse};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    arguments::Remote,
    commands::{
        answer,
        sending::{self, Sender},
    },
    moment,
    render::{table::properties, text::grouped},
    suggestion,
    words::flow::Outcome,
};

/// Record one request to the endpoint of a flow, or several with the same outcome
///
/// Needs a token with the scope ingest. Exit codes: 0 the requests were accepted; 3 they were
/// rejected.
///
/// Examples:
///   flowmeter flow record signup --outcome succeeded --latency 1.2s
///   flowmeter flow record signup --outcome succeeded --latency 800ms --count 300
///   flowmeter flow record signup --outcome timeout --latency 10s --timestamp 2026-11-21T09:30:00Z
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Record {
    /// The id of the flow.
    id: String,

    /// The outcome of the requests.
    #[arg(long, ignore_case = true)]
    outcome: Outcome,

    /// The time until the response or the failure, such as 1.2s. Default: unknown, and the requests
    /// do not count in the latency metric.
    #[arg(long, value_name = "DURATION", value_parser = moment::parse_duration)]
    latency: Option<Duration>,

    /// The number of requests, at most 100000000.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    count: i32,

    /// The time of the requests, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    timestamp: Option<Timestamp>,

    /// The request id, a version 7 UUID. A request that is sent again with the same id counts once.
    /// Default: a new id.
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

/// Runs the command.
pub(super) async fn run(record: Record, remote: &Remote) -> Result<ExitCode> {
    let request = RecordFlowRequestsRequest::from(record);
    let sender = Sender::new(remote)?;
    let found =
        sender.send(&request, async |mut client, request| client.record_flow_requests(request).await).await?;
    answer(remote, "RecordFlowRequestsResponse", &found, || describe(&request, &found))?;
    let outcome = sending::outcome(&found.rejections);
    if found.rejections.iter().any(|rejection| rejection.reason == "UNKNOWN_FLOW") {
        let id = request.requests.first().map_or("", |request| request.flow_id.as_str());
        eprintln!("  hint: {}", suggestion::flow(id, remote).await);
    }
    Ok(outcome)
}

impl From<Record> for RecordFlowRequestsRequest {
    fn from(record: Record) -> Self {
        let request = FlowRequest {
            flow_id: record.id,
            timestamp: record.timestamp.map(moment::to_wire),
            latency: record.latency.map(moment::duration_to_wire),
            outcome: FlowOutcome::from(record.outcome).into(),
            count: Some(record.count),
        };
        let request_id = record.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
        Self { requests: vec![request], request_id }
    }
}

fn describe(asked: &RecordFlowRequestsRequest, found: &RecordFlowRequestsResponse) -> String {
    let accepted = if found.accepted_count > 0 { &asked.requests[..] } else { &[] };
    let count: u64 =
        accepted.iter().map(|request| u64::from(request.count.unwrap_or(1).unsigned_abs())).sum();
    properties(&[("request", found.request_id.clone()), ("accepted", grouped(count))])
}
