//! `UpdateTimeSeries`: changes fields of a time series.

use flowmeter_contract::names::TimeSeriesName;
use flowmeter_proto::v1::{UpdateTimeSeriesRequest, UpdateTimeSeriesResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::time_series::update_time_series;

use super::{TenantCatalog, changed_or_error, checked_time_series};
use crate::spec::fields::{given, version};
use crate::spec::update_mask::Mask;
use crate::{answer, resolve};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: UpdateTimeSeriesRequest,
) -> Result<UpdateTimeSeriesResponse, ApiError> {
    const FIELDS: [&str; 8] =
        ["provider", "metric", "display_name", "description", "calendar", "observed", "filter", "time_zone"];
    let new = given("time_series", request.time_series)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let name = TimeSeriesName::parse("time_series.name", &new.name)?;
    let current = resolve::time_series(catalog.store, catalog.tenant, &name).await?;
    let version = version("time_series.version", new.version)?.unwrap_or(current.version);
    let mut merged = answer::time_series::to_proto(&current);
    mask.take("provider", &mut merged.provider, new.provider);
    mask.take("metric", &mut merged.metric, new.metric);
    mask.take("display_name", &mut merged.display_name, new.display_name);
    mask.take("description", &mut merged.description, new.description);
    mask.take("calendar", &mut merged.calendar, new.calendar);
    mask.take("observed", &mut merged.observed, new.observed);
    mask.take("filter", &mut merged.filter, new.filter);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    let series = checked_time_series(catalog, &name, merged, Some(&current.series)).await?;
    let changed = update_time_series(catalog.store, catalog.tenant, &series, version).await?;
    let stored = changed_or_error(changed, "time series", &name.to_string())?;
    Ok(UpdateTimeSeriesResponse { time_series: Some(answer::time_series::to_proto(&stored)) })
}
