//! Reads a question for time series, and decides how it is answered. Pure.

pub mod asset_list;
pub mod asset_series;
pub mod endpoint_url;
pub mod event_list;
pub mod update_mask;

use std::collections::BTreeSet;
use std::time::Duration;

use flowmeter_contract::enums;
use flowmeter_core::calendar::Calendar;
use flowmeter_core::filter::{Filter, FilterError};
use flowmeter_core::metric::{Definition, LabelSet, Observed};
use flowmeter_core::plan::{Piece, pieces};
use flowmeter_core::range::{RangeExpression, Reference, TimeRange};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};
use jiff::tz::TimeZone;

use crate::plan::bucket_grid::Frame;

/// The calendar of a question that names none.
pub const DEFAULT_CALENDAR: &str = "#PT1H";

/// Labels that tell series apart at most.
const MAX_GROUP_BY: usize = 8;

/// When a question was asked, and what that means for its ranges.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The one time to which everything in it is relative.
    pub now: Timestamp,
    /// How far ahead an event may be.
    pub ahead: Duration,
}

impl Asked {
    /// Reads a range on the clocks of a zone. None is all time.
    pub fn range(self, text: &str, zone: TimeZone) -> Result<TimeRange, ApiError> {
        if text.is_empty() {
            return Ok(TimeRange::ALL);
        }
        place(&expression(text)?, &self.reference(zone))
    }

    pub fn reference(self, zone: TimeZone) -> Reference {
        // The end of the microsecond that is just allowed.
        let horizon = self.now.plus(self.ahead).plus(Duration::from_micros(1));
        Reference { now: self.now, zone, horizon }
    }
}

fn expression(text: &str) -> Result<RangeExpression, ApiError> {
    text.parse::<RangeExpression>()
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))
}

pub fn place(expression: &RangeExpression, reference: &Reference) -> Result<TimeRange, ApiError> {
    expression
        .resolve(reference)
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))
}

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, ApiError> {
    Filter::parse(text).map_err(|error| wrong_filter(&error))
}

/// Reads a filter that is about these fields alone.
pub fn filter_about(text: &str, fields: &[Field]) -> Result<Filter, ApiError> {
    Filter::parse_about(text, fields).map_err(|error| wrong_filter(&error))
}

fn wrong_filter(error: &FilterError) -> ApiError {
    ApiError::field(Reason::InvalidFilter, "filter", error.to_string())
}

/// Reads the name of a time zone. None if there is none.
pub fn time_zone(name: &str) -> Result<Option<TimeZone>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    let zone = flowmeter_core::zone::zone(name)
        .map_err(|error| ApiError::field(Reason::InvalidField, "time_zone", error.to_string()))?;
    Ok(Some(zone))
}

/// Reads the name of a field, which stands in `field` of the request.
pub fn event_field(field: &str, name: &str) -> Result<Field, ApiError> {
    read_field(name).map_err(|expected| wrong_name(field, name, &expected))
}

fn wrong_name(field: &str, name: &str, expected: &str) -> ApiError {
    ApiError::field(Reason::InvalidField, field, format!("expected {expected}, found {name:?}"))
}

/// Reads the name of a field by which events are told apart: not of a measure.
pub fn label(field: &str, name: &str) -> Result<Field, ApiError> {
    read_label(name).map_err(|expected| wrong_name(field, name, &expected))
}

/// A label by a name that [`read_label`] reads again.
pub fn label_name(label: &Field) -> String {
    match Filter::field(label.name()) {
        Ok(_) => label.name().to_owned(),
        Err(_) => format!("attributes.{}", label.name()),
    }
}

/// [`label`], or what was expected in its place.
pub fn read_label(name: &str) -> Result<Field, String> {
    match read_field(name)? {
        Field::Duration | Field::ResponseSize | Field::Value => {
            Err("a field of text, an attribute or httpstatus".to_owned())
        }
        field => Ok(field),
    }
}

/// Bytes of the name of a field at most: as many as an attribute's name may have.
const MAX_NAME_BYTES: usize = 1_024;

/// A field by a name that means no other one where it is shown.
fn read_field(name: &str) -> Result<Field, String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("a name of at most {MAX_NAME_BYTES} bytes"));
    }
    match Filter::field(name.trim())? {
        Field::Attribute(name)
            if name.trim() != name
                || Filter::field(&name).is_ok_and(|other| other != Field::Attribute(name.clone())) =>
        {
            Err("a name that is not read as another one".to_owned())
        }
        field => Ok(field),
    }
}

