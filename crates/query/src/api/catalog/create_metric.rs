//! `CreateMetric`: defines a metric.

use flowmeter_core::metric::Catalog;
use flowmeter_proto::v1::{CreateMetricRequest, CreateMetricResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::metrics::insert_metric;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::given;
use crate::{answer, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: CreateMetricRequest,
) -> Result<CreateMetricResponse, ApiError> {
    let metric = given("metric", request.metric)?;
    let definition = spec::metric::read(&metric)?;
    if Catalog::built_in().metric(&definition.full_name).is_some() {
        return Err(ApiError::already_exists("metric", &definition.full_name));
    }
    let changed = insert_metric(catalog.store, catalog.tenant, &definition).await?;
    let metric = changed_or_error(changed, "metric", &definition.full_name)?;
    Ok(CreateMetricResponse { metric: Some(answer::metric::to_proto(&metric)) })
}
