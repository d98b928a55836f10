//! Calendars.

use std::time::Duration;

use flowmeter_contract::names::check_label;
use flowmeter_contract::time::to_proto;
use flowmeter_core::calendar::{BUILT_IN, Calendar, Definition, DefinitionError, Holiday, MAX_HOLIDAYS};
use flowmeter_proto::v1::calendar::Kind as WireKind;
use flowmeter_proto::v1::{
    self, CreateCalendarRequest, CreateCalendarResponse, DayOfWeek, DeleteCalendarRequest,
    DeleteCalendarResponse, GetCalendarRequest, GetCalendarResponse, IntervalCalendar, ListCalendarsRequest,
    ListCalendarsResponse, UpdateCalendarRequest, UpdateCalendarResponse, WorkingDayCalendar,
};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::calendars::{
    Kind, NewCalendar, StoredCalendar, delete_calendar, get_calendar, insert_calendar, list_calendars,
    update_calendar,
};
use jiff::civil::Weekday;

use super::{Shelf, check_text, given, settled, version};
use crate::spec::update_mask::Mask;

pub async fn list(shelf: &Shelf<'_>, _: ListCalendarsRequest) -> Result<ListCalendarsResponse, ApiError> {
    let mut calendars: Vec<v1::Calendar> =
        BUILT_IN.iter().map(|built_in| built_in_to_contract(built_in.code, built_in.description)).collect();
    calendars.extend(list_calendars(shelf.store, shelf.tenant).await?.iter().map(to_contract));
    Ok(ListCalendarsResponse { calendars })
}

pub async fn get(shelf: &Shelf<'_>, request: GetCalendarRequest) -> Result<GetCalendarResponse, ApiError> {
    let code = request.code;
    if Calendar::is_reserved(&code) {
        let calendar = Calendar::parse(&code)
            .map_err(|error| ApiError::field(Reason::InvalidCalendar, "code", error.to_string()))?;
        let listed = BUILT_IN.iter().find(|built_in| built_in.code == calendar.to_string());
        let description = listed.map_or("", |built_in| built_in.description);
        return Ok(GetCalendarResponse { calendar: Some(built_in_to_contract(&code, description)) });
    }
    check_label("code", &code)?;
    let found = get_calendar(shelf.store, shelf.tenant, &code).await?;
    let stored = found.ok_or_else(|| ApiError::not_found("calendar", &code))?;
    Ok(GetCalendarResponse { calendar: Some(to_contract(&stored)) })
}

pub async fn create(
    shelf: &Shelf<'_>,
    request: CreateCalendarRequest,
) -> Result<CreateCalendarResponse, ApiError> {
    let calendar = given("calendar", request.calendar)?;
    let new = read(calendar)?;
    let changed = insert_calendar(shelf.store, shelf.tenant, &new).await?;
    let stored = settled(changed, "calendar", &new.code)?;
    Ok(CreateCalendarResponse { calendar: Some(to_contract(&stored)) })
}

pub async fn update(
    shelf: &Shelf<'_>,
    request: UpdateCalendarRequest,
) -> Result<UpdateCalendarResponse, ApiError> {
    const FIELDS: [&str; 4] = ["description", "time_zone", "interval", "working_days"];
    let new = given("calendar", request.calendar)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let current = current(shelf, "calendar.code", &new.code).await?;
    let version = version("calendar.version", new.version)?.unwrap_or(current.version);
    let mut merged = to_contract(&current);
    mask.take("description", &mut merged.description, new.description);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    match new.kind {
        Some(kind @ WireKind::Interval(_)) if !mask.names("working_days") => {
            mask.take("interval", &mut merged.kind, Some(kind));
        }
        Some(kind @ WireKind::WorkingDays(_)) if !mask.names("interval") => {
            mask.take("working_days", &mut merged.kind, Some(kind));
        }
        None if !mask.names("interval") && !mask.names("working_days") => {}
        _ => {
            let text =
                "expected the kind that the calendar is given, interval or working_days, and no other one";
            return Err(ApiError::field(Reason::InvalidField, "update_mask", text));
        }
    }
    let new = read(merged)?;
    let changed = update_calendar(shelf.store, shelf.tenant, &new, version).await?;
    let stored = settled(changed, "calendar", &new.code)?;
    Ok(UpdateCalendarResponse { calendar: Some(to_contract(&stored)) })
}

