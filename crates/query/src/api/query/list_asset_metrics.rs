//! `ListAssetMetrics`: the metrics of an asset in a range of time, a document for each time.
//!
//! A page goes on after the last document of the one before, so it stays correct while values arrive.
//! Only one that goes on within a document, after the last of its metrics, does not have those that meanwhile
//! come to stand before these, because an older request was the first to give their names.

use flowmeter_contract::time::to_proto;
use flowmeter_core::asset::check_urn;
use flowmeter_core::ids::AssetId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ListAssetMetricsRequest, ListAssetMetricsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{Metrics, asset_exists, list_asset_metrics};
use tonic::metadata::MetadataMap;

use super::Query;
use crate::answer::asset_page;
use crate::page::asset_place::{self, Place};
use crate::page::{self, page_size};
use crate::spec::asset_list;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListAssetMetricsRequest,
) -> Result<ListAssetMetricsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let urn = request.asset_urn.as_str();
    check_urn("asset_urn", urn)?;
    let names = asset_list::names(&request.names)?;
    let size = page_size(request.page_size)?;
    let from = asset_list::time("from", request.from.as_ref())?;
    let to = asset_list::time("to", request.to.as_ref())?;
    let (first, last) = asset_list::range(from, to, Timestamp::now())?;
    let tokens = tokens(urn, (from, to), &names);
    let place = match tokens.place(&request.page_token)? {
        None => Place { from: first, to: last, after: None },
        Some(place) => asset_place::read(&place).ok_or_else(page::not_ours)?,
    };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let _turn = query.turns.take(tenant).await?;
    // One more than fits tells whether there is a next page.
    let question = Metrics {
        asset: AssetId::named(tenant, urn),
        names,
        from: place.from,
        to: place.to,
        after: place.after,
        times: size + 1,
        metrics: i64::try_from(asset_page::MAX_METRICS).expect("it is 10,000") + 1,
        max_bytes: i64::try_from(asset_page::MAX_BYTES).expect("it is less than 4 MiB"),
    };
    let found = list_asset_metrics(&query.store, tenant, &question).await?;
    if found.metrics.is_empty() && !asset_exists(&query.store, tenant, urn).await? {
        return Err(ApiError::not_found("asset", urn));
    }
    let size = usize::try_from(found.times - 1).expect("from 1 to 1000");
    let (documents, next) = asset_page::documents(found.metrics, place.to, size);
    let next_page_token = next.map(|next| tokens.token(&asset_place::write(&next))).unwrap_or_default();
    Ok(ListAssetMetricsResponse { documents, next_page_token, fresh_through })
}

/// The list, whose range is what was asked for and not what it came to.
fn tokens(urn: &str, (from, to): (Option<Timestamp>, Option<Timestamp>), names: &[String]) -> page::List {
    let written = |time: Option<Timestamp>| time.map(|time| time.micros().to_string()).unwrap_or_default();
    let (from, to) = (written(from), written(to));
    let mut arguments = vec![urn, &from, &to];
    arguments.extend(names.iter().map(String::as_str));
    page::List::new("ListAssetMetrics", &arguments)
}
