//! `GetFlowMetric`: a metric of a flow by days, hours or as a whole.

use flowmeter_contract::time::to_proto;
use flowmeter_core::flow::{Counters, Days, FlowMetric, Granularity, Period, check_flow_id};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::{self, FlowDataPoint, FlowDatum, GetFlowMetricRequest, GetFlowMetricResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::flows::{Edges, read_flow_history};
use jiff::tz::TimeZone;
use tonic::metadata::MetadataMap;

use super::Query;
use crate::spec;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &GetFlowMetricRequest,
) -> Result<GetFlowMetricResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let now = Timestamp::now();
    let id = request.flow_id.as_str();
    let Question { metric, granularity, days } = read(request)?;
    query.after(tenant, &request.after_request_id, deadline).await?;

    let edges = Edges {
        within: days.edges_within(granularity, now),
        are_midnights: granularity != Granularity::Hour,
    };
    let _turn = query.turns.take(tenant).await?;
    let history = read_flow_history(&query.store, tenant, id, &edges).await?;
    let history = history.ok_or_else(|| ApiError::not_found("flow", id))?;
    let zone = spec::time_zone(&history.time_zone).map_err(|error| error.within("flow"))?;
    let beginning = history.first.map_or(history.created_at, |first| first.min(history.created_at));
    let period = Period::new(granularity, days, &zone.unwrap_or(TimeZone::UTC), now, beginning)
        .map_err(out_of_range)?;
    let need = i64::from(query.flow_min_requests);
    if history.requests < need {
        return Err(ApiError::not_enough_data(history.requests, need));
    }

    let edges: Vec<_> = period.starts.iter().copied().chain([period.end]).collect();
    let found = history.counters(&edges)?;
    Ok(GetFlowMetricResponse {
        id: id.to_owned(),
        metric: Some(v1::FlowMetric {
            granularity: granularity.name().to_owned(),
            name: metric.name().to_owned(),
            data_points: data_points(metric, &period.starts, &found),
        }),
        fresh_through: history.fresh_through.map(to_proto),
        time_zone: history.time_zone,
    })
}

/// What a request says.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    metric: FlowMetric,
    granularity: Granularity,
    days: Days,
}

fn read(request: &GetFlowMetricRequest) -> Result<Question, ApiError> {
    check_flow_id("flow_id", &request.flow_id)?;
    let metric = FlowMetric::named(&request.name)
        .ok_or_else(|| expected("name", &FlowMetric::ALL.map(FlowMetric::name), &request.name))?;
    let granularity = Granularity::named(&request.granularity).ok_or_else(|| {
        expected("granularity", &Granularity::ALL.map(Granularity::name), &request.granularity)
    })?;
    let days = Days::parse(&request.since, &request.until).map_err(out_of_range)?;
    Ok(Question { metric, granularity, days })
}

fn expected(field: &str, names: &[&str], found: &str) -> ApiError {
    let found: String = found.chars().take(40).collect();
    let text = format!("expected one of {}, found {found:?}", names.join(", "));
    ApiError::field(Reason::InvalidField, field, text)
}

fn out_of_range(violation: Violation) -> ApiError {
    ApiError::violations(Reason::InvalidRange, &[violation])
}

/// The points that have data.
fn data_points(metric: FlowMetric, starts: &[Timestamp], found: &[(usize, Counters)]) -> Vec<FlowDataPoint> {
    let datum = |(key, value): (&'static str, f64)| FlowDatum { key: key.to_owned(), value: Some(value) };
    let point = |(index, counters): &(usize, Counters)| FlowDataPoint {
        timestamp: Some(to_proto(starts[*index])),
        data: metric.data(counters).into_iter().map(datum).collect(),
    };
    found.iter().map(point).filter(|point| !point.data.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::flow::{Counter, Latency, Outcome};

    fn asked(change: impl FnOnce(&mut GetFlowMetricRequest)) -> Result<Question, String> {
        let mut request = GetFlowMetricRequest {
            flow_id: "f".into(),
            name: "ENDPOINT_REQUEST_ERROR".into(),
            granularity: "day".into(),
            since: "2024-01-28".into(),
            until: "2024-01-30".into(),
            ..GetFlowMetricRequest::default()
        };
        change(&mut request);
        read(&request).map_err(|error| tonic::Status::from(error).message().to_owned())
    }

    #[test]
    fn the_sample_request_of_the_reference_is_read() {
        let question = asked(|_| {}).unwrap();
        assert_eq!((question.metric, question.granularity), (FlowMetric::RequestError, Granularity::Day));
        assert_eq!(question.days, Days::parse("2024-01-28", "2024-01-30").unwrap());
        let open = asked(|it| (it.since, it.until) = (String::new(), String::new())).unwrap();
        assert_eq!(open.days, Days::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, expected) in [
            (
                (|it| it.flow_id = String::new()) as fn(&mut GetFlowMetricRequest),
                "flow_id: expected 1 to 128 bytes without control characters",
            ),
            (
                |it| it.name = "REQUESTS".into(),
                "name: expected one of ENDPOINT_REQUEST_COUNT, ENDPOINT_REQUEST_ERROR, \
                 ENDPOINT_REQUEST_ERROR_RATE, ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL, ENDPOINT_AVAILABILITY, \
                 found \"REQUESTS\"",
            ),
            (
                |it| it.granularity = String::new(),
                "granularity: expected one of DAY, HOUR, LIFETIME, found \"\"",
            ),
            (
                |it| it.until = "tomorrow".into(),
                "until: at character 1: expected a year of four digits, such as 2026, found tomorrow",
            ),
            (
                |it| it.since = "2024-02-30".into(),
                "since: at character 9: expected a day from 01 to 29, because February 2024 has 29 days, found 30",
            ),
        ] {
            assert_eq!(asked(change).unwrap_err(), expected);
        }
    }

    #[test]
    fn points_without_data_are_left_out() {
        let starts: Vec<_> = (0..3).map(|day| Timestamp::from_micros(day * 86_400_000_000)).collect();
        let mut succeeded = Counters::default();
        succeeded.add_requests(Outcome::Succeeded, Latency::of(1, 0), 3);
        let mut failed = succeeded;
        failed.add(Counter::Requests(Outcome::TimeoutError), 1);
        let found = [(0, succeeded), (2, failed)];
        let shown = |metric| {
            let points = data_points(metric, &starts, &found).into_iter();
            let data = |point: FlowDataPoint| {
                let data = point.data.into_iter().map(|datum| format!("{} {}", datum.key, datum.value()));
                (point.timestamp.unwrap().seconds / 86_400, data.collect::<Vec<_>>())
            };
            points.map(data).collect::<Vec<_>>()
        };
        assert_eq!(shown(FlowMetric::RequestError), [(2, vec!["timeout_error 1".to_owned()])]);
        assert_eq!(
            shown(FlowMetric::RequestErrorRate),
            [(0, vec!["value 0".to_owned()]), (2, vec!["value 0.25".to_owned()])]
        );
        assert_eq!(shown(FlowMetric::Availability), []);
    }
}
