//! `RecordUsage`: one batch, one answer.

use flowmeter_proto::raw::{RecordUsageRequest, RecordUsageResponse};
use flowmeter_service::telemetry;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::accept::usage::UsageBatch;
use crate::recorder::{Recorded, Recorder};

pub(super) async fn handle(
    recorder: &Recorder,
    request: Request<RecordUsageRequest>,
) -> Result<Response<RecordUsageResponse>, Status> {
    let (metadata, _, RecordUsageRequest { events, request_id, return_ids }) = request.into_parts();
    let span = tracing::info_span!("RecordUsage", events = events.len());
    telemetry::continue_trace(&span, &metadata);
    let batch = UsageBatch { events, request_id, return_ids };
    let (recorded, event_ids) = recorder.record_usage(&metadata, batch).instrument(span).await?;
    let Recorded { request_id, accepted_count, rejections } = recorded;
    Ok(Response::new(RecordUsageResponse { request_id, accepted_count, rejections, event_ids }))
}
