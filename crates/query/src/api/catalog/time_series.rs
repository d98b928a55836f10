//! Time series that hang on objects.

use flowmeter_contract::enums;
use flowmeter_contract::names::{MetricName, TimeSeriesName, check_label, parse_object};
use flowmeter_contract::time::to_proto;
use flowmeter_core::asset::{self, Reading};
use flowmeter_proto::v1::{
    self, CreateTimeSeriesRequest, CreateTimeSeriesResponse, DeleteTimeSeriesRequest,
    DeleteTimeSeriesResponse, GetTimeSeriesRequest, GetTimeSeriesResponse, ListTimeSeriesRequest,
    ListTimeSeriesResponse, UpdateTimeSeriesRequest, UpdateTimeSeriesResponse,
};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::time_series::{
    NewTimeSeries, StoredTimeSeries, delete_time_series, insert_time_series, list_time_series,
    update_time_series,
};

use super::{Shelf, check_text, given, settled, version};
use crate::page::{self, page_size};
use crate::resolve;
use crate::spec::update_mask::Mask;
use crate::spec::{self, DEFAULT_CALENDAR};

/// The type of the entity in the OpenDataDSL metric service.
const TYPE: &str = "VarMetricTimeSeries";
const KIND: &str = "time series";

pub async fn list(
    shelf: &Shelf<'_>,
    request: ListTimeSeriesRequest,
) -> Result<ListTimeSeriesResponse, ApiError> {
    let size = page_size(request.page_size)?;
    let object = match request.parent.as_str() {
        "" | "objects/-" => None,
        parent => Some(parse_object("parent", parent)?),
    };
    let tokens = page::List::new("ListTimeSeries", &[&request.parent]);
    let place = tokens.place(&request.page_token)?;
    let after = match &place {
        None => ("", ""),
        Some(place) => std::str::from_utf8(place)
            .ok()
            .filter(|place| !place.contains('\0'))
            .and_then(|place| place.split_once('/'))
            .ok_or_else(page::not_ours)?,
    };
    let mut found = list_time_series(shelf.store, shelf.tenant, object.as_deref(), after, size + 1).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let mut next_page_token = String::new();
    if found.len() > size {
        found.truncate(size);
        if let Some(StoredTimeSeries { series, .. }) = found.last() {
            next_page_token = tokens.token(format!("{}/{}", series.object, series.name).as_bytes());
        }
    }
    Ok(ListTimeSeriesResponse { time_series: found.iter().map(to_contract).collect(), next_page_token })
}

pub async fn get(
    shelf: &Shelf<'_>,
    request: GetTimeSeriesRequest,
) -> Result<GetTimeSeriesResponse, ApiError> {
    let name = TimeSeriesName::parse("name", &request.name)?;
    let found = resolve::time_series(shelf.store, shelf.tenant, &name).await?;
    Ok(GetTimeSeriesResponse { time_series: Some(to_contract(&found)) })
}

pub async fn create(
    shelf: &Shelf<'_>,
    request: CreateTimeSeriesRequest,
) -> Result<CreateTimeSeriesResponse, ApiError> {
    let object = parse_object("parent", &request.parent)?;
    check_label("time_series_id", &request.time_series_id)?;
    let name = TimeSeriesName { object, name: request.time_series_id };
    let new = read(shelf, &name, given("time_series", request.time_series)?, None).await?;
    let changed = insert_time_series(shelf.store, shelf.tenant, &new).await?;
    let stored = settled(changed, KIND, &name.to_string())?;
    Ok(CreateTimeSeriesResponse { time_series: Some(to_contract(&stored)) })
}

pub async fn update(
    shelf: &Shelf<'_>,
    request: UpdateTimeSeriesRequest,
) -> Result<UpdateTimeSeriesResponse, ApiError> {
    const FIELDS: [&str; 8] =
        ["provider", "metric", "display_name", "description", "calendar", "observed", "filter", "time_zone"];
    let new = given("time_series", request.time_series)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let name = TimeSeriesName::parse("time_series.name", &new.name)?;
    let current = resolve::time_series(shelf.store, shelf.tenant, &name).await?;
    let version = version("time_series.version", new.version)?.unwrap_or(current.version);
    let mut merged = to_contract(&current);
    mask.take("provider", &mut merged.provider, new.provider);
    mask.take("metric", &mut merged.metric, new.metric);
    mask.take("display_name", &mut merged.display_name, new.display_name);
    mask.take("description", &mut merged.description, new.description);
    mask.take("calendar", &mut merged.calendar, new.calendar);
    mask.take("observed", &mut merged.observed, new.observed);
    mask.take("filter", &mut merged.filter, new.filter);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    let series = read(shelf, &name, merged, Some(&current.series)).await?;
    let changed = update_time_series(shelf.store, shelf.tenant, &series, version).await?;
    let stored = settled(changed, KIND, &name.to_string())?;
    Ok(UpdateTimeSeriesResponse { time_series: Some(to_contract(&stored)) })
}

