//! `GetUsageEvent`: one stored event.

use flowmeter_core::ids::EventId;
use flowmeter_proto::v1::{GetUsageEventRequest, GetUsageEventResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::events::get_event;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use super::QueryApi;
use crate::answer::event;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &GetUsageEventRequest,
) -> Result<GetUsageEventResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let id = Uuid::try_parse(&request.id)
        .map_err(|_| ApiError::field(Reason::InvalidField, "id", "expected the id of an event, a UUID"))?;
    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let stored = get_event(&api.store, tenant, EventId(id)).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found("usage event", &request.id))?;
    Ok(GetUsageEventResponse { usage_event: Some(event::to_proto(stored)), fresh_through })
}
