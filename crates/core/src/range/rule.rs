//! Date rules: dates relative to the reference time, `T[+|-][relative][absolute]`.
//!
//! The relative parts are `nY nQ nM nW nB nD nh nm ns`. The absolute parts are `Ynnnn Qn Mnn Wnn Dnn hnn mnn
//! snn`. Each part is optional, and the parts are in this order. `M` is a month and `m` a minute. `B` is a
//! day from Monday to Friday. All relative parts have one common sign, which is required.
//!
//! A rule is computed from the reference time in its time zone:
//!
//! 1. Years, quarters and months shift the date together. The day of the month is kept, or becomes the last day of the
//!    month. Then weeks are applied, then business days, then days.
//! 2. Hours, minutes and seconds are elapsed time. So three hours before 03:30 is 23:30 in a night in which the clock
//!    skips an hour.
//! 3. The absolute parts are set in their order: the year, the first month of the quarter, the month (the day is kept,
//!    or becomes the last day of the month), the Monday of the ISO week (or of the last week of the year), the day of
//!    the month (or its last day), the hour, the minute, the second. Later parts win: `Dnn` after `Wnn` is a day of the
//!    month that contains the Monday.
//! 4. The rule names the whole period that contains the result.
//!
//! The length of the period is that of the finest part. For a rule without absolute parts, it is at most a
//! day: `T-1M` means the day a month ago, and `T-1YM10` a whole month.
//!
//! | rule | on Wednesday, 2024-11-20 at 10:30:15 |
//! |-|-|
//! | `T` | the day 2024-11-20 |
//! | `T-1D`, `T-1B` | the day 2024-11-19 |
//! | `T-4B` | the day 2024-11-14, a Thursday |
//! | `T-1W`, `T-1M`, `T-1Q`, `T-1Y` | the days 2024-11-13, 2024-10-20, 2024-08-20, 2023-11-20 |
//! | `T-3h` | the hour 2024-11-20T07 |
//! | `T-90m` | the minute 2024-11-20T09:00 |
//! | `T-30s` | the second 2024-11-20T10:29:45 |
//! | `T-1Dh9` | the hour 2024-11-19T09 |
//! | `T-1Dh0m0s0` | the second 2024-11-19T00:00:00 |
//! | `Tm0` | the minute 2024-11-20T10:00 |
//! | `TY2023` | the year 2023 |
//! | `TQ1` | the quarter 2024Q1 |
//! | `TM2`, `T-1YM10` | the months 2024-02 and 2023-10 |
//! | `TW5` | the week 2024W05 |
//! | `TD1`, `T-1MD31` | the days 2024-11-01 and 2024-10-31 |
//! | `T-1MY2023` | the month 2023-10: a month back, then the year |

use std::fmt;

use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use super::period::Period;
use crate::syntax::{Cursor, SyntaxError};
use crate::timestamp::Timestamp;

/// The units of the relative parts, in their order.
const SHIFTS: [(char, Period); 9] = [
    ('Y', Period::Year),
    ('Q', Period::Quarter),
    ('M', Period::Month),
    ('W', Period::Week),
    ('B', Period::Day),
    ('D', Period::Day),
    ('h', Period::Hour),
    ('m', Period::Minute),
    ('s', Period::Second),
];

/// An absolute part: its letter, its period and its valid numbers.
struct Field {
    letter: char,
    period: Period,
    digits: usize,
    numbers: (u32, u32),
    expected: &'static str,
}

const fn field(
    letter: char,
    period: Period,
    digits: usize,
    numbers: (u32, u32),
    expected: &'static str,
) -> Field {
    Field { letter, period, digits, numbers, expected }
}

/// The absolute parts, in their order.
const FIELDS: [Field; 8] = [
    field('Y', Period::Year, 4, (1970, 9999), "a year from 1970 to 9999"),
    field('Q', Period::Quarter, 1, (1, 4), "a quarter from 1 to 4"),
    field('M', Period::Month, 2, (1, 12), "a month from 1 to 12"),
    field('W', Period::Week, 2, (1, 53), "a week from 1 to 53"),
    field('D', Period::Day, 2, (1, 31), "a day from 1 to 31"),
    field('h', Period::Hour, 2, (0, 23), "an hour from 0 to 23"),
    field('m', Period::Minute, 2, (0, 59), "a minute from 0 to 59"),
    field('s', Period::Second, 2, (0, 59), "a second from 0 to 59"),
];

/// The maximum number of digits of a shift. Larger numbers would shift every date out of the valid years, or
/// can be written in a coarser unit.
const SHIFT_DIGITS: usize = 6;

pub(super) const UNITS: &str = "one of Y, Q, M, W, B, D, h, m and s, each once and in this order";

/// A date rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DateRule {
    back: bool,
    shifts: [Option<u32>; SHIFTS.len()],
    fields: [Option<u32>; FIELDS.len()],
}

impl DateRule {
    /// Reads a rule, which begins with T.
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, SyntaxError> {
        if !cursor.eat("T") && !cursor.eat("t") {
            return Err(cursor.expected("T"));
        }
        let mut rule = Self { back: false, shifts: [None; SHIFTS.len()], fields: [None; FIELDS.len()] };
        match cursor.peek() {
            Some('+' | '-') => {
                rule.back = cursor.eat("-") || !cursor.eat("+");
                rule.read_shifts(cursor)?;
            }
            Some('0'..='9') => return Err(cursor.expected("+ or - before the relative parts")),
            _ => {}
        }
        for (part, field) in rule.fields.iter_mut().zip(&FIELDS) {
            if cursor.peek() == Some(field.letter) {
                cursor.next();
                let start = *cursor;
                let number = cursor.number(field.digits, field.expected)?;
                if !(field.numbers.0..=field.numbers.1).contains(&number) {
                    return Err(start.expected(field.expected).found(&number.to_string()));
                }
                *part = Some(number);
            }
        }
        if cursor.peek().is_some_and(char::is_alphanumeric) {
            return Err(
                cursor.expected("a part such as M10, D1 or h0, in the order of Y, Q, M, W, D, h, m and s")
            );
        }
        Ok(rule)
    }

