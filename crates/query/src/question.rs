//! Reads a question for a time series, and decides how it is answered. Pure.

use std::time::Duration;

use flowmeter_core::calendar::Calendar;
use flowmeter_core::filter::Filter;
use flowmeter_core::metric::{Catalog, Definition, LabelSet, Observed};
use flowmeter_core::plan::{Piece, pieces};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};

/// The calendar of a question that names none.
const DEFAULT_CALENDAR: &str = "#PT1H";

/// A question that can be answered.
#[derive(Debug)]
pub struct Question<'a> {
    pub definition: &'a Definition,
    pub calendar: Calendar,
    pub observed: Observed,
    pub range: TimeRange,
    pub filter: Filter,
    pub label_set: Option<&'a LabelSet>,
    pub pieces: Vec<Piece>,
    pub bucket_starts: Vec<Timestamp>,
}

/// Reads the question that was asked at `now`.
pub fn read<'a>(
    request: &v1::QueryTimeSeriesRequest,
    catalog: &'a Catalog,
    now: Timestamp,
    ahead: Duration,
    max_points: u64,
) -> Result<Question<'a>, ApiError> {
    let definition = metric(&request.metric, catalog)?;
    let observed = observed(request.observed)?.unwrap_or(definition.default_observed);
    let code = if request.calendar.is_empty() { DEFAULT_CALENDAR } else { &request.calendar };
    let calendar: Calendar = code
        .parse()
        .map_err(|error| ApiError::field(Reason::InvalidCalendar, "calendar", format!("{error}")))?;
    if request.range.is_empty() {
        let text = "expected a range such as from(2024-11-20) or 2024-11";
        return Err(ApiError::field(Reason::InvalidRange, "range", text));
    }
    let range = range(&request.range, now, ahead)?;
    let filter = filter(&request.filter)?;
    let bucket_starts = calendar
        .bucket_starts(range, max_points)
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))?;
    let label_set = covering(definition, &filter);
    let resolutions = label_set.map_or(&[][..], |set| set.resolutions);
    let pieces = pieces(range, &bucket_starts, resolutions);
    Ok(Question { definition, calendar, observed, range, filter, label_set, pieces, bucket_starts })
}

/// Reads a range as it was asked at `now`. None is all time.
pub fn range(text: &str, now: Timestamp, ahead: Duration) -> Result<TimeRange, ApiError> {
    if text.is_empty() {
        return Ok(TimeRange::ALL);
    }
    // The end of the microsecond that is just allowed.
    let horizon = now.plus(ahead).plus(Duration::from_micros(1));
    TimeRange::parse(text, horizon)
        .map_err(|error| ApiError::field(Reason::InvalidRange, "range", error.to_string()))
}

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, ApiError> {
    Filter::parse(text).map_err(|error| ApiError::field(Reason::InvalidFilter, "filter", error.to_string()))
}

fn metric<'a>(name: &str, catalog: &'a Catalog) -> Result<&'a Definition, ApiError> {
    if name.split('/').filter(|part| !part.is_empty()).count() != 2 {
        let text = "expected provider/name, such as ODSLRequest/ReadRequests";
        return Err(ApiError::field(Reason::InvalidField, "metric", text));
    }
    catalog.metric(name).ok_or_else(|| ApiError::not_found("metric", name))
}

fn observed(number: i32) -> Result<Option<Observed>, ApiError> {
    Ok(Some(match v1::Observed::try_from(number) {
        Ok(v1::Observed::Unspecified) => return Ok(None),
        Ok(v1::Observed::Summed) => Observed::Summed,
        Ok(v1::Observed::Averaged) => Observed::Averaged,
        Ok(v1::Observed::High) => Observed::High,
        Ok(v1::Observed::Low) => Observed::Low,
        Ok(v1::Observed::Beginning) => Observed::Beginning,
        Ok(v1::Observed::End) => Observed::End,
        Err(_) => {
            let text = format!(
                "expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, found {number}"
            );
            return Err(ApiError::field(Reason::InvalidField, "observed", text));
        }
    }))
}

/// As the contract writes it.
pub fn observed_to_proto(observed: Observed) -> v1::Observed {
    match observed {
        Observed::Summed => v1::Observed::Summed,
        Observed::Averaged => v1::Observed::Averaged,
        Observed::High => v1::Observed::High,
        Observed::Low => v1::Observed::Low,
        Observed::Beginning => v1::Observed::Beginning,
        Observed::End => v1::Observed::End,
    }
}

/// The smallest kept label set that has every field of the filter.
fn covering<'a>(definition: &'a Definition, filter: &Filter) -> Option<&'a LabelSet> {
    let covers =
        |set: &&LabelSet| filter.conditions.iter().all(|condition| set.labels.contains(&condition.field));
    definition.label_sets.iter().filter(covers).min_by_key(|set| set.labels.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::plan::{Resolution, Source};

    fn asked(change: impl FnOnce(&mut v1::QueryTimeSeriesRequest)) -> Result<Question<'static>, String> {
        let mut request = v1::QueryTimeSeriesRequest {
            metric: "ODSLRequest/ReadRequests".into(),
            range: "2024-11".into(),
            ..v1::QueryTimeSeriesRequest::default()
        };
        change(&mut request);
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        read(&request, Catalog::built_in(), now, Duration::from_hours(1), 25_000)
            .map_err(|error| tonic::Status::from(error).message().to_owned())
    }

    fn source(filter: &str) -> Source {
        asked(|request| request.filter = filter.into()).unwrap().pieces[0].source
    }

    #[test]
    fn a_kept_label_set_answers_and_else_the_events() {
        let quarter = Source::Rollup(Resolution::Quarter);
        assert_eq!(source(""), quarter);
        assert_eq!(source("service = object"), quarter);
        assert_eq!(source("method = get"), quarter);
        assert_eq!(source("method = get AND application = api"), quarter);
        assert_eq!(source("method = get AND service = object"), Source::Events);
        assert_eq!(source("key = '#HENG'"), Source::Events);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, expected) in [
            (
                (|request| request.metric = "ReadRequests".into()) as fn(&mut v1::QueryTimeSeriesRequest),
                "metric: expected provider/name, such as ODSLRequest/ReadRequests",
            ),
            (
                |request| request.metric = "ODSLRequest/Nothing".into(),
                "there is no metric \"ODSLRequest/Nothing\"",
            ),
            (
                |request| request.range = String::new(),
                "range: expected a range such as from(2024-11-20) or 2024-11",
            ),
            (|request| request.filter = "a".into(), "filter: at character 2: expected ="),
            (
                |request| request.observed = 99,
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, found 99",
            ),
            (
                |request| request.calendar = "#PT1M".into(),
                "range: the range has 43200 buckets, at most 25000 are allowed: take a coarser calendar or a shorter range",
            ),
        ] {
            assert_eq!(asked(change).unwrap_err(), expected);
        }
    }

    #[test]
    fn defaults_are_the_metrics_own() {
        let count = asked(|_| {}).unwrap();
        assert_eq!((count.observed, count.calendar.to_string().as_str()), (Observed::Summed, "#PT1H"));
        let duration = asked(|request| request.metric = "ODSLRequest/ReadRequestDuration".into()).unwrap();
        assert_eq!(duration.observed, Observed::Averaged);
    }
}
