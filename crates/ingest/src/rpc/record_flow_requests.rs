//! `RecordFlowRequests`: one batch, one answer.

use flowmeter_proto::raw::{RecordFlowRequestsRequest, RecordFlowRequestsResponse};
use flowmeter_service::telemetry;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::accept::flows::FlowBatch;
use crate::recorder::{Recorded, Recorder};

pub(super) async fn handle(
    recorder: &Recorder,
    request: Request<RecordFlowRequestsRequest>,
) -> Result<Response<RecordFlowRequestsResponse>, Status> {
    let (metadata, _, RecordFlowRequestsRequest { requests, request_id }) = request.into_parts();
    let span = tracing::info_span!("RecordFlowRequests", requests = requests.len());
    telemetry::continue_trace(&span, &metadata);
    let batch = FlowBatch { requests, request_id };
    let Recorded { request_id, accepted_count, rejections } =
        recorder.record_flows(&metadata, batch).instrument(span).await?;
    Ok(Response::new(RecordFlowRequestsResponse { request_id, accepted_count, rejections }))
}
