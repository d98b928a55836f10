//! Reads a request for time series. Pure.

use std::collections::BTreeSet;

use flowmeter_contract::enums;
use flowmeter_core::asset::{Reading, urn_field};
use flowmeter_core::execution::LABELS;
use flowmeter_core::filter::Filter;
use flowmeter_core::range::RangeExpression;
use flowmeter_core::usage::Field;
use flowmeter_core::violation::{Kind, Violation};
use flowmeter_proto::v1::{self, QueryExecutionsRequest, QueryTimeSeriesRequest};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::time_series::NewTimeSeries;
use jiff::tz::TimeZone;

use super::asset_query;
use super::labels::group_by;
use super::parameters::{filter, filter_about, range, required_range, time_zone};

/// The calendar of a request for time series that names none.
pub const DEFAULT_CALENDAR: &str = "#PT1H";

/// The range of a request for executions that names none: the last 7 days, as dashboards show them.
const DEFAULT_EXECUTION_RANGE: &str = "from(T-7D)";

/// The subject of a metric, which decides what a request for it can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Events,
    Assets,
}

/// A request for time series, as far as it can be read without the store.
#[derive(Debug, Clone)]
pub struct QuerySpec {
    /// The aggregation. `None` for the default of the metric.
    pub observed: Option<Reading>,
    pub range: RangeExpression,
    pub filter: Filter,
    /// The labels to group by.
    pub group_by: Vec<Field>,
    /// The time zone. `None` for the time zone of the calendar.
    pub zone: Option<TimeZone>,
    /// The code of the calendar that divides the range into buckets. `None` if the range is one bucket.
    pub calendar: Option<String>,
    pub fill: Fill,
}

/// The points of buckets without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// No point.
    None,
    /// The value 0.
    Zero,
    /// A point without a value.
    Null,
}

impl QuerySpec {
    /// Reads a request for time series. If the request names a stored time series, its definition provides
    /// what the request leaves out.
    pub fn of_time_series(
        request: &QueryTimeSeriesRequest,
        subject: Subject,
        stored: Option<&NewTimeSeries>,
    ) -> Result<Self, ApiError> {
        if subject == Subject::Assets {
            asset_query::check_no_service(&request.service)?;
        }
        let calendar = Some(request.calendar.clone()).filter(|code| !code.is_empty());
        let spec = Self {
            range: required_range(&request.range)?,
            filter: time_series_filter(request, subject)?,
            observed: read_observed(request.observed, subject)?,
            group_by: match subject {
                Subject::Events => group_by(&request.group_by)?,
                Subject::Assets => asset_query::group_by(&request.group_by)?,
            },
            zone: time_zone(&request.time_zone)?,
            calendar: Some(calendar.unwrap_or_else(|| {
                let stored = stored.map(|series| series.calendar.clone()).filter(|code| !code.is_empty());
                stored.unwrap_or_else(|| DEFAULT_CALENDAR.to_owned())
            })),
            fill: read_fill(request.fill)?,
        };
        match stored {
            Some(series) => spec.within(series, subject),
            None => Ok(spec),
        }
    }

    /// Reads a request for executions, whose calls are events.
    pub fn of_executions(request: &QueryExecutionsRequest) -> Result<Self, ApiError> {
        for (index, label) in request.group_by.iter().enumerate() {
            if !LABELS.contains(&label.as_str()) {
                let shown: String = label.chars().take(40).collect();
                let text = format!("expected one of {}, found {shown:?}", LABELS.join(", "));
                return Err(ApiError::field(Reason::InvalidField, &format!("group_by[{index}]"), text));
            }
        }
        let filter = filter_about(&request.filter, &LABELS.map(Field::named))?;
        let asked_range = request.range.as_str();
        let spec = Self {
            observed: None,
            range: range(if asked_range.is_empty() { DEFAULT_EXECUTION_RANGE } else { asked_range })?,
            filter,
            group_by: group_by(&request.group_by)?,
            zone: time_zone(&request.time_zone)?,
            calendar: Some(request.calendar.clone()).filter(|code| !code.is_empty()),
            fill: Fill::None,
        };
        if spec.calendar.is_none() && spec.range.last().is_some() {
            let text = "expected a calendar, because range is the last of its buckets";
            let violation = Violation::new("calendar", text).of_kind(Kind::LastWithoutCalendar);
            return Err(ApiError::violation(Reason::InvalidCalendar, &violation));
        }
        Ok(spec)
    }

