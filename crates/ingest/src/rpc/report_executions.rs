//! `ReportExecutions`: one batch, one answer.

use flowmeter_proto::raw::{ReportExecutionsRequest, ReportExecutionsResponse};
use flowmeter_service::telemetry;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::accept::executions::ExecutionBatch;
use crate::recorder::{Recorded, Recorder};

pub(super) async fn handle(
    recorder: &Recorder,
    request: Request<ReportExecutionsRequest>,
) -> Result<Response<ReportExecutionsResponse>, Status> {
    let (metadata, _, ReportExecutionsRequest { reports, request_id }) = request.into_parts();
    let span = tracing::info_span!("ReportExecutions", reports = reports.len());
    telemetry::continue_trace(&span, &metadata);
    let batch = ExecutionBatch { reports, request_id };
    let Recorded { request_id, accepted_count, rejections } =
        recorder.report_executions(&metadata, batch).instrument(span).await?;
    Ok(Response::new(ReportExecutionsResponse { request_id, accepted_count, rejections }))
}