pub async fn delete(
    shelf: &Shelf<'_>,
    request: DeleteCalendarRequest,
) -> Result<DeleteCalendarResponse, ApiError> {
    let current = current(shelf, "code", &request.code).await?;
    let version = version("version", request.version)?;
    let changed = delete_calendar(shelf.store, shelf.tenant, &current.calendar.code, version).await?;
    settled(changed, "calendar", &request.code)?;
    Ok(DeleteCalendarResponse {})
}

/// A calendar that may be changed.
async fn current(shelf: &Shelf<'_>, field: &str, code: &str) -> Result<StoredCalendar, ApiError> {
    if Calendar::is_reserved(code) {
        return Err(ApiError::built_in("calendar", code));
    }
    check_label(field, code)?;
    let found = get_calendar(shelf.store, shelf.tenant, code).await?;
    found.ok_or_else(|| ApiError::not_found("calendar", code))
}

/// Reads a calendar, or says what is wrong with it.
fn read(calendar: v1::Calendar) -> Result<NewCalendar, ApiError> {
    let mut violations = Vec::new();
    check_text("calendar.description", &calendar.description, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    check_label("calendar.code", &calendar.code)?;
    if Calendar::is_reserved(&calendar.code) {
        return Err(ApiError::already_exists("calendar", &calendar.code));
    }
    check_sizes(&calendar)?;
    let kind = match calendar.kind {
        Some(WireKind::Interval(IntervalCalendar { interval, offset })) => {
            Kind::Interval { interval, offset }
        }
        Some(WireKind::WorkingDays(WorkingDayCalendar { weekend, holidays })) => {
            Kind::WorkingDays { weekend: weekend.iter().map(|day| day_number(*day)).collect(), holidays }
        }
        None => {
            let text = "expected an interval or working_days";
            return Err(ApiError::field(Reason::InvalidField, "calendar", text));
        }
    };
    let time_zone = if calendar.time_zone.is_empty() { "UTC".to_owned() } else { calendar.time_zone };
    let new = NewCalendar { code: calendar.code, description: calendar.description, time_zone, kind };
    Calendar::defined(&new.code, &definition(&new)?)
        .map_err(|error| ApiError::field(Reason::InvalidCalendar, field_of(&error), error.to_string()))?;
    Ok(new)
}

/// The field that a definition is wrong in.
fn field_of(error: &DefinitionError) -> &'static str {
    match error {
        DefinitionError::Code(_) => "calendar.code",
        DefinitionError::Interval(_) => "calendar.interval.interval",
        DefinitionError::Zone(_) => "calendar.time_zone",
        DefinitionError::OffsetNotInMinutes | DefinitionError::OffsetTooLong { .. } => {
            "calendar.interval.offset"
        }
        DefinitionError::WeekendOfAllDays => "calendar.working_days.weekend",
        DefinitionError::TooManyHolidays(_)
        | DefinitionError::Holiday { .. }
        | DefinitionError::NoWorkingDay(_) => "calendar.working_days.holidays",
    }
}

/// What is kept stays small: durations and rules are far shorter than this when people write them.
fn check_sizes(calendar: &v1::Calendar) -> Result<(), ApiError> {
    const MAX_BYTES: usize = 100;
    let check = |field: &str, text: &str| {
        if text.len() <= MAX_BYTES {
            return Ok(());
        }
        let text = format!("expected at most {MAX_BYTES} bytes, found {}", text.len());
        Err(ApiError::field(Reason::InvalidCalendar, field, text))
    };
    check("calendar.time_zone", &calendar.time_zone)?;
    match &calendar.kind {
        None => Ok(()),
        Some(WireKind::Interval(kind)) => {
            check("calendar.interval.interval", &kind.interval)?;
            check("calendar.interval.offset", &kind.offset)
        }
        Some(WireKind::WorkingDays(kind)) => {
            if kind.weekend.len() > 6 {
                let text = format!("expected at most 6 days, found {}", kind.weekend.len());
                let field = "calendar.working_days.weekend";
                return Err(ApiError::field(Reason::InvalidCalendar, field, text));
            }
            if kind.holidays.len() > MAX_HOLIDAYS {
                let text = format!("expected at most {MAX_HOLIDAYS}, found {}", kind.holidays.len());
                let field = "calendar.working_days.holidays";
                return Err(ApiError::field(Reason::InvalidCalendar, field, text));
            }
            let mut texts = kind.holidays.iter().enumerate();
            texts.try_for_each(|(index, text)| {
                check(&format!("calendar.working_days.holidays[{index}]"), text)
            })
        }
    }
}

