//! `DeleteTimeSeries`: deletes a time series.

use flowmeter_contract::names::TimeSeriesName;
use flowmeter_proto::v1::{DeleteTimeSeriesRequest, DeleteTimeSeriesResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::time_series::delete_time_series;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::version;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: DeleteTimeSeriesRequest,
) -> Result<DeleteTimeSeriesResponse, ApiError> {
    let name = TimeSeriesName::parse("name", &request.name)?;
    let version = version("version", request.version)?;
    let changed =
        delete_time_series(catalog.store, catalog.tenant, &name.object, &name.name, version).await?;
    changed_or_error(changed, "time series", &name.to_string())?;
    Ok(DeleteTimeSeriesResponse {})
}
