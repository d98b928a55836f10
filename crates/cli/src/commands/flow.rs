//! `flowmeter flow`: flows, the requests to their endpoints, and their metrics.
#![allow(rustdoc::bare_urls, reason = "the examples in the help are shown as typed")]

mod definition;
mod metric;
mod record;
mod summary;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};
use flowmeter_proto::v1::{
    CreateFlowRequest, DeleteFlowRequest, Flow as Found, GetFlowRequest, ListFlowsRequest, ListFlowsResponse,
    UpdateFlowRequest,
};
use tonic::Status;

use super::{answer, answer_deleted, list_width, quoted};
use crate::{arguments::Remote, connection, mask::Changes};

/// The maximum number of flows in a page.
const PAGE: i32 = 1000;

/// Register flows, record the requests to their endpoints and read their metrics
///
/// A flow has an endpoint that is called with data. Its metrics are those of the WhatsApp Flows
/// Metrics API: requests, errors, error rate, latency and availability.
///
/// Reading definitions needs a token with the scope query or catalog, changing them the scope
/// catalog, recording the scope ingest, and reading metrics the scope query.
#[derive(Debug, Subcommand)]
pub(crate) enum Flow {
    /// List the flows by id
    ///
    /// Examples:
    ///   flowmeter flow list
    #[command(verbatim_doc_comment)]
    List,
    /// Show a flow and, if the token has the scope query, a summary of its metrics
    ///
    /// Examples:
    ///   flowmeter flow show signup
    #[command(visible_alias = "show", verbatim_doc_comment)]
    Get {
        /// The id.
        id: String,
    },
    Create(Create),
    Update(Update),
    /// Delete a flow: within 30 s, it is no longer checked and its requests are rejected
    ///
    /// Does not ask for confirmation. The metrics of the flow stay and can be read by its id.
    ///
    /// Examples:
    ///   flowmeter flow delete signup
    #[command(verbatim_doc_comment)]
    Delete {
        /// The id.
        id: String,

        /// Fail unless this is the current version.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
    Record(record::Record),
    Metric(metric::Metric),
}

/// Register a flow
///
/// If the flow has an endpoint URL and a data API version of 3.0 or later, the endpoint is
/// checked periodically; the results are its availability. A deleted flow that is registered
/// again keeps its history.
///
/// Examples:
///   flowmeter flow create signup
///   flowmeter flow create 1234567890 --name 'Sign up' --endpoint-url https://example.com/flow \
///     --data-api-version 3.0 --time-zone America/Los_Angeles --check-interval 30s
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Create {
    /// The id: 1 to 128 bytes without control characters.
    id: String,

    #[command(flatten)]
    definition: definition::Definition,
}

/// Change a flow. Options that are not given stay unchanged
///
/// An empty string removes a part. A change of the time zone also applies to the history.
///
/// Examples:
///   flowmeter flow update signup --name 'Sign up' --check-interval 5m
///   flowmeter flow update signup --endpoint-url '' --check-interval default --version 2
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter flow update [OPTIONS] <ID>",
    group = ArgGroup::new("change").args(definition::FLAGS).required(true).multiple(true)
)]
pub(crate) struct Update {
    /// The id.
    id: String,

    #[command(flatten)]
    definition: definition::Definition,

    /// Fail unless this is the current version.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,
}

/// Runs the command.
pub(crate) async fn run(flow: Flow, remote: &Remote) -> Result<ExitCode> {
    match flow {
        Flow::List => list(remote).await?,
        Flow::Get { id } => show(id, remote).await?,
        Flow::Create(create) => self::create(create, remote).await?,
        Flow::Update(update) => self::update(update, remote).await?,
        Flow::Delete { id, version } => delete(id, version, remote).await?,
        Flow::Record(record) => return record::run(record, remote).await,
        Flow::Metric(metric) => metric::run(metric, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists all pages, because tenants have few flows.
async fn list(remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let mut found = ListFlowsResponse::default();
    let mut page_token = String::new();
    loop {
        let request = ListFlowsRequest { page_size: PAGE, page_token };
        let page = connection::within(remote.timeout, request, |request| client.list_flows(request)).await?;
        found.flows.extend(page.flows);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    answer(remote, "ListFlowsResponse", &found, || match found.flows.as_slice() {
        [] => "No flows. `flowmeter flow create ID` registers one.".into(),
        flows => definition::rows(flows, list_width()),
    })
}

async fn get(id: String, remote: &Remote) -> Result<Found> {
    let mut client = connection::catalog(remote)?;
    let request = GetFlowRequest { id };
    let call = connection::within(remote.timeout, request, |request| client.get_flow(request));
    let found: Result<_, Status> = call.await;
    Ok(found?.flow.unwrap_or_default())
}

async fn show(id: String, remote: &Remote) -> Result<()> {
    let flow = get(id, remote).await?;
    let summary = if remote.json() { Vec::new() } else { summary::of(&flow, remote).await };
    answer(remote, "Flow", &flow, || definition::describe(&flow, &summary))
}

async fn create(create: Create, remote: &Remote) -> Result<()> {
    let mut flow = Found { id: create.id, ..Found::default() };
    create.definition.apply(&mut flow, &mut Changes::default());
    let mut client = connection::catalog(remote)?;
    let request = CreateFlowRequest { flow: Some(flow) };
    let call = connection::within(remote.timeout, request, |request| client.create_flow(request));
    let flow = call.await?.flow.unwrap_or_default();
    print(&flow, remote)?;
    if !remote.json() {
        let id = quoted(&flow.id);
        eprintln!(
            "Record its requests: flowmeter flow record {id} --outcome succeeded --latency 800ms\n\
            See how they went: flowmeter flow metric {id}"
        );
    }
    Ok(())
}

async fn update(update: Update, remote: &Remote) -> Result<()> {
    let version = update.version.unwrap_or_default();
    let mut flow = Found { id: update.id, version, ..Found::default() };
    let mut changes = Changes::default();
    update.definition.apply(&mut flow, &mut changes);
    let mut client = connection::catalog(remote)?;
    let request = UpdateFlowRequest { flow: Some(flow), update_mask: changes.mask() };
    let call = connection::within(remote.timeout, request, |request| client.update_flow(request));
    print(&call.await?.flow.unwrap_or_default(), remote)
}

async fn delete(id: String, version: Option<i32>, remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let request = DeleteFlowRequest { id: id.clone(), version: version.unwrap_or_default() };
    connection::within(remote.timeout, request, |request| client.delete_flow(request)).await?;
    answer_deleted(remote, &id)
}

fn print(flow: &Found, remote: &Remote) -> Result<()> {
    answer(remote, "Flow", flow, || definition::describe(flow, &[]))
}
