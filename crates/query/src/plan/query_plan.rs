//! How a request for time series of events is answered: which label set of the metric it reads, and which pieces of its
//! range are read from roll-ups.

use flowmeter_core::asset::Reading;
use flowmeter_core::metric::{LabelSet, MetricDefinition, Observed};
use flowmeter_core::plan::{Piece, pieces};
use flowmeter_core::timestamp::Timestamp;

use super::bucket_grid::BucketGrid;
use crate::spec::query::QuerySpec;

/// The plan for reading the answer to a request.
#[derive(Debug)]
pub struct QueryPlan<'a> {
    pub spec: &'a QuerySpec,
    pub grid: &'a BucketGrid,
    /// The metric that is read.
    pub definition: &'a MetricDefinition,
    pub observed: Observed,
    /// The label set of the metric that covers the filter and the labels. `None` if everything is read from
    /// events.
    pub label_set: Option<&'a LabelSet>,
    /// The pieces of the range and their sources.
    pub pieces: Vec<Piece>,
}

impl<'a> QueryPlan<'a> {
    /// Plans how to read a metric whose roll-ups contain all events before `rolled_up_to`. `default_observed`
    /// is the aggregation if the request does not specify one.
    pub fn new(
        spec: &'a QuerySpec,
        grid: &'a BucketGrid,
        (definition, rolled_up_to): (&'a MetricDefinition, Timestamp),
        default_observed: Observed,
    ) -> Self {
        let label_set = definition.covering(&spec.fields());
        let resolutions = label_set.map_or(&[][..], |set| set.resolutions);
        let pieces = pieces(grid.range, &grid.starts, resolutions, rolled_up_to);
        let observed = spec.observed.and_then(Reading::of_numbers).unwrap_or(default_observed);
        Self { spec, grid, definition, observed, label_set, pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use flowmeter_core::calendar::Calendar;
    use flowmeter_core::metric::Catalog;
    use flowmeter_core::plan::Source;
    use flowmeter_core::resolution::Resolution;
    use flowmeter_proto::v1::{self, QueryTimeSeriesRequest};

    use crate::spec::clock::RequestClock;
    use crate::spec::query::Subject;

    const METRIC: &str = "ODSLRequest/ReadRequests";

    /// The pieces and the grid of a request.
    fn plan(
        calendar: &str,
        change: impl FnOnce(&mut QueryTimeSeriesRequest),
    ) -> Result<(Vec<Piece>, BucketGrid), String> {
        let mut request =
            QueryTimeSeriesRequest { range: "2024-11".into(), ..QueryTimeSeriesRequest::default() };
        change(&mut request);
        let clock = RequestClock {
            now: Timestamp::from_micros(1_800_000_000_000_000),
            max_event_ahead: Duration::from_hours(1),
        };
        let message = |error| tonic::Status::from(error).message().to_owned();
        let spec = QuerySpec::of_time_series(&request, Subject::Events, None).map_err(message)?;
        let calendar = Calendar::parse(calendar).unwrap();
        let grid = BucketGrid::new(&spec, Some(calendar), clock, 25_000).map_err(message)?;
        let metric = (Catalog::built_in().metric(METRIC).unwrap(), Timestamp::END);
        let pieces = QueryPlan::new(&spec, &grid, metric, Observed::Summed).pieces;
        Ok((pieces, grid))
    }

    fn source(change: impl FnOnce(&mut QueryTimeSeriesRequest)) -> Source {
        plan("#PT1H", change).unwrap().0[0].source
    }

    #[test]
    fn a_label_set_that_covers_the_request_is_read_and_otherwise_the_events() {
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
    fn the_time_zone_decides_which_roll_ups_are_read() {
        let zone = |zone: &str| {
            let (pieces, grid) = plan("#P1D", |request| request.time_zone = zone.into()).unwrap();
            (pieces[0].source, grid.range.start.to_string())
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
    fn errors_name_the_wrong_field() {
        for (change, expected) in [
            (
                (|request| request.range = String::new()) as fn(&mut QueryTimeSeriesRequest),
                "range: expected a range such as from(2024-11-20), last(24) or 2024-11",
            ),
            (
                |request| request.filter = "a".into(),
                "filter: at character 2: expected an operator: =, !=, <, <=, >, >=, =~, !~, IN, NOT IN or :*, found the end",
            ),
            (
                |request| request.observed = 99,
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, found 99",
            ),
            (
                |request| request.observed = v1::Observed::CountTrue.into(),
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, \
                 because the others are for booleans of assets, found OBSERVED_COUNT_TRUE",
            ),
            (
                |request| request.group_by = vec!["user".into(), "user".into()],
                "group_by[1]: expected each label once",
            ),
            (
                |request| request.range = "2024".into(),
                "range: expected at most 25000 buckets, found 527040: choose a coarser calendar or a shorter range",
            ),
        ] {
            assert_eq!(plan("#PT1M", change).unwrap_err(), expected);
        }
    }

    #[test]
    fn the_last_buckets_end_with_the_current_one() {
        let (_, grid) = plan("#PT1H", |request| request.range = "last(2)".into()).unwrap();
        assert_eq!(grid.range.start.to_string(), "2027-01-15T07:00:00Z");
        assert_eq!(grid.starts.len(), 2);
    }
}