/// What a calendar that is kept means.
pub fn definition(calendar: &NewCalendar) -> Result<Definition, ApiError> {
    let wrong = |field: &str, text: String| ApiError::field(Reason::InvalidCalendar, field, text);
    let zone = calendar.time_zone.clone();
    match &calendar.kind {
        Kind::Interval { interval, offset } => {
            let offset = read_offset(offset).ok_or_else(|| {
                let text = "expected an ISO 8601 duration of days, hours and minutes, such as PT6H or P14D";
                wrong("calendar.interval.offset", text.to_owned())
            })?;
            Ok(Definition::Interval { interval: interval.clone(), zone, offset })
        }
        Kind::WorkingDays { weekend, holidays } => {
            let weekday = |(index, day): (usize, &i16)| {
                let day = i8::try_from(*day).ok().and_then(|day| Weekday::from_monday_one_offset(day).ok());
                let field = format!("calendar.working_days.weekend[{index}]");
                day.ok_or_else(|| wrong(&field, "expected a day of the week".to_owned()))
            };
            let holiday = |(index, text): (usize, &String)| {
                let field = format!("calendar.working_days.holidays[{index}]");
                text.parse::<Holiday>().map_err(|error| wrong(&field, error.to_string()))
            };
            Ok(Definition::WorkingDays {
                weekend: weekend.iter().enumerate().map(weekday).collect::<Result<_, _>>()?,
                zone,
                holidays: holidays.iter().enumerate().map(holiday).collect::<Result<_, _>>()?,
            })
        }
    }
}

/// Reads a duration of days, hours and minutes; none is 0.
fn read_offset(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return Some(Duration::ZERO);
    }
    let span: jiff::Span = text.parse().ok().filter(|_| text.starts_with('P'))?;
    let rest = span.days(0).hours(0).minutes(0);
    if !rest.is_zero() || span.is_negative() {
        return None;
    }
    let (days, hours) = (i64::from(span.get_days()), i64::from(span.get_hours()));
    let minutes = span.get_minutes().checked_add((days * 24 + hours) * 60)?;
    Some(Duration::from_mins(u64::try_from(minutes).ok()?))
}

/// The number by which a day is kept; 0 for what is none.
fn day_number(day: i32) -> i16 {
    DayOfWeek::try_from(day).map_or(0, |day| i16::try_from(i32::from(day)).expect("0 to 7"))
}

fn built_in_to_contract(code: &str, description: &str) -> v1::Calendar {
    v1::Calendar {
        code: code.to_owned(),
        description: description.to_owned(),
        time_zone: "UTC".to_owned(),
        built_in: true,
        ..v1::Calendar::default()
    }
}

fn to_contract(stored: &StoredCalendar) -> v1::Calendar {
    let calendar = &stored.calendar;
    let kind = match &calendar.kind {
        Kind::Interval { interval, offset } => {
            WireKind::Interval(IntervalCalendar { interval: interval.clone(), offset: offset.clone() })
        }
        Kind::WorkingDays { weekend, holidays } => WireKind::WorkingDays(WorkingDayCalendar {
            weekend: weekend.iter().map(|day| i32::from(*day)).collect(),
            holidays: holidays.clone(),
        }),
    };
    v1::Calendar {
        code: calendar.code.clone(),
        description: calendar.description.clone(),
        time_zone: calendar.time_zone.clone(),
        kind: Some(kind),
        built_in: false,
        version: stored.version,
        create_time: Some(to_proto(stored.created_at)),
        update_time: Some(to_proto(stored.updated_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_days_hours_and_minutes() {
        let minutes = |text: &str| read_offset(text).map(|offset| offset.as_secs() / 60);
        assert_eq!(minutes(""), Some(0));
        assert_eq!(minutes("PT6H"), Some(360));
        assert_eq!(minutes("P14DT30M"), Some(14 * 1_440 + 30));
        for wrong in ["6h", "-PT6H", "PT6S", "P1M", "PT", "x"] {
            assert_eq!(minutes(wrong), None, "{wrong}");
        }
    }
}
