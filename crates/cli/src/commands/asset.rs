//! `flowmeter asset`: asset metrics, emitted and read back.

mod document;
mod emit;
mod file;
mod given;
mod number;
mod pages;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use flowmeter_proto::v1::{
    AssetDocument, GetLatestAssetMetricsRequest, GetLatestAssetMetricsResponse, ListAssetMetricsRequest,
    ListAssetMetricsResponse, ListAssetsRequest, ListAssetsResponse,
};
use jiff::Timestamp;

use self::pages::Extent;
use super::{answer, form, list_width, width};
use crate::{arguments::Remote, connection, moment, render::asset};

/// Emit metrics of assets and read them back
///
/// An asset is anything that has a URN: a database, a table, a report. Its metrics are those of the
/// Semarchy xDG API: strings, numbers and booleans, each with a name and a time. Metrics of one
/// asset and time are merged by name, and the newest request wins.
///
/// Emitting needs a token with the scope ingest, reading the scope query.
#[derive(Debug, Subcommand)]
pub(crate) enum Asset {
    Emit(Box<emit::Emit>),
    Show(Show),
    /// Show the current value of each metric of an asset, which is the one with the latest time
    ///
    /// Examples:
    ///   flowmeter asset latest urn:xdg:database:crm
    ///   flowmeter asset latest urn:xdg:database:crm --name qualityScore --name owner
    #[command(verbatim_doc_comment)]
    Latest {
        /// The URN of the asset.
        urn: String,

        /// Only the metric with this name. May be repeated. Default: all.
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,

        /// Wait until this request is applied, so that the answer includes it.
        #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
        after: String,
    },
    /// List the assets that have metrics, by URN
    ///
    /// Examples:
    ///   flowmeter asset list
    ///   flowmeter asset list urn:xdg:database: --all
    #[command(
        verbatim_doc_comment,
        mut_arg("limit", |limit| limit.help("Maximum number of assets to show"))
    )]
    List {
        /// Only assets whose URN has this prefix. Default: all.
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,

        #[command(flatten)]
        extent: Extent,

        /// Wait until this request is applied, so that the answer includes it.
        #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
        after: String,
    },
}

/// Show the metrics of an asset in a time range, the oldest first
///
/// The table has a row for each time and metric, and shortens long texts; --output json does not.
/// A single numeric metric, selected by --name, is drawn as a chart on a terminal or with --output
/// chart.
///
/// Examples:
///   flowmeter asset show urn:xdg:database:crm
///   flowmeter asset show urn:xdg:database:crm --from 2026-11-01 --to 2026-11-21T09:30:00Z
///   flowmeter asset show urn:xdg:database:crm --name qualityScore --all --output chart
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, mut_arg("limit", |limit| limit.help("Maximum number of times to show")))]
pub(crate) struct Show {
    /// The URN of the asset.
    urn: String,

    /// The first time, in RFC 3339, or a day in UTC. Default: the first time of the asset.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_first)]
    from: Option<Timestamp>,

    /// The last time, inclusive, in RFC 3339, or a day in UTC. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_last)]
    to: Option<Timestamp>,

    /// Only the metric with this name. May be repeated. Default: all.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    extent: Extent,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// Runs the command.
pub(crate) async fn run(asset: Asset, remote: &Remote) -> Result<ExitCode> {
    match asset {
        Asset::Emit(emit) => return emit::run(*emit, remote).await,
        Asset::Show(show) => self::show(show, remote).await?,
        Asset::Latest { urn, names, after } => {
            let request = GetLatestAssetMetricsRequest {
                asset_urn: urn,
                names,
                after_request_id: after,
                ..GetLatestAssetMetricsRequest::default()
            };
            latest(&request, remote).await?;
        }
        Asset::List { prefix, extent, after } => {
            let request =
                ListAssetsRequest { prefix, after_request_id: after, ..ListAssetsRequest::default() };
            list(&request, &extent, remote).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(show: Show, remote: &Remote) -> Result<()> {
    let request = ListAssetMetricsRequest {
        asset_urn: show.urn,
        from: show.from.map(moment::to_wire),
        to: show.to.map(moment::to_wire),
        names: show.names,
        after_request_id: show.after,
        ..ListAssetMetricsRequest::default()
    };
    let mut client = connection::query(remote)?;
    let mut found = ListAssetMetricsResponse::default();
    let mut fresh_through = Vec::new();
    let mut next = show.extent.start();
    while let Some((page_size, page_token)) = next {
        let request = ListAssetMetricsRequest { page_size, page_token, ..request.clone() };
        let call = connection::within(remote.timeout, request, |request| client.list_asset_metrics(request));
        let page = call.await?;
        append(&mut found.documents, page.documents);
        found.next_page_token = page.next_page_token;
        fresh_through.push(page.fresh_through);
        next = show.extent.next(found.documents.len(), &found.next_page_token);
    }
    found.fresh_through = moment::earliest(fresh_through);
    answer(remote, "ListAssetMetricsResponse", &found, || {
        asset::history(&request, &found, form(remote), (width(), list_width()))
    })?;
    show.extent.note_rest(&found.next_page_token, "a later --from", remote);
    Ok(())
}

/// Adds the documents of the next page. The first of them can continue the last document of the page before.
fn append(documents: &mut Vec<AssetDocument>, page: Vec<AssetDocument>) {
    let mut page = page.into_iter().peekable();
    if let Some(last) = documents.last_mut()
        && let Some(rest) = page.next_if(|first| first.timestamp == last.timestamp)
    {
        last.metrics.extend(rest.metrics);
    }
    documents.extend(page);
}

/// Reads all pages, because an asset has few metrics.
async fn latest(request: &GetLatestAssetMetricsRequest, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let mut found = GetLatestAssetMetricsResponse::default();
    let mut fresh_through = Vec::new();
    let mut next = Extent::ALL.start();
    while let Some((page_size, page_token)) = next {
        let request = GetLatestAssetMetricsRequest { page_size, page_token, ..request.clone() };
        let call =
            connection::within(remote.timeout, request, |request| client.get_latest_asset_metrics(request));
        let page = call.await?;
        found.metrics.extend(page.metrics);
        fresh_through.push(page.fresh_through);
        next = Extent::ALL.next(found.metrics.len(), &page.next_page_token);
    }
    found.fresh_through = moment::earliest(fresh_through);
    answer(remote, "GetLatestAssetMetricsResponse", &found, || asset::latest(request, &found, list_width()))
}

async fn list(request: &ListAssetsRequest, extent: &Extent, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let mut found = ListAssetsResponse::default();
    let mut fresh_through = Vec::new();
    let mut next = extent.start();
    while let Some((page_size, page_token)) = next {
        let request = ListAssetsRequest { page_size, page_token, ..request.clone() };
        let call = connection::within(remote.timeout, request, |request| client.list_assets(request));
        let page = call.await?;
        found.assets.extend(page.assets);
        found.next_page_token = page.next_page_token;
        fresh_through.push(page.fresh_through);
        next = extent.next(found.assets.len(), &found.next_page_token);
    }
    found.fresh_through = moment::earliest(fresh_through);
    answer(remote, "ListAssetsResponse", &found, || asset::list(request, &found))?;
    extent.note_rest(&found.next_page_token, "a longer prefix", remote);
    Ok(())
}
