//! Dates that are written in full, from a year to a fraction of a second.

use std::fmt;

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};

use super::period::Period;
use super::zone::Zone;
use crate::syntax::{Cursor, SyntaxError};
use crate::written::{self, part};

const MONTH: &str = "a month of two digits, such as 02";

const DATE: &str = "a date such as 2024, 2024Q3, 2024-11, 2024M11, 2024W05, 2024-11-20, \
                               2024-11-20T10, 2024-11-20T10:30 or 2024-11-20T10:30:15";

/// A period, with its start in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDate {
    pub(super) start: DateTime,
    pub(super) period: Period,
}

impl WrittenDate {
    /// Reads a date, and UTC if it ends in `Z`.
    pub(super) fn read(cursor: &mut Cursor) -> Result<(Self, Option<Zone>), SyntaxError> {
        let year = read_year(cursor)?;
        // Tenors, which do not have finer parts.
        for (letter, digits, period, expected) in [
            ("Q", 1, Period::Quarter, "a quarter from 1 to 4"),
            ("M", 2, Period::Month, MONTH),
            ("W", 2, Period::Week, "a week of two digits, such as 05"),
        ] {
            if cursor.eat(letter) {
                let date = part(cursor, digits, expected, |number| tenor(year, period, number))?;
                return Ok((Self { start: date.to_datetime(Time::midnight()), period }, None));
            }
        }
        let (mut month, mut day, mut period) = (1, 1, Period::Year);
        if cursor.eat("-") {
            (month, period) = (part(cursor, 2, MONTH, written::month)?, Period::Month);
            if cursor.eat("-") {
                let of_month = |number| written::day_of_month(year, month, number);
                (day, period) = (part(cursor, 2, "a day of two digits, such as 03", of_month)?, Period::Day);
            }
        }
        let date = Date::new(year, month, day).expect("its parts were checked");
        if period < Period::Day || !takes_hour_separator(cursor) {
            return Ok((Self { start: date.to_datetime(Time::midnight()), period }, None));
        }
        let (time, period) = read_time(cursor)?;
        let zone = cursor.eat("Z").then(Zone::utc);
        Ok((Self { start: date.to_datetime(time), period }, zone))
    }
}

fn read_year(cursor: &mut Cursor) -> Result<i16, SyntaxError> {
    let start = *cursor;
    let year = cursor.digits(4, DATE)?;
    if cursor.peek().is_some_and(|next| next.is_ascii_digit()) {
        return Err(start.expected("a year of four digits, after which a month follows as in 2024-11"));
    }
    Ok(i16::try_from(year).expect("four digits"))
}

/// Reads the separator before an hour, if an hour follows. A space is a separator only before a digit.
fn takes_hour_separator(cursor: &mut Cursor) -> bool {
    let spaced = cursor.rest().strip_prefix(' ');
    let hour_is_next = spaced.is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    cursor.eat("T") || (hour_is_next && cursor.eat(" "))
}

/// Reads `10`, `10:30`, `10:30:15` or `10:30:15.250`.
fn read_time(cursor: &mut Cursor) -> Result<(Time, Period), SyntaxError> {
    let (mut minute, mut second, mut nanos, mut period) = (0, 0, 0, Period::Hour);
    let hour = part(cursor, 2, "an hour of two digits, such as 09", written::hour)?;
    if cursor.eat(":") {
        minute = part(cursor, 2, "a minute of two digits, such as 05", written::minute)?;
        period = Period::Minute;
        if cursor.eat(":") {
            second = part(cursor, 2, "a second of two digits, such as 05", written::second)?;
            period = Period::Second;
            if cursor.eat(".") {
                let rest = cursor.rest().len();
                let fraction = cursor.number(6, "one to six decimals")?;
                let decimals = rest - cursor.rest().len();
                nanos = (0..9 - decimals).fold(fraction, |nanos, _| nanos * 10);
                period = Period::Fraction(u8::try_from(decimals).expect("at most six"));
            }
        }
    }
    let nanos = i32::try_from(nanos).expect("less than a second");
    Ok((Time::new(hour, minute, second, nanos).expect("its parts were checked"), period))
}

fn tenor(year: i16, period: Period, number: u32) -> Result<Date, String> {
    let month = match period {
        Period::Quarter if (1..=4).contains(&number) => written::month(number * 3 - 2)?,
        Period::Quarter => return Err("a quarter from 1 to 4".to_owned()),
        Period::Week => return monday(year, number),
        _ => written::month(number)?,
    };
    Ok(Date::new(year, month, 1).expect("its parts were checked"))
}

/// The Monday of an ISO week.
fn monday(year: i16, number: u32) -> Result<Date, String> {
    let week = |number| ISOWeekDate::new(year, number, Weekday::Monday).ok();
    let found = i8::try_from(number).ok().and_then(week);
    found.map(ISOWeekDate::date).ok_or_else(|| {
        let last = if week(53).is_some() { 53 } else { 52 };
        format!("a week from 01 to {last}, because {year:04} has {last} weeks")
    })
}

impl fmt::Display for WrittenDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.start.date(), self.start.time());
        let week = date.iso_week_date();
        match self.period {
            Period::Year => write!(f, "{:04}", date.year()),
            Period::Quarter => write!(f, "{:04}Q{}", date.year(), (date.month() + 2) / 3),
            Period::Month => write!(f, "{:04}-{:02}", date.year(), date.month()),
            Period::Week => write!(f, "{:04}W{:02}", week.year(), week.week()),
            Period::Day => write!(f, "{date}"),
            Period::Hour => write!(f, "{date}T{:02}", time.hour()),
            Period::Minute => write!(f, "{date}T{:02}:{:02}", time.hour(), time.minute()),
            Period::Second => write!(f, "{date}T{time}"),
            Period::Fraction(decimals) => write!(f, "{date}T{time:.width$}", width = usize::from(decimals)),
        }
    }
}
