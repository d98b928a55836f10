//! `ListFieldValues`: the distinct values of a field.

use flowmeter_proto::v1::{FieldValue, ListFieldValuesRequest, ListFieldValuesResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::events::{FieldValuesQuery, list_field_values};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::page::value_position;
use crate::spec::clock::RequestClock;
use crate::spec::event_list::FieldValuesSpec;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &ListFieldValuesRequest,
) -> Result<ListFieldValuesResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let clock = RequestClock::start(api.max_event_ahead);
    let FieldValuesSpec { field, list, prefix, page, after } = FieldValuesSpec::read(request, clock)?;

    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let question = FieldValuesQuery { field, list, prefix, after, limit: page.items() };
    let mut values = list_field_values(&api.store, tenant, &question).await?;
    let range = question.list.range;
    let next_page_token = page.cut(&mut values, |last| value_position::write(range, &last.value));
    let values = values.into_iter().map(|found| FieldValue { value: found.value, count: found.count });
    Ok(ListFieldValuesResponse { values: values.collect(), next_page_token, fresh_through })
}
