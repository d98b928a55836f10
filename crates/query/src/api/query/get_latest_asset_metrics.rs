//! `GetLatestAssetMetrics`: the current value of each metric of an asset.

use flowmeter_contract::time::to_proto;
use flowmeter_core::asset::check_urn;
use flowmeter_core::ids::AssetId;
use flowmeter_proto::v1::{GetLatestAssetMetricsRequest, GetLatestAssetMetricsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{Latest, asset_exists, latest_asset_metrics};
use tonic::metadata::MetadataMap;

use super::Query;
use crate::answer::asset_page;
use crate::page::{self, asset_place, page_size};
use crate::spec::asset_list;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &GetLatestAssetMetricsRequest,
) -> Result<GetLatestAssetMetricsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let urn = request.asset_urn.as_str();
    check_urn("asset_urn", urn)?;
    let names = asset_list::names(&request.names)?;
    let size = page_size(request.page_size)?;
    let arguments: Vec<_> = std::iter::once(urn).chain(names.iter().map(String::as_str)).collect();
    let tokens = page::List::new("GetLatestAssetMetrics", &arguments);
    let after = match tokens.place(&request.page_token)? {
        None => String::new(),
        Some(place) => asset_place::read_name(&place).ok_or_else(page::not_ours)?.to_owned(),
    };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let _turn = query.turns.take(tenant).await?;
    // One more than fits tells whether there is a next page.
    let question = Latest {
        asset: AssetId::named(tenant, urn),
        names,
        after,
        limit: size + 1,
        max_bytes: i64::try_from(asset_page::MAX_BYTES).expect("it is less than 4 MiB"),
    };
    let found = latest_asset_metrics(&query.store, tenant, &question).await?;
    if found.is_empty() && !asset_exists(&query.store, tenant, urn).await? {
        return Err(ApiError::not_found("asset", urn));
    }
    let (metrics, has_more) = asset_page::latest(found, usize::try_from(size).expect("at most 1000"));
    let last = metrics.last().filter(|_| has_more);
    let next_page_token = last.map(|last| tokens.token(last.name.as_bytes())).unwrap_or_default();
    Ok(GetLatestAssetMetricsResponse { metrics, next_page_token, fresh_through })
}
