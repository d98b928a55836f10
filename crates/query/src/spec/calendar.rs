//! Reads definitions of calendars. Pure.

use std::time::Duration;

use flowmeter_contract::names::check_label;
use flowmeter_core::calendar::{Calendar, Definition, DefinitionError, Holiday, MAX_HOLIDAYS};
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::calendars::{CalendarKind, NewCalendar};
use jiff::civil::Weekday;

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
    Calendar::defined(&new.code, &definition(&new)?).map_err(|error| {
        let field = field_of(&error);
        ApiError::violation(Reason::InvalidCalendar, &Violation::from(error).within(field))
    })?;
    Ok(new)
}

/// The meaning of a stored calendar.
pub fn definition(calendar: &NewCalendar) -> Result<Definition, ApiError> {
    let wrong = |field: &str, text: String| ApiError::field(Reason::InvalidCalendar, field, text);
    let zone = calendar.time_zone.clone();
    match &calendar.kind {
        CalendarKind::Interval { interval, offset } => {
            let offset = read_offset(offset).ok_or_else(|| {
                let text = "expected an ISO 8601 duration of days, hours and minutes, such as PT6H or P14D";
                wrong("calendar.interval.offset", text.to_owned())
            })?;
            Ok(Definition::Interval { interval: interval.clone(), zone, offset })
        }
        CalendarKind::WorkingDays { weekend, holidays } => {
            let weekday = |(index, day): (usize, &i16)| {
                let day = i8::try_from(*day).ok().and_then(|day| Weekday::from_monday_one_offset(day).ok());
                let field = format!("calendar.working_days.weekend[{index}]");
                day.ok_or_else(|| wrong(&field, "expected a day of the week".to_owned()))
            };
            let holiday = |(index, text): (usize, &String)| {
                let field = format!("calendar.working_days.holidays[{index}]");
                text.parse::<Holiday>().map_err(|error| {
                    ApiError::violation(Reason::InvalidCalendar, &Violation::from(error).within(&field))
                })
            };
            Ok(Definition::WorkingDays {
                weekend: weekend.iter().enumerate().map(weekday).collect::<Result<_, _>>()?,
                zone,
                holidays: holidays.iter().enumerate().map(holiday).collect::<Result<_, _>>()?,
            })
        }
    }
}

/// The field of a request that a definition is wrong in.
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

/// Reads a duration of days, hours and minutes. An empty text is 0.
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

/// The number by which the store keeps a day, or 0 if it is not a day of the week.
fn day_number(day: i32) -> i16 {
    v1::DayOfWeek::try_from(day).map_or(0, |day| i16::try_from(i32::from(day)).expect("0 to 7"))
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