pub async fn delete(
    shelf: &Shelf<'_>,
    request: DeleteTimeSeriesRequest,
) -> Result<DeleteTimeSeriesResponse, ApiError> {
    let name = TimeSeriesName::parse("name", &request.name)?;
    let version = version("version", request.version)?;
    let changed = delete_time_series(shelf.store, shelf.tenant, &name.object, &name.name, version).await?;
    settled(changed, KIND, &name.to_string())?;
    Ok(DeleteTimeSeriesResponse {})
}

/// Reads a time series, and sees that what it names is there, unless it named it before.
async fn read(
    shelf: &Shelf<'_>,
    name: &TimeSeriesName,
    series: v1::TimeSeries,
    current: Option<&NewTimeSeries>,
) -> Result<NewTimeSeries, ApiError> {
    let mut violations = Vec::new();
    check_text("time_series.display_name", &series.display_name, &mut violations);
    check_text("time_series.description", &series.description, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    let within = |error: ApiError| error.within("time_series");
    let metric = metric_name(&series)?;
    let observed = if metric.is_of_assets() {
        spec::asset_series::filter(&series.filter).map_err(within)?;
        enums::reading("observed", series.observed)
    } else {
        spec::filter(&series.filter).map_err(within)?;
        enums::observed("observed", series.observed).map(|observed| observed.map(Reading::Numbers))
    };
    let mut observed = observed.map_err(|violation| within(spec::wrong_field(violation)))?;
    spec::time_zone(&series.time_zone).map_err(within)?;
    let calendar = if series.calendar.is_empty() { DEFAULT_CALENDAR.to_owned() } else { series.calendar };
    let names_another =
        |current: &NewTimeSeries| (&current.provider, &current.metric) != (&metric.provider, &metric.name);
    if metric.is_of_assets() {
        // It stays for good.
        let found = resolve::metric_of_assets(shelf.store, shelf.tenant, &metric).await?;
        // A default is kept as it is now: it goes once there are values of another type.
        observed = Some(spec::asset_series::reading(observed, found.readable).map_err(within)?);
    } else if current.is_none_or(names_another) {
        resolve::metric(shelf.store, shelf.tenant, &metric).await?;
    }
    if current.is_none_or(|current| current.calendar != calendar) {
        resolve::calendar(shelf.store, shelf.tenant, &calendar).await.map_err(within)?;
    }
    Ok(NewTimeSeries {
        object: name.object.clone(),
        name: name.name.clone(),
        provider: series.provider,
        metric: series.metric,
        display_name: series.display_name,
        description: series.description,
        calendar,
        observed,
        filter: series.filter,
        time_zone: series.time_zone,
    })
}

/// The metric that a time series reads.
fn metric_name(series: &v1::TimeSeries) -> Result<MetricName, ApiError> {
    let metric = MetricName { provider: series.provider.clone(), name: series.metric.clone() };
    if metric.is_of_assets() {
        asset::check_name("time_series.metric", &metric.name)?;
    } else {
        check_label("time_series.provider", &metric.provider)?;
        check_label("time_series.metric", &metric.name)?;
    }
    Ok(metric)
}

fn to_contract(stored: &StoredTimeSeries) -> v1::TimeSeries {
    let series = &stored.series;
    let name = TimeSeriesName { object: series.object.clone(), name: series.name.clone() };
    v1::TimeSeries {
        name: name.to_string(),
        r#type: TYPE.to_owned(),
        provider: series.provider.clone(),
        metric: series.metric.clone(),
        display_name: series.display_name.clone(),
        description: series.description.clone(),
        calendar: series.calendar.clone(),
        observed: series.observed.map_or(v1::Observed::Unspecified, enums::reading_to_proto).into(),
        filter: series.filter.clone(),
        time_zone: series.time_zone.clone(),
        version: stored.version,
        create_time: Some(to_proto(stored.created_at)),
        update_time: Some(to_proto(stored.updated_at)),
    }
}
