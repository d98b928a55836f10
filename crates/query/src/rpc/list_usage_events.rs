//! `ListUsageEvents`: stored events of a range, page by page.
//!
//! A page goes on after the last event of the one before, so it stays correct while events
//! arrive: none is shown twice, and none that was there is left out.

use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ListUsageEventsRequest, ListUsageEventsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_service::time::to_proto;
use flowmeter_store::events::{List, OrderKey, Page, Place, count_events, list_events};
use jiff::tz::TimeZone;
use serde_json::Value;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use super::{Query, event};
use crate::page_token::{self, page_size};
use crate::question::{self, Asked, list};

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListUsageEventsRequest,
) -> Result<ListUsageEventsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let mask = event::Mask::read(request.read_mask.as_ref())?;
    let order = list::order(&request.order_by)?;
    let size = page_size(request.page_size)?;
    let tokens = page_token::List::new(
        "ListUsageEvents",
        &[&request.range, &request.filter, &request.search, &request.order_by, &request.time_zone],
    );
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let zone = question::time_zone(&request.time_zone)?.unwrap_or(TimeZone::UTC);
    let first_range = asked.range(&request.range, zone)?;
    let (range, after) = match tokens.place(&request.page_token)? {
        None => (first_range, None),
        Some(bytes) => {
            let (range, place) = read_place(&bytes, &order).ok_or_else(page_token::not_ours)?;
            (range, Some(place))
        }
    };
    let of = List { range, filter: question::filter(&request.filter)?, words: list::words(&request.search)? };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
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
            next_page_token = tokens.token(&write_place(range, place));
        }
    }
    let usage_events = events.into_iter().map(|(event, _)| mask.apply(event::to_contract(event))).collect();
    Ok(ListUsageEventsResponse { usage_events, next_page_token, fresh_through, total_size })
}

/// A place as a token carries it: the range as it was on the first page, the event and its keys.
fn write_place(range: TimeRange, place: &Place) -> Vec<u8> {
    let (start, end) = (range.start.micros(), range.end.micros());
    serde_json::json!([start, end, place.id.to_string(), place.keys]).to_string().into_bytes()
}

fn read_place(bytes: &[u8], order: &[OrderKey]) -> Option<(TimeRange, Place)> {
    let (start, end, id, keys): (i64, i64, String, Vec<String>) =
        serde_json::from_slice::<Value>(bytes).and_then(serde_json::from_value).ok()?;
    let within = TimeRange::ALL.start.micros()..=TimeRange::ALL.end.micros();
    if !within.contains(&start) || !within.contains(&end) {
        return None;
    }
    let range = TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) };
    Some((range, Place::new(keys, Uuid::try_parse(&id).ok()?, order)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::EventId;
    use proptest::prelude::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let order = list::order("duration desc, user").unwrap();
        let place = Place { keys: vec!["-1".into(), "a \"b\" ü".into()], id: EventId(Uuid::from_u128(7)) };
        let read = read_place(&write_place(TimeRange::ALL, &place), &order);
        assert_eq!(read, Some((TimeRange::ALL, place.clone())));
        assert_eq!(read_place(&write_place(TimeRange::ALL, &place), &[]), None);
        let wrong = Place { keys: vec!["many".into(), String::new()], ..place };
        assert_eq!(read_place(&write_place(TimeRange::ALL, &wrong), &order), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[\\[\\]0-9\",a-f -]{0,60}") {
            let _ = read_place(text.as_bytes(), &list::order("duration").unwrap());
        }
    }
}
