//! `CreateTimeSeries`: stores a time series of an object.

use flowmeter_contract::names::{TimeSeriesName, check_label, parse_object};
use flowmeter_proto::v1::{CreateTimeSeriesRequest, CreateTimeSeriesResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::time_series::insert_time_series;

use super::{TenantCatalog, changed_or_error, checked_time_series};
use crate::answer;
use crate::spec::fields::given;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: CreateTimeSeriesRequest,
) -> Result<CreateTimeSeriesResponse, ApiError> {
    let object = parse_object("parent", &request.parent)?;
    check_label("time_series_id", &request.time_series_id)?;
    let name = TimeSeriesName { object, name: request.time_series_id };
    let new = checked_time_series(catalog, &name, given("time_series", request.time_series)?, None).await?;
    let changed = insert_time_series(catalog.store, catalog.tenant, &new).await?;
    let stored = changed_or_error(changed, "time series", &name.to_string())?;
    Ok(CreateTimeSeriesResponse { time_series: Some(answer::time_series::to_proto(&stored)) })
}
