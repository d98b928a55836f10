//! Reads definitions of calendars. Pure.

use flowmeter_contract::names::check_label;
use flowmeter_core::calendar::{Calendar, MAX_HOLIDAYS};
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::calendars::{CalendarKind, NewCalendar};

use super::fields::check_text;

/// Reads the definition of a calendar.
pub fn read(calendar: v1::Calendar) -> Result<NewCalendar, ApiError> {
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
        Some(v1::calendar::Kind::Interval(v1::IntervalCalendar { interval, offset })) => {
            CalendarKind::Interval { interval, offset }
        }
        Some(v1::calendar::Kind::WorkingDays(v1::WorkingDayCalendar { weekend, holidays })) => {
            CalendarKind::WorkingDays {
                weekend: weekend.iter().map(|day| day_number(*day)).collect(),
                holidays,
            }
        }
        None => {
            let text = "expected an interval or working_days";
            return Err(ApiError::field(Reason::InvalidField, "calendar", text));
        }
    };
    let time_zone = if calendar.time_zone.is_empty() { "UTC".to_owned() } else { calendar.time_zone };
    let new = NewCalendar { code: calendar.code, description: calendar.description, time_zone, kind };
    match new.parse() {
        Ok(_) => Ok(new),
        Err(violation) => Err(ApiError::violation(Reason::InvalidCalendar, &violation.within("calendar"))),
    }
}

/// Checks that a calendar stays small. The limit is far above the length of durations and rules that people write.
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
        Some(v1::calendar::Kind::Interval(kind)) => {
            check("calendar.interval.interval", &kind.interval)?;
            check("calendar.interval.offset", &kind.offset)
        }
        Some(v1::calendar::Kind::WorkingDays(kind)) => {
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

/// The number of a day in the store, or 0 if it is not a day of the week.
fn day_number(day: i32) -> i16 {
    v1::DayOfWeek::try_from(day).map_or(0, |day| i16::try_from(i32::from(day)).expect("0 to 7"))
}
