//! The methods of ingest.

use std::sync::Arc;

use flowmeter_proto::v1::ingest_service_server::IngestService;
use flowmeter_proto::v1::{
    AssetDocument, BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse, EmitAssetMetricsRequest,
    EmitAssetMetricsResponse, RecordFlowRequestsRequest, RecordFlowRequestsResponse, RecordUsageRequest,
    RecordUsageResponse, ReportExecutionsRequest, ReportExecutionsResponse, StreamUsageRequest,
    StreamUsageResponse,
};
use tonic::{Request, Response, Status, Streaming};

use crate::RECEIVED;
use crate::state::{Seen, State};

/// The service, which may be served with layers around it.
#[derive(Debug, Clone)]
pub struct Service(pub(crate) Arc<State>);

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
        let EmitAssetMetricsRequest { asset_urn, timestamp, metrics, request_id, .. } = message;
        let document = AssetDocument { asset_urn, timestamp, metrics };
        let seen = Seen { request_id, documents: vec![document.clone()], ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(EmitAssetMetricsResponse {
            metrics: document.metrics,
            timestamp: document.timestamp.or(Some(RECEIVED)),
            request_id: answer.request_id,
            ..EmitAssetMetricsResponse::default()
        }))
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
            timestamp: Some(RECEIVED),
        }))
    }

    type StreamUsageStream = tokio_stream::Empty<Result<StreamUsageResponse, Status>>;

    async fn stream_usage(
        &self,
        _: Request<Streaming<StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Err(Status::unimplemented("the client has no use for it"))
    }
}
