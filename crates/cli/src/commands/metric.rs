//! `flowmeter metric`: the definitions of metrics.

mod backfill;
mod definition;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args, Subcommand};
use flowmeter_proto::v1::{
    Backfill, CreateMetricRequest, DeleteMetricRequest, GetMetricRequest, ListMetricsRequest,
    ListMetricsResponse, Metric as Found, UpdateMetricRequest, backfill::State,
};
use jiff::Timestamp;

use super::{answer, answer_deleted, list_width, quoted};
use crate::{arguments::Remote, connection, mask::Changes, resource};

/// List, define, change and delete metrics
///
/// Reading needs a token with the scope query or catalog, changing the scope catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum Metric {
    /// List the metrics of one provider, or of all except asset, by name
    ///
    /// Examples:
    ///   flowmeter metric list
    ///   flowmeter metric list ODSLRequest
    ///   flowmeter metric list asset
    #[command(verbatim_doc_comment)]
    List {
        /// The provider, such as ODSLRequest. Default: all but asset.
        #[arg(default_value = "", hide_default_value = true)]
        provider: String,
    },
    /// Show a metric and the progress of its backfill
    ///
    /// Examples:
    ///   flowmeter metric get ODSLRequest/ReadRequests
    ///   flowmeter metric get Shop/Checkouts --version 2
    #[command(visible_alias = "show", verbatim_doc_comment)]
    Get {
        /// The metric, as PROVIDER/NAME.
        #[arg(value_parser = named)]
        name: String,

        /// An earlier version of the definition. Default: the current one.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
    Create(Box<Create>),
    Update(Box<Update>),
    /// Delete a metric and its roll-ups, but not the events. Does not ask for confirmation
    ///
    /// Examples:
    ///   flowmeter metric delete Shop/Checkouts
    ///   flowmeter metric delete Shop/Checkouts --version 2
    #[command(verbatim_doc_comment)]
    Delete {
        /// The metric, as PROVIDER/NAME.
        #[arg(value_parser = named)]
        name: String,

        /// Fail unless this is the current version.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
}

/// Define a metric
///
/// A new metric covers all stored events at once. A backfill in the background rolls up the
/// events that were stored before; until it is done, queries read these events directly.
/// --wait waits for the backfill.
///
/// Examples:
///   flowmeter metric create Shop/Checkouts --filter 'action = "checkout"' --keep application,user
///   flowmeter metric create ODSLRequest/SlowReads --method-class read --measure duration \
///     --filter 'duration > 500' --observed high --keep service --keep application,user --wait
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Create {
    /// The metric, as PROVIDER/NAME; the provider may be a built-in one.
    #[arg(value_parser = named)]
    name: String,

    #[command(flatten)]
    definition: definition::Definition,

    /// Wait until the backfill is done.
    #[arg(long)]
    wait: bool,
}

/// Change a metric. Options that are not given stay unchanged
///
/// A change of the selected events, the measure or the kept labels starts a new backfill. An
/// empty string removes a part: --action '' selects events of every action, --keep '' keeps no
/// labels.
///
/// Examples:
///   flowmeter metric update Shop/Checkouts --description 'Orders that were paid'
///   flowmeter metric update Shop/Checkouts --keep application --keep user --version 3 --wait
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter metric update [OPTIONS] <NAME>",
    group = ArgGroup::new("change").args(definition::FLAGS).required(true).multiple(true)
)]
pub(crate) struct Update {
    /// The metric, as PROVIDER/NAME.
    #[arg(value_parser = named)]
    name: String,

    #[command(flatten)]
    definition: definition::Definition,

    /// Fail unless this is the current version.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,

    /// Wait until the backfill is done.
    #[arg(long)]
    wait: bool,
}

/// Checks the form of a metric's name.
fn named(text: &str) -> Result<String, String> {
    resource::parse_metric(text).map(|_| text.to_owned())
}