/// Everything of a question that is understood without asking the store. What it can observe depends
/// on what it is about: here events, and in [`asset_series`] values of assets.
#[derive(Debug, Clone)]
pub struct Wording<O = Observed> {
    pub observed: Option<O>,
    pub range: RangeExpression,
    pub filter: Filter,
    pub group_by: Vec<Field>,
    pub zone: Option<TimeZone>,
    pub fill: Fill,
}

impl Wording {
    /// The fields by which series are chosen and told apart.
    pub fn fields(&self) -> Vec<&Field> {
        let fields: BTreeSet<&Field> = self.filter.fields().into_iter().chain(&self.group_by).collect();
        fields.into_iter().collect()
    }
}

/// What stands in buckets without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    None,
    Zero,
    Null,
}

/// Reads what a request says.
pub fn read(request: &v1::QueryTimeSeriesRequest) -> Result<Wording, ApiError> {
    let range = required_range(&request.range)?;
    let mut filter = filter(&request.filter)?;
    for (name, text) in [("service", &request.service), ("key", &request.key)] {
        filter = scoped(filter, name, Field::named(name), text)?;
    }
    Ok(Wording {
        observed: enums::observed("observed", request.observed).map_err(wrong_field)?,
        range,
        filter,
        group_by: group_by(&request.group_by)?,
        zone: time_zone(&request.time_zone)?,
        fill: fill(request.fill)?,
    })
}

fn required_range(text: &str) -> Result<RangeExpression, ApiError> {
    if text.is_empty() {
        let text = "expected a range such as from(2024-11-20), last(24) or 2024-11";
        return Err(ApiError::field(Reason::InvalidRange, "range", text));
    }
    expression(text)
}

/// The filter narrowed to a field's value, which stands in `name` of the request if there is one.
fn scoped(filter: Filter, name: &str, field: Field, text: &str) -> Result<Filter, ApiError> {
    if text.is_empty() {
        return Ok(filter);
    }
    let scope = Filter::equals(field, text)
        .map_err(|expected| ApiError::field(Reason::InvalidField, name, format!("expected {expected}")))?;
    Ok(filter.and(scope))
}

/// That a field holds what the contract does not have.
pub fn wrong_field(violation: Violation) -> ApiError {
    ApiError::violations(Reason::InvalidField, &[violation])
}

/// That an aggregation cannot be had.
pub fn wrong_observed(text: String) -> ApiError {
    ApiError::field(Reason::InvalidField, "observed", text)
}

fn group_by(names: &[String]) -> Result<Vec<Field>, ApiError> {
    let wrong =
        |index: usize, text: &str| ApiError::field(Reason::InvalidField, &format!("group_by[{index}]"), text);
    if names.len() > MAX_GROUP_BY {
        return Err(wrong(MAX_GROUP_BY, &format!("expected at most {MAX_GROUP_BY} labels")));
    }
    let mut fields = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let field = label(&format!("group_by[{index}]"), name)?;
        if fields.contains(&field) {
            return Err(wrong(index, "expected each label once"));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn fill(number: i32) -> Result<Fill, ApiError> {
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

/// A question that can be answered.
#[derive(Debug)]
pub struct Question<'a> {
    pub definition: &'a Definition,
    pub observed: Observed,
    pub filter: Filter,
    pub frame: Frame,
    pub label_set: Option<&'a LabelSet>,
    pub pieces: Vec<Piece>,
}

/// Decides how a question for the sum over all of a range is answered: as one bucket.
pub fn plan_total(
    wording: Wording,
    metric: (&Definition, Timestamp),
    asked: Asked,
) -> Result<Question<'_>, ApiError> {
    let frame = Frame::whole(&wording, asked)?;
    Ok(framed(wording, metric, frame))
}

/// Decides how a question is answered: the metric is rolled up to the given time.
pub fn plan(
    wording: Wording,
    metric: (&Definition, Timestamp),
    calendar: Calendar,
    asked: Asked,
    max_points: u64,
) -> Result<Question<'_>, ApiError> {
    let frame = Frame::cut(&wording, calendar, asked, max_points)?;
    Ok(framed(wording, metric, frame))
}

