//! `bench ingest`: the whole path, from a client's batch to the answer that contains it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_core::ids::RequestId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::RecordUsageRequest;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{GetReceiptRequest, QueryTimeSeriesRequest, get_receipt_response::State};
use flowmeter_stack::Stack;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::authorized;
use crate::events::{Encoder, Special};
use crate::figures::Figure;
use crate::installation::{Used, channel, connect, counted, event_tables, rate, setting, with_stack};
use crate::percentiles::Durations;
use crate::report::Report;

/// The shape of the load.
#[derive(Debug, clap::Args)]
pub struct Ingest {
    /// The number of seconds to send batches for.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The number of connections that send at the same time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The number of events in a batch.
    #[arg(long, default_value_t = 1_000)]
    batch: u32,
    /// The maximum number of unacknowledged batches per connection.
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// The maximum number of events to send per second. Default: as many as the service accepts.
    #[arg(long)]
    rate: Option<u32>,
    #[command(flatten)]
    special: Special,
    /// Additional settings for the services, such as `FLOWMETER_SHARDS=2`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// The number of batches from one measurement of the time until a batch is queryable to the next.
const PROBE_EVERY: u64 = 25;
/// The time within which all data must be applied after it is sent. If it takes longer, something is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);

struct Acknowledged {
    latency: Duration,
    at: Instant,
}

impl Ingest {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        with_stack(&self.settings, report, async |stack, report| self.measure(stack, report).await)
    }

    async fn measure(&self, stack: &Stack, report: &mut Report) -> Result<()> {
        let token: MetadataValue<Ascii> = format!("Bearer {}", stack.installation.token).parse()?;
        let encoder = Arc::new(Encoder::new());
        let query = QueryServiceClient::new(channel(&stack.installation.query.url()).await?);
        let before = Used::by(stack);
        let database = connect(stack.servers.postgres.url()).await?;
        let sizes_before = event_tables(&database).await?;

        let deadline = Instant::now() + Duration::from_secs(self.seconds);
        let next = Arc::new(AtomicU64::new(0));
        let mut senders = Vec::new();
        for _ in 0..self.connections {
            let channel = channel(&stack.installation.ingest.url()).await?;
            for _ in 0..self.in_flight {
                let sender = Sender {
                    client: IngestServiceClient::new(channel.clone()),
                    query: query.clone(),
                    token: token.clone(),
                    encoder: encoder.clone(),
                    next: next.clone(),
                    batch: self.batch,
                    special: self.special,
                    begin: Instant::now(),
                    rate: self.rate,
                };
                senders.push(tokio::spawn(sender.run(deadline)));
            }
        }
        let (mut acknowledged, mut queryable) = (Vec::new(), Vec::new());
        for sender in senders {
            let (acks, probes) = sender.await??;
            acknowledged.extend(acks);
            queryable.extend(probes);
        }
        let first = acknowledged.iter().map(|ack| ack.at).min().context("nothing was acknowledged")?;
        let last = acknowledged.iter().map(|ack| ack.at).max().context("nothing was acknowledged")?;
        let events = acknowledged.len() * usize::try_from(self.batch)?;
        let answered = wait_until_all_is_answered(query, &token, events).await?;
        let after = Used::by(stack);

        let total = answered.duration_since(first);
        report.section(format_args!(
            "{events} events in batches of {} over {}",
            self.batch,
            counted(self.connections, "connection")
        ));
        let acknowledged_rate = rate(events, last.duration_since(first));
        report.add(Figure::new("acknowledged", "events/s", acknowledged_rate).headline());
        report.add(Figure::new("acknowledged and queryable", "events/s", rate(events, total)).headline());
        let latencies = acknowledged.iter().map(|ack| ack.latency).collect();
        report.add_durations("acknowledgement", &Durations::new(latencies), None);
        report.add_durations("from acknowledgement to queryable", &Durations::new(queryable), None);
        after.report_since(&before, (events, "events"), report);
        // What is folded away and vacuumed later is not the size that lasts.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for size in event_tables(&database).await? {
            let before = sizes_before.iter().find(|other| other.name == size.name);
            let before = before.map_or(0, |before| before.bytes + before.index_bytes);
            let per_event = (size.bytes + size.index_bytes - before) as f64 / events as f64;
            report.add(Figure::new(format!("on disk: {}", size.name), "bytes/event", per_event));
        }
        Ok(())
    }
}

struct Sender {
    client: IngestServiceClient<Channel>,
    query: QueryServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    encoder: Arc<Encoder>,
    next: Arc<AtomicU64>,
    batch: u32,
    special: Special,
    begin: Instant,
    rate: Option<u32>,
}

impl Sender {
    async fn run(mut self, deadline: Instant) -> Result<(Vec<Acknowledged>, Vec<Duration>)> {
        let (mut acknowledged, mut probes) = (Vec::new(), Vec::new());
        while Instant::now() < deadline {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let first = number * u64::from(self.batch);
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(first as f64 / f64::from(rate));
                tokio::time::sleep_until((self.begin + due).into()).await;
            }
            let now = Timestamp::now();
            let numbers = first..first + u64::from(self.batch);
            let time_of = |number| now.plus(Duration::from_micros(number - first));
            let events = self.encoder.batch(numbers, time_of, self.special)?;
            let request_id = RequestId::generate().to_string();
            let message = RecordUsageRequest { events, request_id: request_id.clone(), return_ids: false };
            let begin = Instant::now();
            let answer = self.client.record_usage(authorized(message, &self.token)).await?.into_inner();
            let at = Instant::now();
            ensure!(answer.rejections.is_empty(), "rejected: {:?}", answer.rejections[0]);
            acknowledged.push(Acknowledged { latency: at - begin, at });
            if number.is_multiple_of(PROBE_EVERY) {
                let mut query = self.query.clone();
                let token = self.token.clone();
                probes.push(tokio::spawn(async move {
                    let question = GetReceiptRequest { request_id, wait: true };
                    while at.elapsed() < DRAIN_LIMIT {
                        let answer = query.get_receipt(authorized(question.clone(), &token)).await?;
                        if answer.into_inner().state() == State::Applied {
                            return Ok(at.elapsed());
                        }
                    }
                    anyhow::bail!("a request was not applied within {DRAIN_LIMIT:?}")
                }));
            }
        }
        let mut queryable = Vec::new();
        for probe in probes {
            queryable.push(probe.await??);
        }
        Ok((acknowledged, queryable))
    }
}

/// Reads the three count metrics until they contain exactly the sent events.
pub async fn wait_until_all_is_answered(
    mut query: QueryServiceClient<Channel>,
    token: &MetadataValue<Ascii>,
    events: usize,
) -> Result<Instant> {
    let expected = i64::try_from(events)?;
    let begin = Instant::now();
    loop {
        let mut counted = 0;
        for metric in ["ReadRequests", "WriteRequests", "DeleteRequests"] {
            let request = QueryTimeSeriesRequest {
                metric: format!("ODSLRequest/{metric}"),
                calendar: "#P1Y".into(),
                range: "from(2020)".into(),
                ..QueryTimeSeriesRequest::default()
            };
            let answer = query.query_time_series(authorized(request, token)).await?.into_inner();
            counted += answer.series[0].points.iter().map(|point| point.count).sum::<i64>();
        }
        let now = Instant::now();
        ensure!(counted <= expected, "{counted} events are counted, but only {expected} were sent");
        if counted == expected {
            return Ok(now);
        }
        ensure!(begin.elapsed() < DRAIN_LIMIT, "{counted} of {expected} events after {DRAIN_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
