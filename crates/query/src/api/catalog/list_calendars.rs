//! `ListCalendars`: the built-in calendars and those of the tenant.

use flowmeter_core::calendar::BUILT_IN;
use flowmeter_proto::v1::{self, ListCalendarsRequest, ListCalendarsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::calendars::list_calendars;

use super::TenantCatalog;
use crate::answer;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    _: ListCalendarsRequest,
) -> Result<ListCalendarsResponse, ApiError> {
    let mut calendars: Vec<v1::Calendar> = BUILT_IN
        .iter()
        .map(|built_in| answer::calendar::built_in(built_in.code, built_in.description))
        .collect();
    calendars
        .extend(list_calendars(catalog.store, catalog.tenant).await?.iter().map(answer::calendar::to_proto));
    Ok(ListCalendarsResponse { calendars })
}
