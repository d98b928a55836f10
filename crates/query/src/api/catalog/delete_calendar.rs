//! `DeleteCalendar`: deletes a calendar.

use flowmeter_proto::v1::{DeleteCalendarRequest, DeleteCalendarResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::calendars::delete_calendar;

use super::{TenantCatalog, changed_or_error};
use crate::resolve;
use crate::spec::fields::version;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: DeleteCalendarRequest,
) -> Result<DeleteCalendarResponse, ApiError> {
    let current = resolve::own_calendar(catalog.store, catalog.tenant, "code", &request.code).await?;
    let version = version("version", request.version)?;
    let changed = delete_calendar(catalog.store, catalog.tenant, &current.calendar.code, version).await?;
    changed_or_error(changed, "calendar", &request.code)?;
    Ok(DeleteCalendarResponse {})
}