    /// The fields by which series are filtered and grouped.
    pub fn fields(&self) -> Vec<&Field> {
        let fields: BTreeSet<&Field> = self.filter.fields().into_iter().chain(&self.group_by).collect();
        fields.into_iter().collect()
    }

    /// Takes from a stored time series what the request leaves out, and combines both filters.
    fn within(self, series: &NewTimeSeries, subject: Subject) -> Result<Self, ApiError> {
        let filter = series_filter(&series.filter, subject)?;
        let zone = match self.zone {
            Some(zone) => Some(zone),
            None => time_zone(&series.time_zone)?,
        };
        let observed = self.observed.or(series.observed);
        Ok(Self { filter: filter.and(self.filter), zone, observed, ..self })
    }
}

/// Reads the filter of time series of a subject.
pub fn series_filter(text: &str, subject: Subject) -> Result<Filter, ApiError> {
    let filter = filter(text)?;
    if subject == Subject::Assets {
        asset_query::check_filter(&filter)?;
    }
    Ok(filter)
}

/// Reads how values of a subject are aggregated. `None` if the request does not specify it.
pub fn read_observed(number: i32, subject: Subject) -> Result<Option<Reading>, Violation> {
    match subject {
        Subject::Events => enums::observed("observed", number).map(|observed| observed.map(Reading::Numbers)),
        Subject::Assets => enums::reading("observed", number),
    }
}

/// The filter of a request, narrowed to its `service` and `key`.
fn time_series_filter(request: &QueryTimeSeriesRequest, subject: Subject) -> Result<Filter, ApiError> {
    let mut filter = series_filter(&request.filter, subject)?;
    let key = match subject {
        Subject::Events => Field::named("key"),
        Subject::Assets => urn_field(),
    };
    for (parameter, field, text) in
        [("service", Field::named("service"), &request.service), ("key", key, &request.key)]
    {
        if !text.is_empty() {
            let narrowed = Filter::equals(field, text).map_err(|expected| {
                ApiError::field(Reason::InvalidField, parameter, format!("expected {expected}"))
            })?;
            filter = filter.and(narrowed);
        }
    }
    Ok(filter)
}

fn read_fill(number: i32) -> Result<Fill, ApiError> {
    match v1::Fill::try_from(number) {
        Ok(v1::Fill::Unspecified) => Ok(Fill::None),
        Ok(v1::Fill::Zero) => Ok(Fill::Zero),
        Ok(v1::Fill::Null) => Ok(Fill::Null),
        Err(_) => {
            let text = format!("expected FILL_ZERO, FILL_NULL or none, found {number}");
            Err(ApiError::field(Reason::InvalidField, "fill", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_executions_names_labels_only() {
        let read = |filter: &str| {
            let request = QueryExecutionsRequest { filter: filter.into(), ..Default::default() };
            let spec = QuerySpec::of_executions(&request);
            spec.map(|spec| spec.filter.to_string())
                .map_err(|error| tonic::Status::from(error).message().to_owned())
        };
        let filter = r#"command = "url" AND type = "OutOfQuota""#;
        assert_eq!(read(filter).unwrap(), filter);
        let expected =
            "filter: at character 19: expected one of integration, instance, command, type, found \"Type\"";
        assert_eq!(read("command = url AND Type = OutOfQuota").unwrap_err(), expected);
    }
}
