//! `BatchEmitAssetMetrics`: one batch of documents, one answer.

use flowmeter_contract::time;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::{BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse};
use flowmeter_service::auth::Scope;
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::Ingest;
use crate::accept::assets;
use crate::publish::Acknowledged;

pub(super) async fn handle(
    ingest: &Ingest,
    request: Request<BatchEmitAssetMetricsRequest>,
) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("BatchEmitAssetMetrics", documents = request.documents.len());
    telemetry::continue_trace(&span, &metadata);
    Ok(Response::new(emit(ingest, &metadata, &request).instrument(span).await?))
}

async fn emit(
    ingest: &Ingest,
    metadata: &MetadataMap,
    request: &BatchEmitAssetMetricsRequest,
) -> Result<BatchEmitAssetMetricsResponse, ApiError> {
    let deadline = ingest.publisher.deadline(metadata);
    let caller = ingest.authenticator.authorize(metadata, Scope::Ingest).await?;
    let decision = assets::decide_batch(caller.tenant, request, &ingest.limits, Timestamp::now())?;
    // The time of the documents that give none.
    let request_time = decision.request_id.timestamp();
    let Acknowledged { request_id, accepted_count, rejections } =
        ingest.publisher.publish(decision, deadline).await?;
    let timestamp = Some(time::to_proto(request_time).encode_to_vec().into());
    Ok(BatchEmitAssetMetricsResponse { request_id, accepted_count, rejections, timestamp })
}
