//! `RecordUsage`: one batch of usage events, one answer.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::{RecordUsageRequest, RecordUsageResponse};
use flowmeter_service::auth::Scope;
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::Ingest;
use crate::accept::usage;
use crate::publish::Acknowledged;

pub(super) async fn handle(
    ingest: &Ingest,
    request: Request<RecordUsageRequest>,
) -> Result<Response<RecordUsageResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("RecordUsage", events = request.events.len());
    telemetry::continue_trace(&span, &metadata);
    Ok(Response::new(record(ingest, &metadata, request).instrument(span).await?))
}

/// Records one batch. `StreamUsage` also uses it for each of its batches.
pub(super) async fn record(
    ingest: &Ingest,
    metadata: &MetadataMap,
    request: RecordUsageRequest,
) -> Result<RecordUsageResponse, ApiError> {
    let deadline = ingest.publisher.deadline(metadata);
    let caller = ingest.authenticator.authorize(metadata, Scope::Ingest).await?;
    let (decision, event_ids) = usage::decide(caller.tenant, request, &ingest.limits, Timestamp::now())?;
    let Acknowledged { request_id, accepted_count, rejections } =
        ingest.publisher.publish(decision, deadline).await?;
    Ok(RecordUsageResponse { request_id, accepted_count, rejections, event_ids })
}