    fn read_shifts(&mut self, cursor: &mut Cursor) -> Result<(), SyntaxError> {
        let mut units = self.shifts.iter_mut().zip(SHIFTS);
        let mut first = true;
        while first || cursor.peek().is_some_and(|next| next.is_ascii_digit()) {
            first = false;
            let number = cursor.number(SHIFT_DIGITS, "a number of up to six digits")?;
            let (shift, _) = units
                .find(|(_, (unit, _))| cursor.peek() == Some(*unit))
                .ok_or_else(|| cursor.expected(UNITS))?;
            cursor.next();
            *shift = Some(number);
        }
        Ok(())
    }

    /// The start of the period that the rule names, and the period. None if it is not in the years 0 to 9999.
    pub(super) fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Option<(DateTime, Period)> {
        let shifted = self.shifted(now, zone)?;
        let period = self.period();
        Some((period.floor(self.set(shifted)?)?, period))
    }

    fn period(&self) -> Period {
        let shifts = self.shifts.iter().zip(SHIFTS).filter_map(|(part, (_, period))| part.map(|_| period));
        let fields = self.fields.iter().zip(&FIELDS).filter_map(|(part, field)| part.map(|_| field.period));
        let finest = shifts.chain(fields).max().unwrap_or(Period::Day);
        let absolute = self.fields.iter().any(Option::is_some);
        if absolute { finest } else { finest.max(Period::Day) }
    }

    fn shifted(&self, now: Timestamp, zone: &TimeZone) -> Option<DateTime> {
        let signed = |part: Option<u32>| {
            let number = i64::from(part.unwrap_or(0));
            if self.back { -number } else { number }
        };
        let [years, quarters, months, weeks, business_days, days, hours, minutes, seconds] =
            self.shifts.map(signed);
        let now = now.to_jiff().to_zoned_datetime(zone.clone());
        let date =
            now.date().checked_add(Span::new().try_months(12 * years + 3 * quarters + months).ok()?).ok()?;
        let date = plus_business_days(plus_days(date, 7 * weeks)?, business_days)?;
        let date = plus_days(date, days)?;
        let shifted = date.to_datetime(now.time());
        let seconds = 3_600 * hours + 60 * minutes + seconds;
        if seconds == 0 {
            return Some(shifted);
        }
        // On the same day, the instant is known even if the local time occurs twice.
        let from = if date == now.date() { now } else { shifted.to_zoned_datetime(zone.clone()).ok()? };
        Some(from.checked_add(SignedDuration::from_secs(seconds)).ok()?.datetime())
    }

    fn set(&self, at: DateTime) -> Option<DateTime> {
        let [year, quarter, month, week, day, hour, minute, second] =
            self.fields.map(|part| part.and_then(|number| i16::try_from(number).ok()));
        let small = |part: i16| i8::try_from(part).ok();
        let mut date = at.date();
        let year = year.unwrap_or(date.year());
        let month = month.or(quarter.map(|quarter| quarter * 3 - 2)).unwrap_or(date.month().into());
        date = on_day(Date::new(year, small(month)?, 1).ok()?, date.day())?;
        if let Some(week) = week {
            let monday = |week| ISOWeekDate::new(year, week, Weekday::Monday);
            date = monday(small(week)?).or_else(|_| monday(52)).ok()?.date();
        }
        if let Some(day) = day {
            date = on_day(date, small(day)?)?;
        }
        let time = at.time();
        let time = time
            .with()
            .hour(hour.map_or(Some(time.hour()), small)?)
            .minute(minute.map_or(Some(time.minute()), small)?)
            .second(second.map_or(Some(time.second()), small)?)
            .build();
        Some(date.to_datetime(time.ok()?))
    }
}

/// This day of the month of `date`, or the last day of the month.
fn on_day(date: Date, day: i8) -> Option<Date> {
    date.with().day(day.min(date.days_in_month())).build().ok()
}

fn plus_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// The date after or before this number of days from Monday to Friday. From a weekend, the first day forward
/// is Monday, and the first day back is Friday.
fn plus_business_days(date: Date, days: i64) -> Option<Date> {
    if days == 0 {
        return Some(date);
    }
    let weekday = i64::from(date.weekday().to_monday_zero_offset());
    // A weekend counts as the Friday before it or as the Monday after it.
    let (from, to_from) = match weekday {
        0..=4 => (weekday, 0),
        _ if days > 0 => (4, 4 - weekday),
        _ => (0, 7 - weekday),
    };
    let target = from + days;
    plus_days(date, to_from + target.div_euclid(5) * 7 + target.rem_euclid(5) - from)
}

impl fmt::Display for DateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("T")?;
        if self.shifts.iter().any(Option::is_some) {
            f.write_str(if self.back { "-" } else { "+" })?;
        }
        for (part, (unit, _)) in self.shifts.iter().zip(SHIFTS) {
            if let Some(number) = part {
                write!(f, "{number}{unit}")?;
            }
        }
        for (part, field) in self.fields.iter().zip(&FIELDS) {
            if let Some(number) = part {
                write!(f, "{}{number}", field.letter)?;
            }
        }
        Ok(())
    }
}
