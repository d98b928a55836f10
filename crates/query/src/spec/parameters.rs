//! Reads parameters that several requests have: filters, ranges of time and names of time zones. Pure.

use flowmeter_core::filter::{Filter, FilterError};
use flowmeter_core::range::{RangeExpression, Reference, TimeRange};
use flowmeter_core::usage::Field;
use flowmeter_service::error::{ApiError, Reason};
use jiff::tz::TimeZone;

use super::clock::RequestClock;

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, ApiError> {
    Filter::parse(text).map_err(|error| wrong_filter(&error))
}

/// Reads a filter that may name these fields only.
pub fn filter_about(text: &str, fields: &[Field]) -> Result<Filter, ApiError> {
    Filter::parse_about(text, fields).map_err(|error| wrong_filter(&error))
}

fn wrong_filter(error: &FilterError) -> ApiError {
    ApiError::field(Reason::InvalidFilter, "filter", error.to_string())
}

/// Reads a range of time.
pub fn range(text: &str) -> Result<RangeExpression, ApiError> {
    text.parse::<RangeExpression>()
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))
}

/// Reads a range of time that the request must give.
pub fn required_range(text: &str) -> Result<RangeExpression, ApiError> {
    if text.is_empty() {
        let text = "expected a range such as from(2024-11-20), last(24) or 2024-11";
        return Err(ApiError::field(Reason::InvalidRange, "range", text));
    }
    range(text)
}

/// Reads a range on the clocks of a time zone. An empty text is all time.
pub fn time_range(text: &str, zone: TimeZone, clock: RequestClock) -> Result<TimeRange, ApiError> {
    if text.is_empty() {
        return Ok(TimeRange::ALL);
    }
    resolve_range(&range(text)?, &clock.reference(zone))
}

/// The first and the last time of a range.
pub fn resolve_range(range: &RangeExpression, reference: &Reference) -> Result<TimeRange, ApiError> {
    range
        .resolve(reference)
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))
}

/// Reads the name of a time zone. `None` if the request gives none.
pub fn time_zone(name: &str) -> Result<Option<TimeZone>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    let zone = flowmeter_core::zone::zone(name)
        .map_err(|error| ApiError::field(Reason::InvalidField, "time_zone", error.to_string()))?;
    Ok(Some(zone))
}

/// The error for an aggregation that is not available.
pub fn wrong_observed(text: String) -> ApiError {
    ApiError::field(Reason::InvalidField, "observed", text)
}
