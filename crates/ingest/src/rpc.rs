//! The methods of `IngestService`, one file each. Each reads from top to bottom: authorize the caller, decide
//! what is accepted, publish it, answer.

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
use flowmeter_service::auth::Authenticator;
use tonic::{Request, Response, Status, Streaming};

use crate::accept::Limits;
use crate::flow_registry::FlowRegistry;
use crate::publish::BoundedPublisher;

/// The shared state of the methods.
#[derive(Clone)]
pub struct Ingest {
    pub authenticator: Authenticator,
    pub flows: FlowRegistry,
    pub limits: Limits,
    pub publisher: Arc<BoundedPublisher>,
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn record_usage(
        &self,
        request: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        record_usage::handle(self, request).await
    }

    type StreamUsageStream = stream_usage::Responses;

    async fn stream_usage(
        &self,
        request: Request<Streaming<StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Ok(stream_usage::handle(self.clone(), request))
    }

    async fn record_flow_requests(
        &self,
        request: Request<RecordFlowRequestsRequest>,
    ) -> Result<Response<RecordFlowRequestsResponse>, Status> {
        record_flow_requests::handle(self, request).await
    }

    async fn report_executions(
        &self,
        request: Request<ReportExecutionsRequest>,
    ) -> Result<Response<ReportExecutionsResponse>, Status> {
        report_executions::handle(self, request).await
    }

    async fn emit_asset_metrics(
        &self,
        request: Request<EmitAssetMetricsRequest>,
    ) -> Result<Response<EmitAssetMetricsResponse>, Status> {
        emit_asset_metrics::handle(self, request).await
    }

    async fn batch_emit_asset_metrics(
        &self,
        request: Request<BatchEmitAssetMetricsRequest>,
    ) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
        batch_emit_asset_metrics::handle(self, request).await
    }
}
