//! `GetTimeSeries`: one time series.

use flowmeter_contract::names::TimeSeriesName;
use flowmeter_proto::v1::{GetTimeSeriesRequest, GetTimeSeriesResponse};
use flowmeter_service::error::ApiError;

use super::TenantCatalog;
use crate::{answer, resolve};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: GetTimeSeriesRequest,
) -> Result<GetTimeSeriesResponse, ApiError> {
    let name = TimeSeriesName::parse("name", &request.name)?;
    let found = resolve::time_series(catalog.store, catalog.tenant, &name).await?;
    Ok(GetTimeSeriesResponse { time_series: Some(answer::time_series::to_proto(&found)) })
}
