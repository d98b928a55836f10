//! Reads parameters that several requests have: filters, ranges of time and names of time zones. Pure.

use flowmeter_core::filter::Filter;
use flowmeter_core::range::{RangeExpression, Reference, TimeRange};
use flowmeter_core::syntax::SyntaxError;
use flowmeter_core::usage::Field;
use flowmeter_core::violation::Violation;
use flowmeter_service::error::{ApiError, Reason};
use jiff::tz::TimeZone;

use super::clock::RequestClock;

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, ApiError> {
    Filter::parse(text).map_err(wrong_filter)
}

/// Reads a filter that can only name these fields.
pub fn filter_about(text: &str, fields: &[Field]) -> Result<Filter, ApiError> {
    Filter::parse_about(text, fields).map_err(wrong_filter)
}

fn wrong_filter(error: SyntaxError) -> ApiError {
    ApiError::violation(Reason::InvalidFilter, &Violation::from(error).within("filter"))
}

/// Reads a range of time.
pub fn range(text: &str) -> Result<RangeExpression, ApiError> {
    text.parse::<RangeExpression>().map_err(wrong_range)
}

fn wrong_range(error: SyntaxError) -> ApiError {
    ApiError::violation(Reason::InvalidRange, &Violation::from(error).within("range"))
}

/// Reads a required range of time.
pub fn required_range(text: &str) -> Result<RangeExpression, ApiError> {
    if text.is_empty() {
        let text = "expected a range such as from(2024-11-20), last(24) or 2024-11";
        return Err(ApiError::field(Reason::InvalidRange, "range", text));
    }
    range(text)
}

/// Reads a range in a time zone. An empty text means all time.
pub fn time_range(text: &str, zone: TimeZone, clock: RequestClock) -> Result<TimeRange, ApiError> {
    if text.is_empty() {
        return Ok(TimeRange::ALL);
    }
    resolve_range(&range(text)?, &clock.reference(zone))
}

/// The first and the last time of a range.
pub fn resolve_range(range: &RangeExpression, reference: &Reference) -> Result<TimeRange, ApiError> {
    range.resolve(reference).map_err(wrong_range)
}

/// Reads the name of a time zone. `None` if it is empty.
pub fn time_zone(name: &str) -> Result<Option<TimeZone>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    let zone = flowmeter_core::zone::zone(name)
        .map_err(|error| ApiError::from(Violation::from(error).within("time_zone")))?;
    Ok(Some(zone))
}
