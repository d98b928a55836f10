//! `BatchEmitAssetMetrics`: one batch, one answer.

use flowmeter_contract::time;
use flowmeter_proto::raw::{BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse};
use flowmeter_service::telemetry;
use prost::Message;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::recorder::{Recorded, Recorder};

pub(super) async fn handle(
    recorder: &Recorder,
    request: Request<BatchEmitAssetMetricsRequest>,
) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
    let (metadata, _, batch) = request.into_parts();
    let span = tracing::info_span!("BatchEmitAssetMetrics", documents = batch.documents.len());
    telemetry::continue_trace(&span, &metadata);
    let (Recorded { request_id, accepted_count, rejections }, timestamp) =
        recorder.emit_documents(&metadata, &batch).instrument(span).await?;
    let timestamp = Some(time::to_proto(timestamp).encode_to_vec().into());
    Ok(Response::new(BatchEmitAssetMetricsResponse { request_id, accepted_count, rejections, timestamp }))
}
