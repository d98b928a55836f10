//! `bench assets`: values of assets, from a client's batch to the rows that keep them, and the queries
//! about a million assets.

mod load;
mod questions;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_stack::Stack;
use tokio_postgres::Client;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::figures::{Figure, Target};
use crate::installation::{Used, channel, connect, counted, rate, setting, with_stack};
use crate::percentiles::Durations;
use crate::report::Report;

/// The shape of the load.
#[derive(Debug, clap::Args)]
pub struct Assets {
    /// The number of assets. Every asset receives one document per round.
    #[arg(long = "assets", default_value_t = 1_000_000)]
    number: usize,
    /// The number of rounds.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// The number of values in a batch. A document has 5.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// The maximum number of values to send per second. Default: as many as the service accepts.
    #[arg(long)]
    rate: Option<usize>,
    /// The number of connections that send at the same time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The maximum number of unacknowledged batches per connection.
    #[arg(long, default_value_t = 2)]
    in_flight: usize,
    /// The number of times to run each query.
    #[arg(long, default_value_t = 2_000)]
    queries: usize,
    /// Additional settings for the services, such as `FLOWMETER_SHARDS=2`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// The target for the values per second that become queryable.
const QUERYABLE: Target = Target::AtLeast(100_000.0);
/// The time within which all data must be applied after it is sent. If it takes longer, something is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(5);

impl Assets {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        ensure!(
            self.batch.is_multiple_of(load::METRICS),
            "expected a multiple of 5 values in a batch, because a document has 5"
        );
        with_stack(&self.settings, report, async |stack, report| self.measure(stack, report).await)
    }

    async fn measure(&self, stack: &Stack, report: &mut Report) -> Result<()> {
        let bench = Bench {
            token: format!("Bearer {}", stack.installation.token).parse()?,
            ingest: stack.installation.ingest.url(),
            query: QueryServiceClient::new(channel(&stack.installation.query.url()).await?),
        };
        let client = connect(stack.servers.postgres.url()).await?;

        let before = Used::by(stack);
        let sent = load::run(&bench, self).await?;
        let applied = wait_until_all_is_there(&client, sent.values).await?;
        let after = Used::by(stack);
        report.section(format_args!(
            "{} values of {} in batches of {} over {}",
            sent.values,
            counted(self.number, "asset"),
            self.batch,
            counted(self.connections, "connection")
        ));
        let acknowledged = rate(sent.values, sent.last.duration_since(sent.first));
        report.add(Figure::new("acknowledged", "values/s", acknowledged).headline());
        let queryable = rate(sent.values, applied.duration_since(sent.first));
        report.add(
            Figure::new("acknowledged and queryable", "values/s", queryable).target(QUERYABLE).headline(),
        );
        report.add_durations("acknowledgement", &Durations::new(sent.latencies), None);
        report.add_durations("from acknowledgement to queryable", &Durations::new(sent.queryable), None);
        after.report_since(&before, (sent.values, "values"), report);

        let begin = Instant::now();
        for table in ["asset", "asset_metric", "asset_value"] {
            client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
        }
        report.add(Figure::new("vacuum", "s", begin.elapsed().as_secs_f64()));
        for table in ["asset", "asset_value"] {
            let size: i64 = client
                .query_one("SELECT pg_total_relation_size($1::text::regclass)", &[&table])
                .await?
                .get(0);
            let per_value = size as f64 / sent.values as f64;
            report.add(Figure::new(format!("on disk: {table}"), "bytes/value", per_value));
        }
        questions::ask_all(&bench, self, report).await
    }
}

/// The installation under test.
struct Bench {
    token: MetadataValue<Ascii>,
    ingest: String,
    query: QueryServiceClient<Channel>,
}

/// Waits until exactly the sent values are stored.
async fn wait_until_all_is_there(client: &Client, values: usize) -> Result<Instant> {
    let expected = i64::try_from(values)?;
    let begin = Instant::now();
    loop {
        // Counting the rows would take longer than writing some.
        let settled: i64 = client
            .query_one("SELECT coalesce(sum(accepted), 0)::bigint FROM ingest_request", &[])
            .await?
            .get(0);
        let now = Instant::now();
        if settled >= expected {
            let rows: i64 = client.query_one("SELECT count(*) FROM asset_value", &[]).await?.get(0);
            ensure!(rows == expected, "{rows} values are kept, but {expected} were sent");
            return Ok(now);
        }
        ensure!(begin.elapsed() < DRAIN_LIMIT, "{settled} of {expected} values after {DRAIN_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
