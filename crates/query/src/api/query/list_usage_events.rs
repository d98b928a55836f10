//! `ListUsageEvents`: stored events of a range, page by page.
//!
//! A page goes on after the last event of the one before, so it stays correct while events
//! arrive: none is shown twice, and none that was there is left out.

use flowmeter_contract::time::to_proto;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ListUsageEventsRequest, ListUsageEventsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::events::{List, Page, count_events, list_events};
use jiff::tz::TimeZone;
use tonic::metadata::MetadataMap;

use super::Query;
use crate::answer::event;
use crate::page::{self, event_place, page_size};
use crate::spec::{self, Asked, event_list};

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListUsageEventsRequest,
) -> Result<ListUsageEventsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let mask = event::Mask::read(request.read_mask.as_ref())?;
    let order = event_list::order(&request.order_by)?;
    let size = page_size(request.page_size)?;
    let tokens = page::List::new(
        "ListUsageEvents",
        &[&request.range, &request.filter, &request.search, &request.order_by, &request.time_zone],
    );
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let zone = spec::time_zone(&request.time_zone)?.unwrap_or(TimeZone::UTC);
    let (range, after) = match tokens.place(&request.page_token)? {
        None => (asked.range(&request.range, zone)?, None),
        Some(bytes) => {
            let (range, place) = event_place::read(&bytes, &order).ok_or_else(page::not_ours)?;
            (range, Some(place))
        }
    };
    let of =
        List { range, filter: spec::filter(&request.filter)?, words: event_list::words(&request.search)? };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let _turn = query.turns.take(tenant).await?;
    // One more than asked for tells whether there is a next page.
    let page = Page { list: of, order, after, limit: size + 1 };
    let counting = async {
        if !request.include_total_size {
            return Ok(None);
        }
        count_events(&query.store, tenant, &page.list).await.map(Some)
    };
    let (mut events, total_size) = tokio::try_join!(list_events(&query.store, tenant, &page), counting)?;
    let size = usize::try_from(size).expect("at most 1000");
    let mut next_page_token = String::new();
    if events.len() > size {
        events.truncate(size);
        if let Some((_, place)) = events.last() {
            next_page_token = tokens.token(&event_place::write(range, place));
        }
    }
    let usage_events = events.into_iter().map(|(event, _)| mask.apply(event::to_contract(event))).collect();
    Ok(ListUsageEventsResponse { usage_events, next_page_token, fresh_through, total_size })
}
