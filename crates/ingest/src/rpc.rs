//! The methods of `IngestService`, one file each.

mod batch_emit_asset_metrics;
mod emit_asset_metrics;
mod record_flow_requests;
mod record_usage;
mod report_executions;
mod stream_usage;

use std::sync::Arc;

use flowmeter_proto::raw::ingest_service_server::IngestService;
use flowmeter_proto::raw::{
    BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse, EmitAssetMetricsRequest,
    EmitAssetMetricsResponse, RecordFlowRequestsRequest, RecordFlowRequestsResponse, RecordUsageRequest,
    RecordUsageResponse, ReportExecutionsRequest, ReportExecutionsResponse, StreamUsageRequest,
};
use tonic::{Request, Response, Status, Streaming};

use crate::recorder::Recorder;

/// The service.
pub struct Ingest {
    pub recorder: Arc<Recorder>,
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn record_usage(
        &self,
        request: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        record_usage::handle(&self.recorder, request).await
    }

    type StreamUsageStream = stream_usage::Answers;

    async fn stream_usage(
        &self,
        request: Request<Streaming<StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Ok(stream_usage::handle(self.recorder.clone(), request))
    }

    async fn record_flow_requests(
        &self,
        request: Request<RecordFlowRequestsRequest>,
    ) -> Result<Response<RecordFlowRequestsResponse>, Status> {
        record_flow_requests::handle(&self.recorder, request).await
    }

    async fn report_executions(
        &self,
        request: Request<ReportExecutionsRequest>,
    ) -> Result<Response<ReportExecutionsResponse>, Status> {
        report_executions::handle(&self.recorder, request).await
    }

    async fn emit_asset_metrics(
        &self,
        request: Request<EmitAssetMetricsRequest>,
    ) -> Result<Response<EmitAssetMetricsResponse>, Status> {
        emit_asset_metrics::handle(&self.recorder, request).await
    }

    async fn batch_emit_asset_metrics(
        &self,
        request: Request<BatchEmitAssetMetricsRequest>,
    ) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
        batch_emit_asset_metrics::handle(&self.recorder, request).await
    }
}
