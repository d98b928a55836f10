//! `bench flows`: flow requests, from a client's batch to the metric that counts them, and the metrics of
//! flows with a long history.

mod history;
mod load;
mod questions;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_proto::v1::catalog_service_client::CatalogServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{CreateFlowRequest, Flow, GetFlowMetricRequest, GetFlowMetricResponse};
use flowmeter_stack::Stack;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::authorized;
use crate::figures::Figure;
use crate::installation::{Used, channel, counted, rate, setting, with_stack};
use crate::percentiles::Durations;
use crate::report::Report;

/// The shape of the load.
#[derive(Debug, clap::Args)]
pub struct Flows {
    /// The number of seconds to send batches for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The number of connections that send at the same time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The number of requests in a batch.
    #[arg(long, default_value_t = 5_000)]
    batch: usize,
    /// The maximum number of unacknowledged batches per connection.
    #[arg(long, default_value_t = 2)]
    in_flight: usize,
    /// The number of flows. The requests are spread over them.
    #[arg(long = "flows", default_value_t = 200)]
    number: usize,
    /// The number of times to run each query.
    #[arg(long, default_value_t = 500)]
    queries: usize,
    /// Additional settings for the services, such as `FLOWMETER_SHARDS=2`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// The time zones of flows. Days in UTC are stored as such. Days in the other zones are put together from
/// hours or quarter-hours.
const ZONES: [&str; 4] = ["UTC", "America/Los_Angeles", "Asia/Kolkata", "Asia/Kathmandu"];
/// The time within which all data must be applied after it is sent. If it takes longer, something is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(5);

impl Flows {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        with_stack(&self.settings, report, async |stack, report| self.measure(stack, report).await)
    }

    async fn measure(&self, stack: &Stack, report: &mut Report) -> Result<()> {
        let bench = Bench {
            token: format!("Bearer {}", stack.installation.token).parse()?,
            ingest: stack.installation.ingest.url(),
            query: QueryServiceClient::new(channel(&stack.installation.query.url()).await?),
            flows: (0..self.number).map(|index| format!("flow-{index:06}")).collect(),
        };
        bench.register(CatalogServiceClient::new(channel(&stack.installation.query.url()).await?)).await?;

        let before = Used::by(stack);
        let sent = load::run(&bench, self).await?;
        let answered = bench.wait_until_all_is_answered(sent.requests as u64).await?;
        let after = Used::by(stack);
        report.section(format_args!(
            "{} requests in batches of {} over {}",
            sent.requests,
            self.batch,
            counted(self.connections, "connection")
        ));
        let acknowledged = rate(sent.requests, sent.last.duration_since(sent.first));
        report.add(Figure::new("acknowledged", "requests/s", acknowledged).headline());
        let counted = rate(sent.requests, answered.duration_since(sent.first));
        report.add(Figure::new("acknowledged and counted", "requests/s", counted).headline());
        report.add_durations("acknowledgement", &Durations::new(sent.latencies), None);
        after.report_since(&before, (sent.requests, "requests"), report);

        report.section(format_args!(
            "90 days of history by quarter-hours, each query {} times over 1 connection",
            self.queries
        ));
        let begin = Instant::now();
        let written = history::write(&bench).await?;
        bench.wait_until_all_is_answered(sent.requests as u64 + written).await?;
        history::settle(stack).await?;
        report.add(Figure::new("history written, folded and vacuumed", "s", begin.elapsed().as_secs_f64()));
        questions::ask_all(&bench, self.queries, report).await?;
        history::report_size(stack, report).await
    }
}

/// The installation under test.
struct Bench {
    token: MetadataValue<Ascii>,
    ingest: String,
    query: QueryServiceClient<Channel>,
    flows: Vec<String>,
}

impl Bench {
    async fn register(&self, mut catalog: CatalogServiceClient<Channel>) -> Result<()> {
        for (index, id) in self.flows.iter().enumerate() {
            let time_zone = ZONES[index % ZONES.len()].to_owned();
            let flow = Flow { id: id.clone(), time_zone, ..Flow::default() };
            catalog.create_flow(authorized(CreateFlowRequest { flow: Some(flow) }, &self.token)).await?;
        }
        Ok(())
    }

    async fn ask(&self, request: GetFlowMetricRequest) -> Result<GetFlowMetricResponse> {
        let mut query = self.query.clone();
        Ok(query.get_flow_metric(authorized(request, &self.token)).await?.into_inner())
    }

    /// Reads the counts of all flows until they contain exactly the sent requests.
    async fn wait_until_all_is_answered(&self, requests: u64) -> Result<Instant> {
        let begin = Instant::now();
        loop {
            let mut counted = 0.0;
            for flow in &self.flows {
                let request = GetFlowMetricRequest {
                    flow_id: flow.clone(),
                    name: "ENDPOINT_REQUEST_COUNT".into(),
                    granularity: "LIFETIME".into(),
                    ..GetFlowMetricRequest::default()
                };
                let mut query = self.query.clone();
                match query.get_flow_metric(authorized(request, &self.token)).await {
                    Ok(answer) => {
                        let metric = answer.into_inner().metric.context("the answer has no metric")?;
                        counted += metric
                            .data_points
                            .iter()
                            .flat_map(|point| &point.data)
                            .map(flowmeter_proto::v1::FlowDatum::value)
                            .sum::<f64>();
                    }
                    // It has too few requests so far.
                    Err(status) if status.code() == tonic::Code::FailedPrecondition => {}
                    Err(status) => return Err(status.into()),
                }
            }
            let now = Instant::now();
            ensure!(
                counted <= requests as f64,
                "{counted} requests are counted, but only {requests} were sent"
            );
            #[allow(clippy::float_cmp, reason = "counts are whole numbers")]
            if counted == requests as f64 {
                return Ok(now);
            }
            ensure!(begin.elapsed() < DRAIN_LIMIT, "{counted} of {requests} requests after {DRAIN_LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
