//! The ingest service.

use flowmeter_proto::v1::ingest_service_server::IngestService;
use flowmeter_proto::v1::{
    AssetDocument, AssetMetric, BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse,
    EmitAssetMetricsRequest, EmitAssetMetricsResponse, RecordFlowRequestsRequest, RecordFlowRequestsResponse,
    RecordUsageRequest, RecordUsageResponse, ReportExecutionsRequest, ReportExecutionsResponse,
    StreamUsageRequest, StreamUsageResponse,
};
use tonic::{Request, Response, Status, Streaming};

use crate::state::Seen;
use crate::{NOW, Service, checks};

#[tonic::async_trait]
impl IngestService for Service {
    async fn record_usage(
        &self,
        request: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen = Seen { request_id: message.request_id, events: message.events, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(RecordUsageResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
            event_ids: Vec::new(),
        }))
    }

    async fn record_flow_requests(
        &self,
        request: Request<RecordFlowRequestsRequest>,
    ) -> Result<Response<RecordFlowRequestsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen =
            Seen { request_id: message.request_id, flow_requests: message.requests, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(RecordFlowRequestsResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
        }))
    }

    async fn report_executions(
        &self,
        request: Request<ReportExecutionsRequest>,
    ) -> Result<Response<ReportExecutionsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen = Seen { request_id: message.request_id, executions: message.reports, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(ReportExecutionsResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
        }))
    }

    async fn emit_asset_metrics(
        &self,
        request: Request<EmitAssetMetricsRequest>,
    ) -> Result<Response<EmitAssetMetricsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let EmitAssetMetricsRequest { asset_urn, timestamp, metrics, request_id, name, value, .. } = message;
        let single = (!name.is_empty()).then(|| AssetMetric { name, value, ..AssetMetric::default() });
        let document = AssetDocument { asset_urn, timestamp, metrics };
        let seen =
            Seen { request_id, documents: vec![document.clone()], single: single.clone(), ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        if let Some(violation) = answer.rejections.first().and_then(|item| item.field_violations.first()) {
            return Err(Status::invalid_argument(format!("{}: {}", violation.field, violation.description)));
        }
        let mut response = EmitAssetMetricsResponse {
            metrics: document.metrics,
            timestamp: document.timestamp.or(Some(NOW)),
            request_id: answer.request_id,
            ..EmitAssetMetricsResponse::default()
        };
        if self.0.is_strict() {
            for metric in &mut response.metrics {
                metric.value_type = checks::value_type(metric).unwrap();
            }
        }
        if let Some(single) = single {
            response.value_type = checks::single_value_type(&single);
            (response.name, response.value) = (single.name, single.value);
        }
        Ok(Response::new(response))
    }

    async fn batch_emit_asset_metrics(
        &self,
        request: Request<BatchEmitAssetMetricsRequest>,
    ) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
        let (metadata, _, BatchEmitAssetMetricsRequest { documents, request_id }) = request.into_parts();
        let metrics: Vec<_> = documents.iter().map(|document| document.metrics.len()).collect();
        let seen = Seen { request_id, documents, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        let rejected =
            answer.rejections.iter().map(|rejection| metrics[usize::try_from(rejection.index).unwrap()]);
        let accepted = metrics.iter().sum::<usize>() - rejected.sum::<usize>();
        Ok(Response::new(BatchEmitAssetMetricsResponse {
            request_id: answer.request_id,
            accepted_count: i32::try_from(accepted).unwrap(),
            rejections: answer.rejections,
            timestamp: Some(NOW),
        }))
    }

    type StreamUsageStream = tokio_stream::Empty<Result<StreamUsageResponse, Status>>;

    async fn stream_usage(
        &self,
        _: Request<Streaming<StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Err(Status::unimplemented("the fake does not stream"))
    }
}
