//! Finds what a question names: a metric, a calendar, a stored time series.

use std::borrow::Cow;

use flowmeter_contract::names::{MetricName, TimeSeriesName, check_label};
use flowmeter_core::calendar::Calendar;
use flowmeter_core::ids::TenantId;
use flowmeter_core::metric::{Catalog, Definition};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::Store;
use flowmeter_store::assets::{ReadableMetric, get_readable};
use flowmeter_store::catalog::calendars::{self, StoredCalendar};
use flowmeter_store::catalog::metrics::{Metric, get_metric, list_metrics};
use flowmeter_store::catalog::time_series::{StoredTimeSeries, get_time_series};

use crate::api::catalog::calendars::definition;

/// A metric that can be read.
#[derive(Debug)]
pub struct Readable {
    /// What it means.
    pub definition: Cow<'static, Definition>,
    /// The time before which all events are rolled up.
    pub rolled_up_to: Timestamp,
}

impl From<Metric> for Readable {
    fn from(metric: Metric) -> Self {
        let rolled_up_to = metric.rolled_up_to();
        Self { definition: Cow::Owned(metric.definition), rolled_up_to }
    }
}

/// The metric of events of that name.
pub async fn metric(store: &Store, tenant: TenantId, name: &MetricName) -> Result<Readable, ApiError> {
    let full = name.full();
    if let Some(definition) = Catalog::built_in().metric(&full) {
        return Ok(Readable { definition: Cow::Borrowed(definition), rolled_up_to: Timestamp::END });
    }
    let found = get_metric(store, tenant, &name.provider, &name.name, None).await?;
    found.map(Readable::from).ok_or_else(|| ApiError::not_found("metric", &full))
}

/// The metric of assets of that name.
pub async fn metric_of_assets(
    store: &Store,
    tenant: TenantId,
    name: &MetricName,
) -> Result<ReadableMetric, ApiError> {
    let found = get_readable(store, tenant, &name.name).await?;
    found.ok_or_else(|| ApiError::not_found("metric", &name.full()))
}

/// A metric of the tenant's own that measures the same and is kept by these fields, where the
/// metric itself is not.
pub async fn alike(
    store: &Store,
    tenant: TenantId,
    metric: &Definition,
    fields: &[&Field],
) -> Result<Option<Readable>, ApiError> {
    if metric.covering(fields).is_some() {
        return Ok(None);
    }
    let own = list_metrics(store, tenant).await?.into_iter().map(Readable::from);
    let serves = |other: &Readable| {
        let other = &other.definition;
        (&other.selector, other.measure) == (&metric.selector, metric.measure)
            && other.covering(fields).is_some()
    };
    Ok(own.filter(serves).max_by_key(|other| other.rolled_up_to))
}

/// A calendar: a built-in one, or one that the tenant has defined.
pub async fn calendar(store: &Store, tenant: TenantId, code: &str) -> Result<Calendar, ApiError> {
    if Calendar::is_reserved(code) {
        return Calendar::parse(code)
            .map_err(|error| ApiError::field(Reason::InvalidCalendar, "calendar", error.to_string()));
    }
    if check_label("calendar", code).is_err() {
        let text = "expected # and an ISO 8601 duration, such as #PT1H, the name of a built-in calendar, or a \
                    code of 1 to 63 letters, digits, _, - and .";
        return Err(ApiError::field(Reason::InvalidCalendar, "calendar", text));
    }
    let found = calendars::get_calendar(store, tenant, code).await?;
    let StoredCalendar { calendar, .. } = found.ok_or_else(|| ApiError::not_found("calendar", code))?;
    let definition = definition(&calendar)?;
    Calendar::defined(code, &definition)
        .map_err(|error| ApiError::field(Reason::InvalidCalendar, "calendar", error.to_string()))
}

/// A stored time series.
pub async fn time_series(
    store: &Store,
    tenant: TenantId,
    name: &TimeSeriesName,
) -> Result<StoredTimeSeries, ApiError> {
    get_time_series(store, tenant, &name.object, &name.name)
        .await?
        .ok_or_else(|| ApiError::not_found("time series", &name.to_string()))
}
