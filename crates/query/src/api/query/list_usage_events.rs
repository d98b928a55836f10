//! `ListUsageEvents`: stored events of a range, page by page.
//!
//! A page starts after the last event of the page before, so pages stay correct while events arrive: no event is on
//! two pages, and no event that was there from the start is left out.

use flowmeter_proto::v1::{ListUsageEventsRequest, ListUsageEventsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::events::{EventPage, count_events, list_events};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::answer::event;
use crate::page::event_position;
use crate::spec::clock::RequestClock;
use crate::spec::event_list::EventListSpec;
use crate::spec::read_mask::ReadMask;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &ListUsageEventsRequest,
) -> Result<ListUsageEventsResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let clock = RequestClock::start(api.max_event_ahead);
    let mask = ReadMask::read(request.read_mask.as_ref())?;
    let EventListSpec { list, order, page, after } = EventListSpec::read(request, clock)?;

    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let question = EventPage { list, order, after, limit: page.items() };
    let counting = async {
        if !request.include_total_size {
            return Ok(None);
        }
        count_events(&api.store, tenant, &question.list).await.map(Some)
    };
    let (mut events, total_size) = tokio::try_join!(list_events(&api.store, tenant, &question), counting)?;
    let range = question.list.range;
    let next_page_token = page.cut(&mut events, |last| event_position::write(range, &last.position));
    let usage_events = events.into_iter().map(|listed| mask.apply(event::to_proto(listed.event))).collect();
    Ok(ListUsageEventsResponse { usage_events, next_page_token, fresh_through, total_size })
}