fn framed(wording: Wording, metric: (&Definition, Timestamp), frame: Frame) -> Question<'_> {
    let (definition, rolled_up_to) = metric;
    let label_set = definition.covering(&wording.fields());
    let resolutions = label_set.map_or(&[][..], |set| set.resolutions);
    let pieces = pieces(frame.range, &frame.bucket_starts, resolutions, rolled_up_to);
    let observed = wording.observed.unwrap_or(definition.default_observed);
    Question { definition, observed, filter: wording.filter, frame, label_set, pieces }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::metric::Catalog;
    use flowmeter_core::plan::Source;
    use flowmeter_core::resolution::Resolution;

    const METRIC: &str = "ODSLRequest/ReadRequests";

    fn asked(
        calendar: &str,
        change: impl FnOnce(&mut v1::QueryTimeSeriesRequest),
    ) -> Result<Question<'static>, String> {
        let mut request =
            v1::QueryTimeSeriesRequest { range: "2024-11".into(), ..v1::QueryTimeSeriesRequest::default() };
        change(&mut request);
        let asked =
            Asked { now: Timestamp::from_micros(1_800_000_000_000_000), ahead: Duration::from_hours(1) };
        let message = |error| tonic::Status::from(error).message().to_owned();
        let wording = read(&request).map_err(message)?;
        let metric = (Catalog::built_in().metric(METRIC).unwrap(), Timestamp::END);
        plan(wording, metric, Calendar::parse(calendar).unwrap(), asked, 25_000).map_err(message)
    }

    fn source(change: impl FnOnce(&mut v1::QueryTimeSeriesRequest)) -> Source {
        asked("#PT1H", change).unwrap().pieces[0].source
    }

    #[test]
    fn a_kept_label_set_answers_and_else_the_events() {
        let (hour, events) = (Source::Rollup(Resolution::Hour), Source::Events);
        let filtered = |filter: &str| source(|request| request.filter = filter.into());
        assert_eq!(filtered(""), hour);
        assert_eq!(filtered("service = object OR service = data"), hour);
        assert_eq!(filtered("method = get"), hour);
        assert_eq!(filtered("method = get AND application =~ 'api'"), hour);
        assert_eq!(filtered("method = get AND service = object"), events);
        let grouped = |filter: &str, labels: &[&str]| {
            source(|request| {
                request.filter = filter.into();
                request.group_by = labels.iter().map(ToString::to_string).collect();
            })
        };
        assert_eq!(grouped("method = get", &["application"]), hour);
        assert_eq!(grouped("", &["httpstatus"]), hour);
        assert_eq!(grouped("", &["httpstatus", "service"]), events);
        assert_eq!(source(|request| request.service = "object".into()), hour);
        assert_eq!(source(|request| request.key = "#HENG".into()), events);
    }

    #[test]
    fn the_clock_of_the_zone_decides_where_to_read() {
        let zone = |zone: &str| {
            let question = asked("#P1D", |request| request.time_zone = zone.into()).unwrap();
            (question.pieces[0].source, question.frame.range.start.to_string())
        };
        assert_eq!(zone(""), (Source::Rollup(Resolution::Day), "2024-11-01T00:00:00Z".into()));
        assert_eq!(
            zone("America/New_York"),
            (Source::Rollup(Resolution::Hour), "2024-11-01T04:00:00Z".into())
        );
        assert_eq!(
            zone("Asia/Kathmandu"),
            (Source::Rollup(Resolution::QuarterHour), "2024-10-31T18:15:00Z".into())
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, expected) in [
            (
                (|request| request.range = String::new()) as fn(&mut v1::QueryTimeSeriesRequest),
                "range: expected a range such as from(2024-11-20), last(24) or 2024-11",
            ),
            (
                |request| request.filter = "a".into(),
                "filter: at character 2: expected an operator: =, !=, <, <=, >, >=, =~, !~, IN, NOT IN or :*",
            ),
            (
                |request| request.observed = 99,
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, found 99",
            ),
            (
                |request| request.observed = v1::Observed::CountTrue.into(),
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, \
                 because the others are of booleans of assets, found OBSERVED_COUNT_TRUE",
            ),
            (
                |request| request.group_by = vec!["user".into(), "user".into()],
                "group_by[1]: expected each label once",
            ),
            (
                |request| request.range = "2024".into(),
                "range: the range has 527040 buckets, at most 25000 are allowed: take a coarser calendar or a shorter range",
            ),
        ] {
            assert_eq!(asked("#PT1M", change).unwrap_err(), expected);
        }
    }

    #[test]
    fn the_last_buckets_end_with_the_one_of_now() {
        let question = asked("#PT1H", |request| request.range = "last(2)".into()).unwrap();
        assert_eq!(question.frame.range.start.to_string(), "2027-01-15T07:00:00Z");
        assert_eq!(question.frame.bucket_starts.len(), 2);
    }
}
