//! The installation under test: connections to it, and the resources that it uses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use flowmeter_stack::usage::{Usage, of, of_tree};
use flowmeter_stack::{Binaries, Profile, Progress, Stack, StackOptions, workspace_root};
use tonic::transport::{Channel, Endpoint};

/// Starts servers and services with these settings, measures, and stops them.
pub fn with_stack(
    settings: &[(String, String)],
    measure: impl AsyncFnOnce(&Stack) -> Result<()>,
) -> Result<()> {
    let options = StackOptions {
        fresh: true,
        binaries: Some(Binaries::build_with_workspace(Profile::Release)?),
        settings: settings.to_vec(),
        ..StackOptions::default()
    };
    let progress = Progress::visible(Arc::default());
    let stack = Stack::start(&workspace_root().join("target/stack-bench"), &options, &progress)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&stack));
    stack.stop(&progress)?;
    measured
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
            ("load", of(std::process::id()).unwrap_or_default()),
        ])
    }

    /// Prints the resources used since `before`, in which `count` of `unit` were processed.
    pub fn print_since(&self, before: &Self, count: usize, unit: &str) {
        println!("  CPU seconds per million {unit}, and peak memory:");
        for ((name, before), (_, after)) in before.0.iter().zip(&self.0) {
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count as f64;
            println!("    {name:<11} {cpu:>6.2} s  {:>6.0} MB", after.peak_rss_bytes as f64 / 1e6);
        }
    }
}

/// A connection to a service.
pub async fn channel(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .initial_connection_window_size(4 * 1024 * 1024)
        .initial_stream_window_size(1024 * 1024);
    endpoint.connect().await.with_context(|| format!("connect to {url}"))
}
