//! Reads time series that a tenant stores. Pure.

use flowmeter_contract::names::{MetricName, TimeSeriesName, check_label};
use flowmeter_core::asset::check_name;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::time_series::NewTimeSeries;

use super::fields::check_text;
use super::parameters::time_zone;
use super::query::{DEFAULT_CALENDAR, Subject, read_observed, series_filter};

/// Reads a time series, and the metric that it names. Whether the metric and the calendar exist is not checked.
pub fn read(name: &TimeSeriesName, series: v1::TimeSeries) -> Result<(NewTimeSeries, MetricName), ApiError> {
    let mut violations = Vec::new();
    check_text("time_series.display_name", &series.display_name, &mut violations);
    check_text("time_series.description", &series.description, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    let within = |error: ApiError| error.within("time_series");
    let metric = metric_name(&series)?;
    let subject = if metric.is_of_assets() { Subject::Assets } else { Subject::Events };
    series_filter(&series.filter, subject).map_err(within)?;
    let observed = read_observed(series.observed, subject).map_err(|violation| within(violation.into()))?;
    time_zone(&series.time_zone).map_err(within)?;
    let calendar = if series.calendar.is_empty() { DEFAULT_CALENDAR.to_owned() } else { series.calendar };
    let new = NewTimeSeries {
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
    };
    Ok((new, metric))
}

/// The metric that a time series reads.
fn metric_name(series: &v1::TimeSeries) -> Result<MetricName, ApiError> {
    let metric = MetricName { provider: series.provider.clone(), name: series.metric.clone() };
    if metric.is_of_assets() {
        check_name("time_series.metric", &metric.name)?;
    } else {
        check_label("time_series.provider", &metric.provider)?;
        check_label("time_series.metric", &metric.name)?;
    }
    Ok(metric)
}
