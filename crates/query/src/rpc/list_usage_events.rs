//! `ListUsageEvents`: stored events of a range, page by page.
//!
//! A page goes on after the last id of the one before, so it stays correct while events
//! arrive: none is shown twice, and none that was there is left out.

use flowmeter_core::ids::EventId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ListUsageEventsRequest, ListUsageEventsResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_service::time::to_proto;
use flowmeter_store::events::{Page, list_events};
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use super::{Query, event};
use crate::page_token::{List, page_size};
use crate::question;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListUsageEventsRequest,
) -> Result<ListUsageEventsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let range = question::range(&request.range, Timestamp::now(), query.max_event_ahead)?;
    let filter = question::filter(&request.filter)?;
    let size = page_size(request.page_size)?;
    let descending = descending(&request.order_by)?;
    let list = List::new("ListUsageEvents", &[&request.range, &request.filter, &request.order_by]);
    let after = match list.place(&request.page_token)? {
        None => None,
        Some(place) => Some(EventId(Uuid::from_slice(&place).map_err(|_| {
            ApiError::field(
                Reason::InvalidPageToken,
                "page_token",
                "expected a next_page_token as it was returned",
            )
        })?)),
    };
    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    // One more than asked for tells whether there is a next page.
    let page = Page { range, filter, after, descending, limit: size + 1 };
    let mut events = list_events(&query.store, tenant, &page).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let next_page_token = if events.len() > size {
        events.truncate(size);
        events.last().map(|last| list.token(last.id.0.as_bytes())).unwrap_or_default()
    } else {
        String::new()
    };
    let usage_events = events.into_iter().map(event::to_contract).collect();
    Ok(ListUsageEventsResponse { usage_events, next_page_token, fresh_through })
}

fn descending(order_by: &str) -> Result<bool, ApiError> {
    match order_by.split_whitespace().collect::<Vec<_>>()[..] {
        [] | ["timestamp"] | ["timestamp", "asc"] => Ok(false),
        ["timestamp", "desc"] => Ok(true),
        _ => Err(ApiError::field(Reason::InvalidField, "order_by", "expected timestamp or timestamp desc")),
    }
}
