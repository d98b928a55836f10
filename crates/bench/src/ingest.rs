//! `bench ingest`: the whole path, from a client's batch to the answer that contains it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use flowmeter_core::ids::RequestId;
use flowmeter_proto::raw::RecordUsageRequest;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{GetReceiptRequest, QueryTimeSeriesRequest, get_receipt_response::State};
use flowmeter_stack::Stack;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::authorized;
use crate::events::Templates;
use crate::installation::{Used, channel, counted, rate, setting, with_stack};
use crate::percentiles::Durations;

/// The shape of the load.
#[derive(clap::Args)]
pub struct Ingest {
    /// The number of seconds to send batches for.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The number of connections that send at the same time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The number of events in a batch.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// The maximum number of unacknowledged batches per connection.
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// The maximum number of events to send per second. Default: as many as the service accepts.
    #[arg(long)]
    rate: Option<usize>,
    /// Sends an `event_id` with each event, so that the service looks for duplicates.
    #[arg(long)]
    keyed: bool,
    /// Additional settings for the services, such as `FLOWMETER_SHARDS=2`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// The number of batches from one measurement of the time until a batch is queryable to the next.
const PROBE_EVERY: usize = 25;
/// The time within which all data must be applied after it is sent. If it takes longer, something is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);

struct Acknowledged {
    latency: Duration,
    at: Instant,
}

impl Ingest {
    pub fn run(&self) -> Result<()> {
        with_stack(&self.settings, async |stack| self.measure(stack).await)
    }

    async fn measure(&self, stack: &Stack) -> Result<()> {
        let token: MetadataValue<Ascii> = format!("Bearer {}", stack.installation.token).parse()?;
        let templates = Arc::new(Templates::new());
        let query = QueryServiceClient::new(channel(&stack.installation.query.url()).await?);
        let before = Used::by(stack);
        let bytes_before = database_bytes(stack).await?;

        let deadline = Instant::now() + Duration::from_secs(self.seconds);
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = Vec::new();
        for _ in 0..self.connections {
            let channel = channel(&stack.installation.ingest.url()).await?;
            for _ in 0..self.in_flight {
                let sender = Sender {
                    client: IngestServiceClient::new(channel.clone()),
                    query: query.clone(),
                    token: token.clone(),
                    templates: templates.clone(),
                    next: next.clone(),
                    batch: self.batch,
                    keyed: self.keyed,
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
        let events = acknowledged.len() * self.batch;
        let answered = wait_until_all_is_answered(query, &token, events).await?;
        let after = Used::by(stack);

        let total = answered.duration_since(first);
        println!();
        println!(
            "{events} events in batches of {} over {}",
            self.batch,
            counted(self.connections, "connection")
        );
        println!("  acknowledged   {:>9.0} events/s", rate(events, last.duration_since(first)));
        println!("  all queryable  {:>9.0} events/s", rate(events, total));
        println!(
            "  acknowledgement    {}",
            Durations::new(acknowledged.iter().map(|ack| ack.latency).collect())
        );
        println!("  then to queryable  {}", Durations::new(queryable));
        after.print_since(&before, events, "events");
        // What is folded away and vacuumed later is not the size that lasts.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let bytes = database_bytes(stack).await?;
        for (name, size) in &bytes {
            let grown =
                size - bytes_before.iter().find(|(other, _)| other == name).map_or(0, |(_, size)| *size);
            println!("  on disk  {name:<15} {:>7.1} bytes per event", grown as f64 / events as f64);
        }
        Ok(())
    }
}

struct Sender {
    client: IngestServiceClient<Channel>,
    query: QueryServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    templates: Arc<Templates>,
    next: Arc<AtomicUsize>,
    batch: usize,
    keyed: bool,
    begin: Instant,
    rate: Option<usize>,
}

impl Sender {
    async fn run(mut self, deadline: Instant) -> Result<(Vec<Acknowledged>, Vec<Duration>)> {
        let (mut acknowledged, mut probes) = (Vec::new(), Vec::new());
        while Instant::now() < deadline {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64((number * self.batch) as f64 / rate as f64);
                tokio::time::sleep_until((self.begin + due).into()).await;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
            let events = self.templates.batch(number, self.batch, u64::try_from(now)?, self.keyed);
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
async fn wait_until_all_is_answered(
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

/// The size of each kind of table with its indexes.
async fn database_bytes(stack: &Stack) -> Result<Vec<(String, i64)>> {
    let (client, connection) =
        tokio_postgres::connect(stack.servers.postgres.url(), tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let rows = client
        .query(
            "SELECT regexp_replace(relname, '_[0-9]{8}$', '') AS name, sum(pg_total_relation_size(oid))::bigint
             FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
               AND relname ~ '^(event_segment|event_key|ingest_request|rollup|rollup_day|rollup_partial|series)'
             GROUP BY name ORDER BY name",
            &[],
        )
        .await?;
    drop(client);
    connection.await??;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
