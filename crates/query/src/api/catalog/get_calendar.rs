//! `GetCalendar`: one calendar.

use flowmeter_contract::names::check_label;
use flowmeter_core::calendar::{BUILT_IN, Calendar};
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::{GetCalendarRequest, GetCalendarResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::calendars::get_calendar;

use super::TenantCatalog;
use crate::answer;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: GetCalendarRequest,
) -> Result<GetCalendarResponse, ApiError> {
    let code = request.code;
    if Calendar::is_reserved(&code) {
        let calendar = Calendar::parse(&code).map_err(|error| {
            ApiError::violation(Reason::InvalidCalendar, &Violation::from(error).within("code"))
        })?;
        let listed = BUILT_IN.iter().find(|built_in| built_in.code == calendar.to_string());
        let description = listed.map_or("", |built_in| built_in.description);
        return Ok(GetCalendarResponse { calendar: Some(answer::calendar::built_in(&code, description)) });
    }
    check_label("code", &code)?;
    let found = get_calendar(catalog.store, catalog.tenant, &code).await?;
    let stored = found.ok_or_else(|| ApiError::not_found("calendar", &code))?;
    Ok(GetCalendarResponse { calendar: Some(answer::calendar::to_proto(&stored)) })
}
