//! The installation under test: connections to it, and the resources that it uses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use flowmeter_stack::usage::{Usage, of, of_tree};
use flowmeter_stack::{Binaries, Profile, Progress, Stack, StackOptions, workspace_root};
use tokio_postgres::{Client, NoTls};
use tonic::transport::{Channel, Endpoint};

use crate::figures::Figure;
use crate::report::Report;

/// Starts servers and services with these settings, measures, and stops them.
pub fn with_stack<T>(
    settings: &[(String, String)],
    report: &mut Report,
    measure: impl AsyncFnOnce(&Stack, &mut Report) -> Result<T>,
) -> Result<T> {
    let options = StackOptions {
        fresh: true,
        binaries: Some(Binaries::build_with_workspace(Profile::Release)?),
        settings: settings.to_vec(),
        ..StackOptions::default()
    };
    let progress = Progress::visible(Arc::default());
    let stack = Stack::start(&workspace_root().join("target/stack-bench"), &options, &progress)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        report.set_postgresql(version(&connect(stack.servers.postgres.url()).await?).await?);
        measure(&stack, report).await
    });
    stack.stop(&progress)?;
    measured
}

/// A connection to a database. It ends with the client.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect to PostgreSQL")?;
    // An error of the connection is that of the statement which needs it.
    tokio::spawn(connection);
    Ok(client)
}

/// The version of the server, without the distribution's additions.
pub async fn version(client: &Client) -> Result<String> {
    let row = client.query_one("SHOW server_version", &[]).await?;
    let version: &str = row.get(0);
    Ok(version.split(' ').next().unwrap_or(version).to_owned())
}

/// The size of a kind of table.
pub struct TableSize {
    /// The name, without the number of a partition.
    pub name: String,
    /// The bytes of the rows.
    pub bytes: i64,
    /// The bytes of the indexes.
    pub index_bytes: i64,
    /// The number of rows when the table was last analyzed.
    pub rows: i64,
}

/// The sizes of the tables that keep usage events.
pub async fn event_tables(client: &Client) -> Result<Vec<TableSize>> {
    let rows = client
        .query(
            "SELECT regexp_replace(relname, '_[0-9]{8}$', '') AS name,
                    sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint,
                    sum(greatest(reltuples, 0))::bigint
             FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
               AND relname ~ '^(event_segment|event_key|ingest_request|rollup|series)'
             GROUP BY name ORDER BY name",
            &[],
        )
        .await?;
    let size = |row: &tokio_postgres::Row| TableSize {
        name: row.get(0),
        bytes: row.get(1),
        index_bytes: row.get(2),
        rows: row.get(3),
    };
    Ok(rows.iter().map(size).collect())
}

/// Reads `NAME=VALUE`.
pub fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A number with its noun in singular or plural.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// The number of events per second.
pub fn rate(events: usize, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

/// The name of this load generator among the processes.
const LOAD: &str = "load";

/// The resources that the processes and this load generator have used up to a point in time.
pub struct Used(Vec<(&'static str, Usage)>);

impl Used {
    /// The resources used so far.
    pub fn by(stack: &Stack) -> Self {
        Self(vec![
            ("ingest", stack.installation.ingest.usage().unwrap_or_default()),
            ("worker", stack.installation.worker.usage().unwrap_or_default()),
            ("query", stack.installation.query.usage().unwrap_or_default()),
            ("postgresql", stack.servers.postgres.pid().and_then(of_tree).unwrap_or_default()),
            ("rabbitmq", stack.servers.rabbit.pid().and_then(of_tree).unwrap_or_default()),
            (LOAD, of(std::process::id()).unwrap_or_default()),
        ])
    }

    /// Reports the resources used since `before`, in which `count` of `unit` were processed.
    pub fn report_since(&self, before: &Self, (count, unit): (usize, &str), report: &mut Report) {
        for ((name, before), (_, after)) in before.0.iter().zip(&self.0) {
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count as f64;
            report.add(Figure::new(format!("CPU of {name}"), format!("s/million {unit}"), cpu));
        }
        for (name, usage) in &self.0 {
            let peak = usage.peak_rss_bytes as f64 / 1e6;
            report.add(Figure::new(format!("peak memory of {name}"), "MB", peak));
        }
    }

    /// The CPU time since `before` of all processes but this one.
    pub fn cpu_since(&self, before: &Self) -> Duration {
        let used =
            |used: &Self| used.0.iter().filter(|(name, _)| *name != LOAD).map(|(_, usage)| usage.cpu).sum();
        Duration::saturating_sub(used(self), used(before))
    }
}

/// A connection to a service.
pub async fn channel(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .initial_connection_window_size(4 * 1024 * 1024)
        .initial_stream_window_size(1024 * 1024);
    endpoint.connect().await.with_context(|| format!("connect to {url}"))
}
