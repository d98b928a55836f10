//! `GetMetric`: one metric, in its current or an older version.

use flowmeter_contract::names::MetricName;
use flowmeter_core::metric::Catalog;
use flowmeter_proto::v1::{GetMetricRequest, GetMetricResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::metrics::get_metric;

use super::TenantCatalog;
use crate::spec::fields::version;
use crate::{answer, resolve};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: GetMetricRequest,
) -> Result<GetMetricResponse, ApiError> {
    let name = MetricName::parse("name", &request.name)?;
    let version = version("version", request.version)?;
    if name.is_of_assets() {
        let metric = resolve::asset_metric(catalog.store, catalog.tenant, &name).await?;
        if let Some(version) = version {
            return Err(no_version(&name, version));
        }
        return Ok(GetMetricResponse { metric: Some(answer::metric::of_assets(metric)) });
    }
    if let Some(built_in) = Catalog::built_in().metric(&name.full()) {
        if let Some(version) = version {
            return Err(no_version(&name, version));
        }
        return Ok(GetMetricResponse { metric: Some(answer::metric::definition(built_in)) });
    }
    let found = get_metric(catalog.store, catalog.tenant, &name.provider, &name.name, version).await?;
    let metric = found.ok_or_else(|| match version {
        Some(version) => no_version(&name, version),
        None => ApiError::not_found("metric", &name.full()),
    })?;
    Ok(GetMetricResponse { metric: Some(answer::metric::to_proto(&metric)) })
}

fn no_version(name: &MetricName, version: i32) -> ApiError {
    ApiError::version_not_found("metric", &name.full(), version)
}
