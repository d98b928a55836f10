//! `CreateCalendar`: defines a calendar.

use flowmeter_proto::v1::{CreateCalendarRequest, CreateCalendarResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::calendars::insert_calendar;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::given;
use crate::{answer, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: CreateCalendarRequest,
) -> Result<CreateCalendarResponse, ApiError> {
    let calendar = given("calendar", request.calendar)?;
    let new = spec::calendar::read(calendar)?;
    let changed = insert_calendar(catalog.store, catalog.tenant, &new).await?;
    let stored = changed_or_error(changed, "calendar", &new.code)?;
    Ok(CreateCalendarResponse { calendar: Some(answer::calendar::to_proto(&stored)) })
}
