//! `UpdateCalendar`: changes fields of a calendar.

use flowmeter_proto::v1::{self, UpdateCalendarRequest, UpdateCalendarResponse};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::calendars::update_calendar;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::{given, version};
use crate::spec::update_mask::Mask;
use crate::{answer, resolve, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: UpdateCalendarRequest,
) -> Result<UpdateCalendarResponse, ApiError> {
    const FIELDS: [&str; 4] = ["description", "time_zone", "interval", "working_days"];
    let new = given("calendar", request.calendar)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let current = resolve::own_calendar(catalog.store, catalog.tenant, "calendar.code", &new.code).await?;
    let version = version("calendar.version", new.version)?.unwrap_or(current.version);
    let mut merged = answer::calendar::to_proto(&current);
    mask.take("description", &mut merged.description, new.description);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    match new.kind {
        Some(kind @ v1::calendar::Kind::Interval(_)) if !mask.names("working_days") => {
            mask.take("interval", &mut merged.kind, Some(kind));
        }
        Some(kind @ v1::calendar::Kind::WorkingDays(_)) if !mask.names("interval") => {
            mask.take("working_days", &mut merged.kind, Some(kind));
        }
        None if !mask.names("interval") && !mask.names("working_days") => {}
        _ => {
            let text =
                "expected the kind of the new calendar, interval or working_days, and not the other kind";
            return Err(ApiError::field(Reason::InvalidField, "update_mask", text));
        }
    }
    let new = spec::calendar::read(merged)?;
    let changed = update_calendar(catalog.store, catalog.tenant, &new, version).await?;
    let stored = changed_or_error(changed, "calendar", &new.code)?;
    Ok(UpdateCalendarResponse { calendar: Some(answer::calendar::to_proto(&stored)) })
}
