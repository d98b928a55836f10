//! `ListMetrics`: the metrics of all providers, or of one.

use flowmeter_contract::names::{MetricName, check_label};
use flowmeter_core::asset::{PROVIDER, check_name};
use flowmeter_core::metric::{BUILT_IN_PROVIDERS, Catalog};
use flowmeter_proto::v1::{self, ListMetricsRequest, ListMetricsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::list_readable;
use flowmeter_store::catalog::metrics::list_metrics;

use super::TenantCatalog;
use crate::answer;
use crate::page::{MAX_SIZE, Page};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: ListMetricsRequest,
) -> Result<ListMetricsResponse, ApiError> {
    let page = Page::read("ListMetrics", &[&request.provider], request.page_size, &request.page_token)?;
    if request.provider == PROVIDER {
        // A request that gives no page size gets a large page: a tenant has as many metrics as its senders have names.
        let page = if request.page_size == 0 { page.of_size(MAX_SIZE) } else { page };
        return asset_metrics(catalog, page).await;
    }
    let after = page.after_text(|name| MetricName::parse("name", name).is_ok())?.unwrap_or_default();
    let mut metrics: Vec<v1::Metric> =
        Catalog::built_in().definitions().map(answer::metric::definition).collect();
    metrics.extend(list_metrics(catalog.store, catalog.tenant).await?.iter().map(answer::metric::to_proto));
    let wanted = request.provider;
    if !wanted.is_empty() {
        check_label("provider", &wanted)?;
        let has_provider =
            |metric: &v1::Metric| metric.name.split_once('/').is_some_and(|(provider, _)| provider == wanted);
        metrics.retain(has_provider);
        if metrics.is_empty() && BUILT_IN_PROVIDERS.iter().all(|provider| provider.name != wanted) {
            return Err(ApiError::not_found("provider", &wanted));
        }
    }
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    metrics.retain(|metric| metric.name > after);
    // A request that gives no page size gets all metrics of events.
    let page = if request.page_size == 0 { page.of_size(metrics.len()) } else { page };
    let next_page_token = page.cut(&mut metrics, |last| last.name.clone());
    Ok(ListMetricsResponse { metrics, next_page_token })
}

/// A page of asset metrics, by name.
async fn asset_metrics(catalog: &TenantCatalog<'_>, page: Page) -> Result<ListMetricsResponse, ApiError> {
    let after = page.after_text(|name| check_name("name", name).is_ok())?.unwrap_or_default();
    let mut found = list_readable(catalog.store, catalog.tenant, &after, page.limit()).await?;
    let next_page_token = page.cut(&mut found, |last| last.name.clone());
    let metrics = found.into_iter().map(answer::metric::of_assets).collect();
    Ok(ListMetricsResponse { metrics, next_page_token })
}
