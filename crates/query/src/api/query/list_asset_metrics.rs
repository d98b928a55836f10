//! `ListAssetMetrics`: the metrics of an asset in a range of time, one document for each time.
//!
//! A page starts after the last document of the page before, so pages stay correct while values arrive. There
//! is one exception. A page that starts within a document does not contain metrics that arrived in the
//! meantime and belong before its first metric, because an older request emitted them first.

use flowmeter_core::ids::AssetId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ListAssetMetricsRequest, ListAssetMetricsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{AssetMetricsQuery, asset_exists, list_asset_metrics};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::answer::asset_page;
use crate::page::asset_position;
use crate::spec::asset_list::AssetMetricsSpec;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &ListAssetMetricsRequest,
) -> Result<ListAssetMetricsResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let urn = request.asset_urn.as_str();
    let AssetMetricsSpec { names, page, start } = AssetMetricsSpec::read(request, Timestamp::now())?;

    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let question = AssetMetricsQuery {
        asset: AssetId::named(tenant, urn),
        names,
        from: start.from,
        to: start.to,
        after: start.after,
        times: page.limit(),
        // One metric more than fits shows that there is a next page.
        metrics: i64::try_from(asset_page::MAX_METRICS).expect("it is 10,000") + 1,
        max_bytes: i64::try_from(asset_page::MAX_BYTES).expect("it is less than 4 MiB"),
    };
    let found = list_asset_metrics(&api.store, tenant, &question).await?;
    if found.metrics.is_empty() && !asset_exists(&api.store, tenant, urn).await? {
        return Err(ApiError::not_found("asset", urn));
    }
    // Where documents have many metrics, fewer times than were asked for are read.
    let max_documents = usize::try_from(found.times - 1).expect("from 1 to 1000");
    let (documents, next) = asset_page::documents(found.metrics, start.to, max_documents);
    let next_page_token = next.map(|next| page.token_after(asset_position::write(&next))).unwrap_or_default();
    Ok(ListAssetMetricsResponse { documents, next_page_token, fresh_through })
}
