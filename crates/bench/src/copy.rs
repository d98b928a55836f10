//! `bench copy`: what the private servers can take at most. It needs no services.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use flowmeter_stack::{Progress, Servers, workspace_root};
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::events::{Random, invocation_id};
use crate::figures::Figure;
use crate::installation::{connect, counted, version};
use crate::percentiles::Durations;
use crate::report::Report;

/// How the limits are measured.
#[derive(Debug, clap::Args)]
pub struct Copy {
    /// The number of seconds to measure each limit for.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The number of connections that write at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
}

/// The number of rows of a COPY: the events that a worker gathers at most.
const COPY_ROWS: u64 = 20_000;
/// The size of an appended value: about that of 20,000 events in columns.
const VALUE_BYTES: usize = 500_000;
/// The size of a message: that at which the publisher of the ingest service publishes without waiting.
const MESSAGE_BYTES: usize = 256 * 1024;
/// The number of unconfirmed messages of a connection, as in the ingest service.
const WINDOW: usize = 64;
/// Marks a message that the broker writes to disk.
const PERSISTENT: u8 = 2;

/// The order of the ids of copied rows.
#[derive(Clone, Copy)]
enum Order {
    /// As Flowmeter generates them: each row goes to the right edge of the index.
    Time,
    /// Each row goes to a random page of the index.
    Random,
}

impl Copy {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        let progress = Progress::visible(Arc::default());
        let mut servers = Servers::start(&workspace_root().join("target/stack-bench-copy"), true, &progress)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let measured = runtime.block_on(self.measure(&servers, report));
        servers.stop()?;
        measured
    }

    async fn measure(&self, servers: &Servers, report: &mut Report) -> Result<()> {
        let url = servers.postgres.url();
        report.set_postgresql(version(&connect(url).await?).await?);
        report.section(format_args!(
            "{} s each, over {}",
            self.seconds,
            counted(usize::try_from(self.connections)?, "connection")
        ));
        for (name, order) in [("in order", Order::Time), ("in random order", Order::Random)] {
            let rate = self.copied_rows(url, order).await?;
            let name = format!("COPY of rows with a key of two UUIDs, {name}");
            report.add(Figure::new(name, "rows/s", rate).headline());
        }
        let rate = self.appended_values(url).await?;
        report.add(Figure::new("append of 0.5 MB values, one a transaction", "MB/s", rate / 1e6).headline());
        let (rate, confirmations) = self.confirmed_messages(servers.rabbit.url()).await?;
        let name = "publishing of 256 KiB messages to a quorum queue";
        report.add(Figure::new(name, "MB/s", rate / 1e6).headline());
        report.add_durations("confirmation of a message", &confirmations, None);
        Ok(())
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The number of rows per second that PostgreSQL copies in transactions of [`COPY_ROWS`].
    async fn copied_rows(&self, url: &str, order: Order) -> Result<f64> {
        let statement = "DROP TABLE IF EXISTS copied;
             CREATE TABLE copied (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id))";
        connect(url).await?.batch_execute(statement).await?;
        let (begin, mut writers) = (Instant::now(), JoinSet::new());
        for writer in 0..self.connections {
            let (client, tenant) = (connect(url).await?, invocation_id(writer));
            let deadline = begin + self.duration();
            writers.spawn(async move {
                let mut number = 0;
                while Instant::now() < deadline {
                    copy(&client, tenant, number, order).await?;
                    number += COPY_ROWS;
                }
                anyhow::Ok(number)
            });
        }
        Ok(sum(writers).await? / begin.elapsed().as_secs_f64())
    }

    /// The number of bytes per second that PostgreSQL appends, one value in a transaction.
    async fn appended_values(&self, url: &str) -> Result<f64> {
        // Random bytes cannot be compressed, and neither can columns that are compressed already.
        let statement = "DROP TABLE IF EXISTS appended;
             CREATE TABLE appended (id uuid PRIMARY KEY, bytes bytea NOT NULL);
             ALTER TABLE appended ALTER bytes SET STORAGE EXTERNAL";
        connect(url).await?.batch_execute(statement).await?;
        let (begin, mut writers) = (Instant::now(), JoinSet::new());
        for writer in 0..self.connections {
            let (client, value) = (connect(url).await?, random_bytes(writer, VALUE_BYTES));
            let deadline = begin + self.duration();
            writers.spawn(async move {
                let insert = client.prepare("INSERT INTO appended (id, bytes) VALUES ($1, $2)").await?;
                let mut bytes = 0;
                while Instant::now() < deadline {
                    client.execute(&insert, &[&Uuid::now_v7(), &value]).await?;
                    bytes += value.len() as u64;
                }
                anyhow::Ok(bytes)
            });
        }
        Ok(sum(writers).await? / begin.elapsed().as_secs_f64())
    }

    /// The number of bytes per second that RabbitMQ confirms, and the times from publishing to confirmation. Each
    /// connection has a queue of its own, as each shard has.
    async fn confirmed_messages(&self, url: &str) -> Result<(f64, Durations)> {
        let (begin, mut publishers) = (Instant::now(), JoinSet::new());
        for publisher in 0..self.connections {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let deadline = begin + self.duration();
            publishers.spawn(async move {
                let confirmations = publish(&connection, publisher, deadline).await?;
                connection.close(200, "done".into()).await?;
                anyhow::Ok(confirmations)
            });
        }
        let mut confirmations = Vec::new();
        while let Some(publisher) = publishers.join_next().await {
            confirmations.extend(publisher??);
        }
        let last = confirmations.iter().map(|(at, _)| *at).max().unwrap_or(begin);
        let bytes = (confirmations.len() * MESSAGE_BYTES) as f64;
        let durations = confirmations.into_iter().map(|(_, duration)| duration).collect();
        Ok((bytes / last.duration_since(begin).as_secs_f64(), Durations::new(durations)))
    }
}

