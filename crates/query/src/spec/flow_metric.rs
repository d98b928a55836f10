//! Reads a request for a metric of a flow. Pure.

use flowmeter_core::flow::{Days, FlowMetric, Granularity, check_flow_id};
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::GetFlowMetricRequest;
use flowmeter_service::error::{ApiError, Reason};

/// A metric of a flow, and the days for which it is read.
#[derive(Debug, PartialEq, Eq)]
pub struct FlowMetricSpec {
    pub metric: FlowMetric,
    pub granularity: Granularity,
    pub days: Days,
}

/// Reads a request.
pub fn read(request: &GetFlowMetricRequest) -> Result<FlowMetricSpec, ApiError> {
    check_flow_id("flow_id", &request.flow_id)?;
    let metric = FlowMetric::named(&request.name)
        .ok_or_else(|| expected("name", &FlowMetric::ALL.map(FlowMetric::name), &request.name))?;
    let granularity = Granularity::named(&request.granularity).ok_or_else(|| {
        expected("granularity", &Granularity::ALL.map(Granularity::name), &request.granularity)
    })?;
    let days = Days::parse(&request.since, &request.until).map_err(out_of_range)?;
    Ok(FlowMetricSpec { metric, granularity, days })
}

fn expected(field: &str, names: &[&str], found: &str) -> ApiError {
    let found: String = found.chars().take(40).collect();
    let text = format!("expected one of {}, found {found:?}", names.join(", "));
    ApiError::field(Reason::InvalidField, field, text)
}

/// The error for days that do not exist or have no data.
pub fn out_of_range(violation: Violation) -> ApiError {
    ApiError::violations(Reason::InvalidRange, &[violation])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(change: impl FnOnce(&mut GetFlowMetricRequest)) -> Result<FlowMetricSpec, String> {
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
        let sample = spec(|_| {}).unwrap();
        assert_eq!((sample.metric, sample.granularity), (FlowMetric::RequestError, Granularity::Day));
        assert_eq!(sample.days, Days::parse("2024-01-28", "2024-01-30").unwrap());
        let open = spec(|it| (it.since, it.until) = (String::new(), String::new())).unwrap();
        assert_eq!(open.days, Days::default());
    }

    #[test]
    fn errors_name_the_wrong_field() {
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
                "until: at character 1: expected a year of four digits, such as 2026, found \"tomorrow\"",
            ),
            (
                |it| it.since = "2024-02-30".into(),
                "since: at character 9: expected a day from 01 to 29, because February 2024 has 29 days, found 30",
            ),
        ] {
            assert_eq!(spec(change).unwrap_err(), expected);
        }
    }
}
