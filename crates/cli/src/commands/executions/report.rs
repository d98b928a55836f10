//! `flowmeter executions report`: the results of one execution's calls, from the command line.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::{
    ExecutionMetric, ExecutionReport, ExecutionSchedule, ReportExecutionsRequest, ReportExecutionsResponse,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    arguments::Remote,
    commands::{
        answer,
        sending::{self, Sender},
    },
    moment,
    render::{table::properties, text::counted},
};

/// The maximum number of calls, and of items, that the service accepts in a report.
const MAX_COUNT: i64 = 1_000_000_000_000;

/// Report the API calls of one execution by type
///
/// Types are Successful, GeneralError, AuthError, ServiceError, OutOfQuota and RetryTimeout.
/// QuotaError counts as OutOfQuota, TimeoutError as RetryTimeout, and any other type as
/// GeneralError, unless the tenant allows all types: see `flowmeter tenant update`. Counts of one
/// type are added up.
///
/// Needs a token with the scope ingest. Exit codes: 0 the report was accepted; 3 it was rejected.
///
/// Examples:
///   flowmeter executions report --integration VirusTotal Successful=12 QuotaError=3
///   flowmeter executions report --integration VirusTotal --instance vt-prod --command ip \
///     --timestamp 2026-11-21T09:30:00Z Successful=1
///   flowmeter executions report --integration VirusTotal Successful=8 \
///     --schedule run-17 --items-remaining 4 --deadline 2026-11-21T09:40:00Z
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter executions report [OPTIONS] --integration <NAME> [TYPE=COUNT]..."
)]
pub(crate) struct Report {
    /// The number of calls of each type, such as Successful=12 QuotaError=3.
    #[arg(required_unless_present = "schedule", value_name = "TYPE=COUNT", value_parser = parse_metric)]
    metrics: Vec<ExecutionMetric>,

    /// The integration.
    #[arg(long, value_name = "NAME")]
    integration: String,

    /// The instance of the integration. Default: none.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,

    /// The command. Default: none.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    command: String,

    /// The time of the execution, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    timestamp: Option<Timestamp>,

    /// The id of the schedule on which the command retries the remaining items. A later report with
    /// the same id updates the schedule. Items that remain at its deadline count as RetryTimeout.
    #[arg(long, value_name = "ID", requires = "items_remaining")]
    schedule: Option<String>,

    /// The number of items that remain to be retried; 0 closes the schedule.
    #[arg(long, value_name = "COUNT", requires = "schedule", value_parser = clap::value_parser!(i64).range(0..=MAX_COUNT))]
    items_remaining: Option<i64>,

    /// The time until which items are retried, in RFC 3339. Required if items remain.
    #[arg(long, value_name = "TIME", requires = "schedule", value_parser = moment::parse)]
    deadline: Option<Timestamp>,

    /// The request id, a version 7 UUID. A report that is sent again with the same id counts once.
    /// Default: a new id.
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

fn parse_metric(text: &str) -> Result<ExecutionMetric, String> {
    let wrong = || format!("expected a type and a count from 0 to {MAX_COUNT}, such as Successful=12");
    let (kind, count) = text.rsplit_once('=').ok_or_else(wrong)?;
    let count = count.parse().ok().filter(|count| (0..=MAX_COUNT).contains(count));
    if kind.is_empty() {
        return Err(wrong());
    }
    Ok(ExecutionMetric { r#type: kind.to_owned(), count: count.ok_or_else(wrong)? })
}

/// Runs the command.
pub(super) async fn run(report: Report, remote: &Remote) -> Result<ExitCode> {
    let request = ReportExecutionsRequest::from(report);
    let sender = Sender::new(remote)?;
    let found =
        sender.send(&request, async |mut client, request| client.report_executions(request).await).await?;
    answer(remote, "ReportExecutionsResponse", &found, || describe(&request, &found))?;
    Ok(sending::outcome(&found.rejections))
}

impl From<Report> for ReportExecutionsRequest {
    fn from(report: Report) -> Self {
        let request_id = report.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let report = ExecutionReport {
            integration: report.integration,
            instance: report.instance,
            command: report.command,
            timestamp: report.timestamp.map(moment::to_wire),
            metrics: report.metrics,
            schedule: report.schedule.map(|id| ExecutionSchedule {
                id,
                items_remaining: report.items_remaining.unwrap_or_default(),
                deadline: report.deadline.map(moment::to_wire),
            }),
        };
        Self { reports: vec![report], request_id }
    }
}

/// The request, and the report with its calls and its schedule if it was accepted.
fn describe(asked: &ReportExecutionsRequest, found: &ReportExecutionsResponse) -> String {
    let accepted = if found.accepted_count > 0 { &asked.reports[..] } else { &[] };
    let counts = accepted.iter().flat_map(|report| &report.metrics).map(|metric| metric.count.unsigned_abs());
    let calls = counts.fold(0, u64::saturating_add);
    let schedule = accepted.iter().find_map(|report| report.schedule.as_ref());
    properties(&[
        ("request", found.request_id.clone()),
        ("accepted", format!("{}, {}", counted(accepted.len() as u64, "report"), counted(calls, "call"))),
        ("schedule", schedule.map(describe_schedule).unwrap_or_default()),
    ])
}

fn describe_schedule(schedule: &ExecutionSchedule) -> String {
    if schedule.items_remaining == 0 {
        return format!("{}, closed", schedule.id);
    }
    let items = counted(schedule.items_remaining.unsigned_abs(), "item");
    format!("{}, {items} until {}", schedule.id, moment::rfc3339(schedule.deadline.as_ref()))
}
