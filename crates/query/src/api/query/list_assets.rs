//! `ListAssets`: the assets that metrics were emitted on.

use flowmeter_contract::time::to_proto;
use flowmeter_core::asset::check_urn;
use flowmeter_proto::v1::{Asset, ListAssetsRequest, ListAssetsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{AssetsQuery, StoredAsset, list_assets};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::page::Page;
use crate::spec::asset_list;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &ListAssetsRequest,
) -> Result<ListAssetsResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let prefix = request.prefix.as_str();
    asset_list::check_prefix(prefix)?;
    let page = Page::read("ListAssets", &[prefix], request.page_size, &request.page_token)?;
    let after = page.after_text(|urn| check_urn("urn", urn).is_ok())?.unwrap_or_default();

    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let question = AssetsQuery { prefix: prefix.to_owned(), after, limit: page.limit() };
    let mut found = list_assets(&api.store, tenant, &question).await?;
    let next_page_token = page.cut(&mut found, |last| last.urn.clone());
    let encode = |asset: StoredAsset| Asset { urn: asset.urn, create_time: Some(to_proto(asset.created_at)) };
    Ok(ListAssetsResponse { assets: found.into_iter().map(encode).collect(), next_page_token, fresh_through })
}
