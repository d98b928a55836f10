//! Parses the definition of a calendar: what a request gives, and what the store keeps.

use std::time::Duration;

use flowmeter_core::calendar::{Calendar, Definition, DefinitionError, Holiday};
use flowmeter_core::violation::Violation;
use jiff::civil::Weekday;

use super::{CalendarKind, NewCalendar};

impl NewCalendar {
    /// The calendar that this defines. A violation has a path within the calendar, such as `interval.offset`.
    pub fn parse(&self) -> Result<Calendar, Violation> {
        let definition = self.definition()?;
        Calendar::defined(&self.code, &definition).map_err(|error| {
            let field = field_of(&error);
            Violation::from(error).within(field)
        })
    }

    fn definition(&self) -> Result<Definition, Violation> {
        let zone = self.time_zone.clone();
        match &self.kind {
            CalendarKind::Interval { interval, offset } => {
                let offset = parse_offset(offset).ok_or_else(|| {
                    let text =
                        "expected an ISO 8601 duration of days, hours and minutes, such as PT6H or P14D";
                    Violation::new("interval.offset", text)
                })?;
                Ok(Definition::Interval { interval: interval.clone(), zone, offset })
            }
            CalendarKind::WorkingDays { weekend, holidays } => {
                let weekday = |(index, day): (usize, &i16)| {
                    let day =
                        i8::try_from(*day).ok().and_then(|day| Weekday::from_monday_one_offset(day).ok());
                    day.ok_or_else(|| {
                        let field = format!("working_days.weekend[{index}]");
                        Violation::new(field, "expected a day of the week")
                    })
                };
                let holiday = |(index, text): (usize, &String)| {
                    text.parse::<Holiday>().map_err(|error| {
                        Violation::from(error).within(&format!("working_days.holidays[{index}]"))
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
}

/// The field that a definition is wrong in.
fn field_of(error: &DefinitionError) -> &'static str {
    match error {
        DefinitionError::Code(_) => "code",
        DefinitionError::Interval(_) => "interval.interval",
        DefinitionError::Zone(_) => "time_zone",
        DefinitionError::OffsetNotInMinutes | DefinitionError::OffsetTooLong { .. } => "interval.offset",
        DefinitionError::WeekendOfAllDays => "working_days.weekend",
        DefinitionError::TooManyHolidays(_)
        | DefinitionError::Holiday { .. }
        | DefinitionError::NoWorkingDay(_) => "working_days.holidays",
    }
}

/// Parses a duration of days, hours and minutes. An empty text is 0.
fn parse_offset(text: &str) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_days_hours_and_minutes() {
        let minutes = |text: &str| parse_offset(text).map(|offset| offset.as_secs() / 60);
        assert_eq!(minutes(""), Some(0));
        assert_eq!(minutes("PT6H"), Some(360));
        assert_eq!(minutes("P14DT30M"), Some(14 * 1_440 + 30));
        for wrong in ["6h", "-PT6H", "PT6S", "P1M", "PT", "x"] {
            assert_eq!(minutes(wrong), None, "{wrong}");
        }
    }
}
