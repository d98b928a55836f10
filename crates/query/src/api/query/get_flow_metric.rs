//! `GetFlowMetric`: a metric of a flow for each day, for each hour or over its lifetime.

use flowmeter_contract::time::to_proto;
use flowmeter_core::flow::{Counters, FlowMetric, Granularity, Period};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{self, FlowDataPoint, FlowDatum, GetFlowMetricRequest, GetFlowMetricResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::flows::{Edges, read_flow_history};
use jiff::tz::TimeZone;
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::spec::flow_metric::{self, FlowMetricSpec, out_of_range};
use crate::spec::parameters::time_zone;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &GetFlowMetricRequest,
) -> Result<GetFlowMetricResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let now = Timestamp::now();
    let id = request.flow_id.as_str();
    let FlowMetricSpec { metric, granularity, days } = flow_metric::read(request)?;
    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;

    let edges = Edges {
        within: days.edges_within(granularity, now),
        are_midnights: granularity != Granularity::Hour,
    };
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let history = read_flow_history(&api.store, tenant, id, &edges).await?;
    let history = history.ok_or_else(|| ApiError::not_found("flow", id))?;
    let zone = time_zone(&history.time_zone).map_err(|error| error.within("flow"))?;
    let beginning = history.first.map_or(history.created_at, |first| first.min(history.created_at));
    let period = Period::new(granularity, days, &zone.unwrap_or(TimeZone::UTC), now, beginning)
        .map_err(out_of_range)?;
    let need = i64::from(api.flow_min_requests);
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