async fn sum(mut writers: JoinSet<Result<u64>>) -> Result<f64> {
    let mut sum = 0;
    while let Some(writer) = writers.join_next().await {
        sum += writer??;
    }
    Ok(sum as f64)
}

/// Copies [`COPY_ROWS`] rows in a transaction.
async fn copy(client: &Client, tenant: Uuid, first: u64, order: Order) -> Result<()> {
    let sink = client.copy_in("COPY copied (tenant_id, id) FROM STDIN (FORMAT binary)").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::UUID, Type::UUID]));
    for number in first..first + COPY_ROWS {
        let id = match order {
            Order::Time => Uuid::now_v7(),
            Order::Random => invocation_id(number),
        };
        writer.as_mut().write(&[&tenant, &id]).await?;
    }
    let rows = writer.finish().await?;
    ensure!(rows == COPY_ROWS, "expected {COPY_ROWS} copied rows, found {rows}");
    Ok(())
}

/// Publishes until the deadline. Returns when each message was confirmed, and how long that took.
async fn publish(
    connection: &Connection,
    publisher: u64,
    deadline: Instant,
) -> Result<Vec<(Instant, Duration)>> {
    let channel = connection.create_channel().await?;
    let queue = format!("bench-copy-{publisher}");
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), quorum).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let message = random_bytes(publisher, MESSAGE_BYTES);
    let (mut confirmed, mut confirming) = (Vec::new(), FuturesUnordered::new());
    loop {
        let more = Instant::now() < deadline;
        if more && confirming.len() < WINDOW {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let begin = Instant::now();
            let confirm = channel
                .basic_publish("".into(), queue.as_str().into(), mandatory, &message, properties)
                .await?;
            confirming.push(async move { confirm.await.map(|confirmation| (confirmation, begin)) });
        } else if let Some((confirmation, begin)) = confirming.try_next().await? {
            ensure!(
                matches!(confirmation, Confirmation::Ack(None)),
                "expected RabbitMQ to confirm a message, found {confirmation:?}"
            );
            confirmed.push((Instant::now(), begin.elapsed()));
        } else {
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
            // A channel that is merely dropped is still closing when the connection is closed, which is an error.
            channel.close(200, "done".into()).await?;
            return Ok(confirmed);
        }
    }
}

fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
