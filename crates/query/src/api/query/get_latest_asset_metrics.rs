//! `GetLatestAssetMetrics`: the current value of each metric of an asset.

use flowmeter_core::asset::{check_name, check_urn};
use flowmeter_core::ids::AssetId;
use flowmeter_proto::v1::{GetLatestAssetMetricsRequest, GetLatestAssetMetricsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{LatestMetricsQuery, asset_exists, latest_asset_metrics};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::answer::asset_page;
use crate::page::Page;
use crate::spec::asset_list;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &GetLatestAssetMetricsRequest,
) -> Result<GetLatestAssetMetricsResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let urn = request.asset_urn.as_str();
    check_urn("asset_urn", urn)?;
    let names = asset_list::names(&request.names)?;
    let arguments: Vec<_> = std::iter::once(urn).chain(names.iter().map(String::as_str)).collect();
    let page = Page::read("GetLatestAssetMetrics", &arguments, request.page_size, &request.page_token)?;
    let after = page.after_text(|name| check_name("name", name).is_ok())?.unwrap_or_default();

    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let question = LatestMetricsQuery {
        asset: AssetId::named(tenant, urn),
        names,
        after,
        limit: page.limit(),
        max_bytes: i64::try_from(asset_page::MAX_BYTES).expect("it is less than 4 MiB"),
    };
    let found = latest_asset_metrics(&api.store, tenant, &question).await?;
    if found.is_empty() && !asset_exists(&api.store, tenant, urn).await? {
        return Err(ApiError::not_found("asset", urn));
    }
    // Large values can make the page shorter than its size.
    let (metrics, has_more) = asset_page::latest(found, page.size());
    let last = metrics.last().filter(|_| has_more);
    let next_page_token = last.map(|last| page.token_after(&last.name)).unwrap_or_default();
    Ok(GetLatestAssetMetricsResponse { metrics, next_page_token, fresh_through })
}
