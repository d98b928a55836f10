//! `ListFieldValues`: the distinct values of a field.

use flowmeter_contract::time::to_proto;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{FieldValue, ListFieldValuesRequest, ListFieldValuesResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::events::{FieldValues, List, list_field_values};
use jiff::tz::TimeZone;
use tonic::metadata::MetadataMap;

use super::Query;
use crate::page::{self, page_size, value_place};
use crate::spec::{self, Asked};

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListFieldValuesRequest,
) -> Result<ListFieldValuesResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let field = spec::event_field("field", &request.field)?;
    let size = page_size(request.page_size)?;
    if request.prefix.len() > 1_024 || request.prefix.contains('\0') {
        let text = "expected at most 1024 bytes without NUL characters";
        return Err(ApiError::field(Reason::InvalidField, "prefix", text));
    }
    let tokens = page::List::new(
        "ListFieldValues",
        &[&request.field, &request.range, &request.filter, &request.prefix, &request.time_zone],
    );
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let zone = spec::time_zone(&request.time_zone)?.unwrap_or(TimeZone::UTC);
    let (range, after) = match tokens.place(&request.page_token)? {
        None => (asked.range(&request.range, zone)?, None),
        Some(place) => {
            let (range, value) = value_place::read(&place, &field).ok_or_else(page::not_ours)?;
            (range, Some(value))
        }
    };
    let list = List { range, filter: spec::filter(&request.filter)?, words: Vec::new() };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let _turn = query.turns.take(tenant).await?;
    let asked = FieldValues { field, list, prefix: request.prefix.clone(), after, limit: size + 1 };
    let mut values = list_field_values(&query.store, tenant, &asked).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let mut next_page_token = String::new();
    if values.len() > size {
        values.truncate(size);
        let last = values.last().map(|last| tokens.token(&value_place::write(range, &last.value)));
        next_page_token = last.unwrap_or_default();
    }
    let to_contract =
        |found: flowmeter_store::events::FieldValue| FieldValue { value: found.value, count: found.count };
    Ok(ListFieldValuesResponse {
        values: values.into_iter().map(to_contract).collect(),
        next_page_token,
        fresh_through,
    })
}