/// Runs the command.
pub(crate) async fn run(metric: Metric, remote: &Remote) -> Result<ExitCode> {
    match metric {
        Metric::List { provider } => list(provider, remote).await?,
        Metric::Get { name, version } => print(&get(name, version, remote).await?, remote)?,
        Metric::Create(create) => self::create(*create, remote).await?,
        Metric::Update(update) => self::update(*update, remote).await?,
        Metric::Delete { name, version } => delete(name, version, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(provider: String, remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let mut request = ListMetricsRequest { provider, ..ListMetricsRequest::default() };
    let mut found = ListMetricsResponse::default();
    loop {
        let call =
            connection::within(remote.timeout, request.clone(), |request| client.list_metrics(request));
        let page = call.await?;
        found.metrics.extend(page.metrics);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    answer(remote, "ListMetricsResponse", &found, || definition::rows(&found.metrics, list_width()))
}

async fn get(name: String, version: Option<i32>, remote: &Remote) -> Result<Found> {
    let mut client = connection::catalog(remote)?;
    let request = GetMetricRequest { name, version: version.unwrap_or_default() };
    let call = connection::within(remote.timeout, request, |request| client.get_metric(request));
    Ok(call.await?.metric.unwrap_or_default())
}

async fn create(create: Create, remote: &Remote) -> Result<()> {
    let mut metric = Found { name: create.name, ..Found::default() };
    create.definition.apply(&mut metric, &mut Changes::default());
    let mut client = connection::catalog(remote)?;
    let request = CreateMetricRequest { metric: Some(metric) };
    let call = connection::within(remote.timeout, request, |request| client.create_metric(request));
    let metric = call.await?.metric.unwrap_or_default();
    let read = format!("flowmeter series {}", quoted(&metric.name));
    finish(metric, create.wait, remote).await?;
    if !remote.json() {
        eprintln!("To read it: {read}");
    }
    Ok(())
}

async fn update(update: Update, remote: &Remote) -> Result<()> {
    let mut metric = Found { name: update.name, ..Found::default() };
    if update.definition.needs_current() {
        // Only a part of the selector is given, and the rest stays unchanged. The version that was read must
        // still be the current one when the metric is written.
        metric = get(metric.name, None, remote).await?;
    }
    metric.version = update.version.unwrap_or(metric.version);
    let mut changes = Changes::default();
    update.definition.apply(&mut metric, &mut changes);
    let mut client = connection::catalog(remote)?;
    let request = UpdateMetricRequest { metric: Some(metric), update_mask: changes.mask() };
    let call = connection::within(remote.timeout, request, |request| client.update_metric(request));
    let metric = call.await?.metric.unwrap_or_default();
    finish(metric, update.wait, remote).await
}

/// Waits for the backfill if requested, and shows the metric.
async fn finish(mut metric: Found, wait: bool, remote: &Remote) -> Result<()> {
    if wait {
        let name = metric.name.clone();
        metric = backfill::wait(metric, remote)
            .await
            .with_context(|| format!("{name} is defined, but the progress of its backfill is unknown"))?;
    }
    print(&metric, remote)?;
    let is_done = |backfill: &Backfill| backfill.state() == State::Done;
    if !remote.json() && !metric.backfill.as_ref().is_none_or(is_done) {
        eprintln!(
            "Queries already cover all events; they are slower for older events until the backfill is done.\n\
            To see its progress: flowmeter metric get {}",
            quoted(&metric.name)
        );
    }
    Ok(())
}

async fn delete(name: String, version: Option<i32>, remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let request = DeleteMetricRequest { name: name.clone(), version: version.unwrap_or_default() };
    connection::within(remote.timeout, request, |request| client.delete_metric(request)).await?;
    answer_deleted(remote, &name)
}

fn print(metric: &Found, remote: &Remote) -> Result<()> {
    answer(remote, "Metric", metric, || definition::describe(metric, Timestamp::now()))
}
