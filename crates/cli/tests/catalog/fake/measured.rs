//! The services that take and answer what was measured of flows and executions, beside the catalog.

use std::collections::HashMap;

use flowmeter_proto::v1::{
    self as api, ingest_service_server::IngestService, query_service_server::QueryService,
};
use tonic::{Code, Request, Response, Status, Streaming, codegen::BoxStream};
use tonic_types::{ErrorDetails, StatusExt};

use super::{Answer, Fake, absent, not_found};

/// What is wrong with an item, if anything is.
fn rejection(index: usize, item: &api::FlowRequest, is_known: bool) -> Option<api::Rejection> {
    let (reason, field, description) = match item.count {
        _ if !is_known => ("UNKNOWN_FLOW", "flow_id", format!("there is no flow \"{}\"", item.flow_id)),
        Some(count @ 100_000_001..) => {
            ("INVALID_FIELD", "count", format!("expected 1 to 100000000, found {count}"))
        }
        _ => return None,
    };
    let violation = api::FieldViolation { field: format!("requests[{index}].{field}"), description };
    let index = index.try_into().unwrap();
    Some(api::Rejection { index, reason: reason.into(), field_violations: vec![violation] })
}

#[tonic::async_trait]
impl IngestService for Fake {
    async fn record_flow_requests(
        &self,
        request: Request<api::RecordFlowRequestsRequest>,
    ) -> Answer<api::RecordFlowRequestsResponse> {
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        memory.reports.push(request.clone());
        if memory.failures > 0 {
            memory.failures -= 1;
            return Err(Status::unavailable("the broker is away"));
        }
        let is_known = |item: &api::FlowRequest| memory.flows.contains_key(&item.flow_id);
        let items = request.requests.iter().enumerate();
        let rejections: Vec<_> =
            items.filter_map(|(index, item)| rejection(index, item, is_known(item))).collect();
        let accepted_count = (request.requests.len() - rejections.len()).try_into().unwrap();
        let request_id = request.request_id;
        Ok(Response::new(api::RecordFlowRequestsResponse { request_id, accepted_count, rejections }))
    }

    async fn report_executions(
        &self,
        request: Request<api::ReportExecutionsRequest>,
    ) -> Answer<api::ReportExecutionsResponse> {
        self.report(request.into_inner())
    }

    async fn emit_asset_metrics(
        &self,
        request: Request<api::EmitAssetMetricsRequest>,
    ) -> Answer<api::EmitAssetMetricsResponse> {
        self.emit_asset_metrics(request.into_inner())
    }

    async fn batch_emit_asset_metrics(
        &self,
        request: Request<api::BatchEmitAssetMetricsRequest>,
    ) -> Answer<api::BatchEmitAssetMetricsResponse> {
        self.batch_emit_asset_metrics(request.into_inner())
    }

    async fn record_usage(&self, _: Request<api::RecordUsageRequest>) -> Answer<api::RecordUsageResponse> {
        absent()
    }

    type StreamUsageStream = BoxStream<api::StreamUsageResponse>;

    async fn stream_usage(
        &self,
        _: Request<Streaming<api::StreamUsageRequest>>,
    ) -> Answer<Self::StreamUsageStream> {
        absent()
    }
}

#[tonic::async_trait]
impl QueryService for Fake {
    async fn list_asset_metrics(
        &self,
        request: Request<api::ListAssetMetricsRequest>,
    ) -> Answer<api::ListAssetMetricsResponse> {
        self.list_asset_metrics(request.into_inner())
    }

    async fn get_latest_asset_metrics(
        &self,
        request: Request<api::GetLatestAssetMetricsRequest>,
    ) -> Answer<api::GetLatestAssetMetricsResponse> {
        self.latest_asset_metrics(&request.into_inner())
    }

    async fn list_assets(&self, request: Request<api::ListAssetsRequest>) -> Answer<api::ListAssetsResponse> {
        Ok(Response::new(self.list_assets(&request.into_inner())))
    }

    async fn get_flow_metric(
        &self,
        request: Request<api::GetFlowMetricRequest>,
    ) -> Answer<api::GetFlowMetricResponse> {
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        memory.asked.push(request.clone());
        if memory.is_denied {
            return Err(Status::permission_denied("the token has no scope query"));
        }
        if let Some(have) = memory.too_few {
            let metadata = HashMap::from([("have".into(), have.to_string()), ("need".into(), "250".into())]);
            let details = ErrorDetails::with_error_info("NOT_ENOUGH_DATA", "flowmeter", metadata);
            let message = format!("the flow has had {have} requests, and its metrics need 250");
            return Err(Status::with_error_details(Code::FailedPrecondition, message, details));
        }
        // Of a deleted flow there are points.
        let time_zone = match memory.flows.get(&request.flow_id) {
            Some(flow) => flow.time_zone.clone(),
            None if memory.metrics.is_empty() => return Err(not_found("flow", &request.flow_id)),
            None => "Asia/Kolkata".into(),
        };
        let metric = api::FlowMetric {
            granularity: request.granularity.to_uppercase(),
            data_points: memory.metrics.get(request.name.as_str()).cloned().unwrap_or_default(),
            name: request.name,
        };
        Ok(Response::new(api::GetFlowMetricResponse {
            id: request.flow_id,
            metric: Some(metric),
            fresh_through: Some(prost_types::Timestamp { seconds: 1_706_608_800, nanos: 0 }),
            time_zone,
        }))
    }

    async fn query_executions(
        &self,
        request: Request<api::QueryExecutionsRequest>,
    ) -> Answer<api::QueryExecutionsResponse> {
        Ok(Response::new(self.calls(request.into_inner())))
    }

    async fn get_receipt(&self, _: Request<api::GetReceiptRequest>) -> Answer<api::GetReceiptResponse> {
        absent()
    }

    /// There is no metric to be read.
    async fn query_time_series(
        &self,
        request: Request<api::QueryTimeSeriesRequest>,
    ) -> Answer<api::QueryTimeSeriesResponse> {
        Err(not_found("metric", &request.into_inner().metric))
    }

    async fn get_build_info(
        &self,
        _: Request<api::GetBuildInfoRequest>,
    ) -> Answer<api::GetBuildInfoResponse> {
        absent()
    }

    async fn get_usage_event(
        &self,
        _: Request<api::GetUsageEventRequest>,
    ) -> Answer<api::GetUsageEventResponse> {
        absent()
    }

    async fn list_usage_events(
        &self,
        _: Request<api::ListUsageEventsRequest>,
    ) -> Answer<api::ListUsageEventsResponse> {
        absent()
    }

    async fn list_field_values(
        &self,
        _: Request<api::ListFieldValuesRequest>,
    ) -> Answer<api::ListFieldValuesResponse> {
        absent()
    }
}
