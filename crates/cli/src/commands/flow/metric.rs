//! `flowmeter flow metric`: one metric of a flow, or all of them as a dashboard.

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::{Flow, GetFlowMetricRequest, GetFlowMetricResponse};
use tonic::{Code, Status};

use crate::{
    arguments::Remote,
    commands::{form, show, width},
    connection, json,
    render::flow::{self, Report},
    words::flow::{FlowMetric, Granularity},
};

const MESSAGE: &str = "GetFlowMetricResponse";

/// Show the metrics of a flow: requests, errors, error rate, latency and availability
///
/// Shows all five metrics as a dashboard, or one of them. Needs a token with the scope query. The
/// flow needs at least 250 requests since it was registered, unless the service is configured
/// with another minimum.
///
/// The output is a chart on a terminal, and elsewhere a table with a row for each day or hour;
/// --output overrides this. JSON of all metrics has one metric per line. Days and hours are in
/// the flow's time zone, and tables leave out those without data.
///
/// Latencies are in seconds, rounded up: 3 means more than 2 and up to 3 s, 10+ more than 10 s.
/// So p95 ≤ 3 s means that 95 % of the requests took 3 s or less.
///
/// Examples:
///   flowmeter flow metric signup
///   flowmeter flow metric signup --granularity hour --since 2026-11-21
///   flowmeter flow metric signup errors --since 2026-11-01 --until 2026-11-08
///   flowmeter flow metric signup ENDPOINT_AVAILABILITY --granularity lifetime --output json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Metric {
    /// The id of the flow.
    id: String,

    /// The metric, or its name in the API such as ENDPOINT_REQUEST_COUNT. Default: all.
    #[arg(ignore_case = true)]
    name: Option<FlowMetric>,

    /// The length of a point.
    #[arg(long, default_value = "day", ignore_case = true)]
    granularity: Granularity,

    /// The first day, such as 2026-11-01. Default: the oldest day available; for lifetime, the day
    /// of the flow's registration or of its first request.
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    since: String,

    /// The day after the last one, such as 2026-11-08. Default: up to now.
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    until: String,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

impl Metric {
    /// The request for one metric.
    fn request(&self, metric: FlowMetric) -> GetFlowMetricRequest {
        GetFlowMetricRequest {
            flow_id: self.id.clone(),
            name: metric.name().into(),
            granularity: self.granularity.name().into(),
            since: self.since.clone(),
            until: self.until.clone(),
            after_request_id: self.after.clone(),
        }
    }
}

/// Runs the command.
pub(super) async fn run(metric: Metric, remote: &Remote) -> Result<()> {
    if remote.json() {
        let found = answers(&metric, remote).await?;
        return match found.as_slice() {
            [(_, answer)] => show(&json::pretty(MESSAGE, answer)?),
            found => found.iter().try_for_each(|(_, answer)| show(&json::line(MESSAGE, answer)?)),
        };
    }
    let (found, flow) = tokio::join!(answers(&metric, remote), super::get(metric.id.clone(), remote));
    let found = found?;
    let mut flow = match flow {
        Ok(flow) => flow,
        // The metrics of a deleted flow can be read, but not its definition.
        Err(error) if code(&error) == Some(Code::NotFound) => {
            Flow { id: metric.id.clone(), ..Flow::default() }
        }
        Err(error) => return Err(error),
    };
    // The time zone can have changed between the two calls.
    if let Some((_, answer)) = found.first() {
        flow.time_zone.clone_from(&answer.time_zone);
    }
    let report = Report { flow: &flow, granularity: metric.granularity, answers: &found };
    show(&flow::page(&report, form(remote), width()))
}

fn code(error: &anyhow::Error) -> Option<Code> {
    error.downcast_ref::<Status>().map(Status::code)
}

/// The answer for the requested metric, or the answers for all metrics.
async fn answers(metric: &Metric, remote: &Remote) -> Result<Vec<(FlowMetric, GetFlowMetricResponse)>> {
    let one = |name: FlowMetric| async move { Ok((name, ask(metric.request(name), remote).await?)) };
    if let Some(name) = metric.name {
        return Ok(vec![one(name).await?]);
    }
    let [requests, errors, rate, latency, availability] = FlowMetric::ALL.map(|name| Box::pin(one(name)));
    let all: Result<_> = tokio::try_join!(requests, errors, rate, latency, availability);
    let (requests, errors, rate, latency, availability) = all?;
    Ok(vec![requests, errors, rate, latency, availability])
}

/// Reads a metric.
pub(super) async fn ask(request: GetFlowMetricRequest, remote: &Remote) -> Result<GetFlowMetricResponse> {
    let mut client = connection::query(remote)?;
    let call = connection::within(remote.timeout, request, |request| client.get_flow_metric(request));
    let found: Result<_, Status> = call.await;
    Ok(found?)
}
