//! `DeleteMetric`: deletes a metric.

use flowmeter_proto::v1::{DeleteMetricRequest, DeleteMetricResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::metrics::delete_metric;

use super::{TenantCatalog, changed_or_error};
use crate::resolve;
use crate::spec::fields::version;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: DeleteMetricRequest,
) -> Result<DeleteMetricResponse, ApiError> {
    let (name, _) = resolve::own_metric(catalog.store, catalog.tenant, "name", &request.name).await?;
    let version = version("version", request.version)?;
    let changed = delete_metric(catalog.store, catalog.tenant, &name.provider, &name.name, version).await?;
    changed_or_error(changed, "metric", &name.full())?;
    Ok(DeleteMetricResponse {})
}
