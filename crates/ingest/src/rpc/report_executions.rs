//! `ReportExecutions`: one batch of reports of executions, one answer.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::{ReportExecutionsRequest, ReportExecutionsResponse};
use flowmeter_service::auth::Scope;
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::Ingest;
use crate::accept::executions;
use crate::publish::Acknowledged;

pub(super) async fn handle(
    ingest: &Ingest,
    request: Request<ReportExecutionsRequest>,
) -> Result<Response<ReportExecutionsResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("ReportExecutions", reports = request.reports.len());
    telemetry::continue_trace(&span, &metadata);
    Ok(Response::new(report(ingest, &metadata, &request).instrument(span).await?))
}

async fn report(
    ingest: &Ingest,
    metadata: &MetadataMap,
    request: &ReportExecutionsRequest,
) -> Result<ReportExecutionsResponse, ApiError> {
    let deadline = ingest.publisher.deadline(metadata);
    let caller = ingest.authenticator.authorize(metadata, Scope::Ingest).await?;
    let decision = executions::decide(&caller, request, &ingest.limits, Timestamp::now())?;
    let Acknowledged { request_id, accepted_count, rejections } =
        ingest.publisher.publish(decision, deadline).await?;
    Ok(ReportExecutionsResponse { request_id, accepted_count, rejections })
}
