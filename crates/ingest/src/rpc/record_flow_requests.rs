//! `RecordFlowRequests`: one batch of requests to the endpoints of flows, one answer.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::{RecordFlowRequestsRequest, RecordFlowRequestsResponse};
use flowmeter_service::auth::Scope;
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::Ingest;
use crate::accept::flows;
use crate::publish::Acknowledged;

pub(super) async fn handle(
    ingest: &Ingest,
    request: Request<RecordFlowRequestsRequest>,
) -> Result<Response<RecordFlowRequestsResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("RecordFlowRequests", requests = request.requests.len());
    telemetry::continue_trace(&span, &metadata);
    Ok(Response::new(record(ingest, &metadata, &request).instrument(span).await?))
}

async fn record(
    ingest: &Ingest,
    metadata: &MetadataMap,
    request: &RecordFlowRequestsRequest,
) -> Result<RecordFlowRequestsResponse, ApiError> {
    let deadline = ingest.publisher.deadline(metadata);
    let tenant = ingest.authenticator.authorize(metadata, Scope::Ingest).await?.tenant;
    let now = Timestamp::now();
    let registered = ingest.flows.registered(tenant).await?;
    let (mut decision, unregistered) = flows::decide(tenant, request, &registered, &ingest.limits, now)?;
    if !unregistered.is_empty() {
        // Some of these flows may have been registered or deleted since the registry last read them.
        let flow_ids = flows::flow_ids(request, &unregistered);
        if let Some(registered) = ingest.flows.reread(tenant, &registered, &flow_ids).await? {
            (decision, _) = flows::decide(tenant, request, &registered, &ingest.limits, now)?;
        }
    }
    let Acknowledged { request_id, accepted_count, rejections } =
        ingest.publisher.publish(decision, deadline).await?;
    Ok(RecordFlowRequestsResponse { request_id, accepted_count, rejections })
}
