//! `flowmeter executions`: reports the API calls of executions, and shows them in four views. Each view is
//! one query.

mod question;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use flowmeter_proto::v1::{QueryExecutionsRequest, QueryExecutionsResponse};

use self::question::{Condition, Question};
use super::{answer, form, width};
use crate::{
    arguments::Remote,
    connection,
    render::executions::{self, Page},
};

/// The type of calls that a rate limit refused.
const RATE_LIMITED: &str = "OutOfQuota";

/// Report the API calls of executions and read their results
///
/// An execution is a run of a command of an integration, by one of its instances if there are
/// several. Its API calls are counted by type, which is their result, as in the API execution
/// metrics of Cortex XSOAR: Successful, GeneralError, AuthError, ServiceError, OutOfQuota or
/// RetryTimeout.
///
/// Reporting needs a token with the scope ingest, reading the scope query.
#[derive(Debug, Subcommand)]
pub(crate) enum Executions {
    Report(report::Report),
    /// Show the calls of each integration by type
    ///
    /// The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
    /// chart, each integration is a bar with a part for each type; the smallest types share a part.
    ///
    /// Examples:
    ///   flowmeter executions types
    ///   flowmeter executions types --range 'from(T-1MD1)' --filter 'type != "Successful"'
    #[command(verbatim_doc_comment)]
    Types {
        #[command(flatten)]
        question: Question,
    },
    /// Show the number of calls that a rate limit refused
    ///
    /// These are the calls of type OutOfQuota, which were reported as OutOfQuota or QuotaError.
    ///
    /// Examples:
    ///   flowmeter executions limited
    ///   flowmeter executions limited --range T --filter 'integration = "VirusTotal"'
    #[command(verbatim_doc_comment)]
    Limited {
        #[command(flatten)]
        question: Question,
    },
    Commands(Commands),
    Timeline(Timeline),
}

/// Show the calls of each command by type
///
/// The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
/// chart, each command has a bar for each type, all on one scale.
///
/// Examples:
///   flowmeter executions commands
///   flowmeter executions commands ip url file --range 'from(T-1D)'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Commands {
    /// The commands. Default: all.
    #[arg(value_name = "COMMAND")]
    commands: Vec<String>,

    #[command(flatten)]
    question: Question,
}

/// Show the calls of one instance over time by type
///
/// The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
/// chart, each type is a sparkline with its own scale. Tables leave out hours and days without
/// calls.
///
/// Examples:
///   flowmeter executions timeline --instance vt-prod
///   flowmeter executions timeline --instance vt-prod --by day --time-zone Europe/Berlin
///   flowmeter executions timeline --instance main --range 'last(24)' --filter 'integration = Slack'
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    mut_arg("range", |range| range.help(
        "The time range, as in `flowmeter series`. Default: last(3) by hour and last(7) by day"
    ))
)]
pub(crate) struct Timeline {
    /// The instance. If instances of several integrations have this name, use --filter to select
    /// one integration.
    #[arg(long, value_name = "NAME")]
    instance: String,

    /// The length of a point.
    #[arg(long, default_value = "hour", ignore_case = true)]
    by: Interval,

    #[command(flatten)]
    question: Question,
}

/// The length of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Interval {
    /// One hour; the default range is the last 3 hours.
    Hour,
    /// One day; the default range is the last 7 days.
    Day,
}

impl Interval {
    const fn calendar(self) -> &'static str {
        match self {
            Self::Hour => "#PT1H",
            Self::Day => "#P1D",
        }
    }

    /// The default range.
    const fn usual_range(self) -> &'static str {
        match self {
            Self::Hour => "last(3)",
            Self::Day => "last(7)",
        }
    }
}

/// Runs the command.
pub(crate) async fn run(executions: Executions, remote: &Remote) -> Result<ExitCode> {
    match executions {
        Executions::Report(report) => return report::run(report, remote).await,
        Executions::Types { question } => {
            let request = question.request(&["integration", "type"], None);
            show(request, remote, executions::types).await?;
        }
        Executions::Limited { question } => {
            let limited = Condition { field: "type", values: &[RATE_LIMITED.to_owned()] };
            show(question.request(&[], Some(limited)), remote, executions::limited).await?;
        }
        Executions::Commands(Commands { commands, question }) => {
            let chosen = Condition { field: "command", values: &commands };
            let request = question.request(&["command", "type"], Some(chosen));
            show(request, remote, |page| executions::commands(page, &commands)).await?;
        }
        Executions::Timeline(Timeline { instance, by, question }) => {
            let only = Condition { field: "instance", values: &[instance] };
            let mut request = question.request(&["type"], Some(only));
            request.calendar = by.calendar().into();
            if request.range.is_empty() {
                request.range = by.usual_range().into();
            }
            show(request, remote, executions::timeline).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the query, and shows the answer with `page` or as JSON.
async fn show(
    request: QueryExecutionsRequest,
    remote: &Remote,
    page: impl FnOnce(Page<'_>) -> String,
) -> Result<()> {
    let mut client = connection::query(remote)?;
    let asked = request.clone();
    let call = connection::within(remote.timeout, request, |request| client.query_executions(request));
    let found: QueryExecutionsResponse = call.await?;
    answer(remote, "QueryExecutionsResponse", &found, || {
        page(Page { asked: &asked, answer: &found, form: form(remote), width: width() })
    })
}
