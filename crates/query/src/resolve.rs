//! Finds in the store what a request names: a metric, a calendar, a stored time series.

use std::borrow::Cow;

use flowmeter_contract::names::{MetricName, TimeSeriesName, check_label};
use flowmeter_core::calendar::Calendar;
use flowmeter_core::flow::check_flow_id;
use flowmeter_core::ids::TenantId;
use flowmeter_core::metric::{Catalog, MetricDefinition};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_core::violation::Violation;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::Store;
use flowmeter_store::assets::{ReadableMetric, get_readable};
use flowmeter_store::catalog::calendars::{self, StoredCalendar};
use flowmeter_store::catalog::flows::{StoredFlow, get_flow};
use flowmeter_store::catalog::metrics::{Metric, get_metric, list_metrics};
use flowmeter_store::catalog::time_series::{StoredTimeSeries, get_time_series};

use crate::spec::query::QuerySpec;

/// A metric of events, and how far its roll-ups reach.
#[derive(Debug)]
pub struct EventMetric {
    pub definition: Cow<'static, MetricDefinition>,
    /// All events before this time are in the metric's roll-ups.
    pub rolled_up_to: Timestamp,
}

impl From<Metric> for EventMetric {
    fn from(metric: Metric) -> Self {
        let rolled_up_to = metric.rolled_up_to();
        Self { definition: Cow::Owned(metric.definition), rolled_up_to }
    }
}

/// The metric of events with this name.
pub async fn event_metric(
    store: &Store,
    tenant: TenantId,
    name: &MetricName,
) -> Result<EventMetric, ApiError> {
    let full_name = name.full();
    if let Some(definition) = Catalog::built_in().metric(&full_name) {
        return Ok(EventMetric { definition: Cow::Borrowed(definition), rolled_up_to: Timestamp::END });
    }
    let found = get_metric(store, tenant, &name.provider, &name.name, None).await?;
    found.map(EventMetric::from).ok_or_else(|| ApiError::not_found("metric", &full_name))
}

/// The asset metric with this name.
pub async fn asset_metric(
    store: &Store,
    tenant: TenantId,
    name: &MetricName,
) -> Result<ReadableMetric, ApiError> {
    let found = get_readable(store, tenant, &name.name).await?;
    found.ok_or_else(|| ApiError::not_found("metric", &name.full()))
}

/// Another metric of the tenant that can be read in place of `metric`: it measures the same, and one of its label sets
/// covers the fields. `None` if a label set of the metric itself covers them, or if there is no such metric.
pub async fn substitute_metric(
    store: &Store,
    tenant: TenantId,
    metric: &MetricDefinition,
    fields: &[&Field],
) -> Result<Option<EventMetric>, ApiError> {
    if metric.covering(fields).is_some() {
        return Ok(None);
    }
    let metrics = list_metrics(store, tenant).await?.into_iter().map(EventMetric::from);
    let can_substitute = |other: &EventMetric| {
        let other = &other.definition;
        (&other.selector, other.measure) == (&metric.selector, metric.measure)
            && other.covering(fields).is_some()
    };
    Ok(metrics.filter(can_substitute).max_by_key(|other| other.rolled_up_to))
}

/// The calendar that a request names, if its range is divided into buckets.
pub async fn calendar_of(
    store: &Store,
    tenant: TenantId,
    spec: &QuerySpec,
) -> Result<Option<Calendar>, ApiError> {
    match &spec.calendar {
        Some(code) => calendar(store, tenant, code).await.map(Some),
        None => Ok(None),
    }
}

/// The calendar with this code: a built-in one, or one that the tenant has defined.
pub async fn calendar(store: &Store, tenant: TenantId, code: &str) -> Result<Calendar, ApiError> {
    if Calendar::is_reserved(code) {
        return Calendar::parse(code).map_err(|error| {
            ApiError::violation(Reason::InvalidCalendar, &Violation::from(error).within("calendar"))
        });
    }
    if check_label("calendar", code).is_err() {
        let text = "expected # and an ISO 8601 duration, such as #PT1H, the name of a built-in calendar, or a \
                    code of 1 to 63 letters, digits, _, - and .";
        return Err(ApiError::field(Reason::InvalidCalendar, "calendar", text));
    }
    let found = calendars::read_calendar(store, tenant, code).await?;
    found.ok_or_else(|| ApiError::not_found("calendar", code))
}

/// The stored time series with this name.
pub async fn time_series(
    store: &Store,
    tenant: TenantId,
    name: &TimeSeriesName,
) -> Result<StoredTimeSeries, ApiError> {
    get_time_series(store, tenant, &name.object, &name.name)
        .await?
        .ok_or_else(|| ApiError::not_found("time series", &name.to_string()))
}

/// A metric that the tenant can change, which the field `field` of a request names.
pub async fn own_metric(
    store: &Store,
    tenant: TenantId,
    field: &str,
    name: &str,
) -> Result<(MetricName, Metric), ApiError> {
    let name = MetricName::parse(field, name)?;
    if name.is_of_assets() {
        asset_metric(store, tenant, &name).await?;
        return Err(ApiError::built_in("metric", &name.full()));
    }
    if Catalog::built_in().metric(&name.full()).is_some() {
        return Err(ApiError::built_in("metric", &name.full()));
    }
    let found = get_metric(store, tenant, &name.provider, &name.name, None).await?;
    let metric = found.ok_or_else(|| ApiError::not_found("metric", &name.full()))?;
    Ok((name, metric))
}

/// A calendar that the tenant can change, which the field `field` of a request names.
pub async fn own_calendar(
    store: &Store,
    tenant: TenantId,
    field: &str,
    code: &str,
) -> Result<StoredCalendar, ApiError> {
    if Calendar::is_reserved(code) {
        return Err(ApiError::built_in("calendar", code));
    }
    check_label(field, code)?;
    let found = calendars::get_calendar(store, tenant, code).await?;
    found.ok_or_else(|| ApiError::not_found("calendar", code))
}

/// A flow of the tenant, which the field `field` of a request names.
pub async fn flow(store: &Store, tenant: TenantId, field: &str, id: &str) -> Result<StoredFlow, ApiError> {
    check_flow_id(field, id)?;
    let found = get_flow(store, tenant, id).await?;
    found.ok_or_else(|| ApiError::not_found("flow", id))
}
