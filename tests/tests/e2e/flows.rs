//! Flows: their requests are counted, and metrics are computed from the counts.

mod availability;
mod endpoint;
mod examples;
mod model;
mod rejections;

use flowmeter_proto::v1::{
    CreateFlowRequest, Flow, FlowOutcome, FlowRequest, GetFlowMetricRequest, GetFlowMetricResponse,
    RecordFlowRequestsRequest, RecordFlowRequestsResponse,
};
use flowmeter_tests::Tenant;
use tonic::Status;

/// Registers a flow in a time zone.
async fn register(tenant: &Tenant, id: &str, time_zone: &str) {
    let flow = Flow { id: id.into(), time_zone: time_zone.into(), ..Flow::default() };
    let request = CreateFlowRequest { flow: Some(flow) };
    tenant.catalog.clone().create_flow(request).await.expect("a new flow");
}

/// Records requests under a request id.
async fn record(
    tenant: &Tenant,
    request_id: &str,
    requests: Vec<FlowRequest>,
) -> Result<RecordFlowRequestsResponse, Status> {
    let request = RecordFlowRequestsRequest { requests, request_id: request_id.into() };
    Ok(tenant.ingest.clone().record_flow_requests(request).await?.into_inner())
}

/// A query for a metric of a flow, after a request is applied.
fn query(flow: &str, name: &str, granularity: &str, after: &str) -> GetFlowMetricRequest {
    GetFlowMetricRequest {
        flow_id: flow.into(),
        name: name.into(),
        granularity: granularity.into(),
        after_request_id: after.into(),
        ..GetFlowMetricRequest::default()
    }
}

async fn ask(tenant: &Tenant, request: GetFlowMetricRequest) -> Result<GetFlowMetricResponse, Status> {
    Ok(tenant.query.clone().get_flow_metric(request).await?.into_inner())
}

/// A data point: its start in seconds, and its data.
type Point = (i64, Vec<(String, f64)>);

/// The points of an answer.
fn points(answer: GetFlowMetricResponse) -> Vec<Point> {
    let metric = answer.metric.expect("an answer has a metric");
    let data = |point: flowmeter_proto::v1::FlowDataPoint| {
        let data = point
            .data
            .into_iter()
            .map(|datum| {
                let value = datum.value();
                (datum.key, value)
            })
            .collect();
        (point.timestamp.expect("a point has a time").seconds, data)
    };
    metric.data_points.into_iter().map(data).collect()
}

/// `count` requests at a time, each taking 0.5 s.
fn requests(flow: &str, seconds: i64, outcome: FlowOutcome, count: i32) -> FlowRequest {
    FlowRequest {
        flow_id: flow.into(),
        timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        latency: Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 }),
        outcome: outcome.into(),
        count: Some(count),
    }
}
