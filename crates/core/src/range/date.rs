//! Dates that are written out, from a year to a fraction of a second.

use std::fmt;

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};

use super::RangeError;
use super::period::Period;
use super::reader::{Position, Reader};
use super::zone::Zone;

pub(super) const EXISTS: &str = "a date that exists, from 1970 to 9999";

const DATE: &str = "a date such as 2024, 2024Q3, 2024-11, 2024M11, 2024W05, 2024-11-20, \
                               2024-11-20T10, 2024-11-20T10:30 or 2024-11-20T10:30:15";

/// A period of the calendar or of a day, by its first time on a clock somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDate {
    pub(super) start: DateTime,
    pub(super) period: Period,
}

impl WrittenDate {
    /// Reads a date and the zone that its `Z` names.
    pub(super) fn read(reader: &mut Reader) -> Result<(Self, Option<Zone>), RangeError> {
        let position = reader.position();
        let year = reader.digits(4, DATE)?;
        // Tenors: nothing finer follows the letter's number.
        for (letter, digits, period) in
            [('Q', 1, Period::Quarter), ('M', 2, Period::Month), ('W', 2, Period::Week)]
        {
            if reader.take(letter) {
                let number = reader.digits(digits, DATE)?;
                let date = tenor(year, period, number).ok_or_else(|| position.expected(EXISTS))?;
                return Ok((Self { start: date.to_datetime(Time::midnight()), period }, None));
            }
        }
        let (mut month, mut day, mut period) = (1, 1, Period::Year);
        if reader.take('-') {
            (month, period) = (reader.digits(2, DATE)?, Period::Month);
            if reader.take('-') {
                (day, period) = (reader.digits(2, DATE)?, Period::Day);
            }
        }
        let date = date(year, month, day).ok_or_else(|| position.expected(EXISTS))?;
        if period < Period::Day || !takes_hour_separator(reader) {
            return Ok((Self { start: date.to_datetime(Time::midnight()), period }, None));
        }
        let (time, period) = read_time(reader, position)?;
        let zone = reader.take('Z').then(Zone::utc);
        Ok((Self { start: date.to_datetime(time), period }, zone))
    }
}

/// Whether an hour follows, whose separator is then read. A space is one only before a
/// digit.
fn takes_hour_separator(reader: &mut Reader) -> bool {
    let spaced = reader.rest().strip_prefix(' ');
    let hour_is_next = spaced.is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    reader.take('T') || (hour_is_next && reader.take(' '))
}

/// Reads `10`, `10:30`, `10:30:15` or `10:30:15.250` of the date at `position`.
fn read_time(reader: &mut Reader, position: Position) -> Result<(Time, Period), RangeError> {
    let (mut minute, mut second, mut nanos, mut period) = (0, 0, 0, Period::Hour);
    let hour = reader.digits(2, DATE)?;
    if reader.take(':') {
        (minute, period) = (reader.digits(2, DATE)?, Period::Minute);
        if reader.take(':') {
            (second, period) = (reader.digits(2, DATE)?, Period::Second);
            if reader.take('.') {
                let rest = reader.rest().len();
                let fraction = reader.number(6, "one to six decimals")?;
                let decimals = rest - reader.rest().len();
                nanos = (0..9 - decimals).fold(fraction, |nanos, _| nanos * 10);
                period = Period::Fraction(u8::try_from(decimals).expect("at most six"));
            }
        }
    }
    let nanos = i32::try_from(nanos).expect("less than a second");
    let time = Time::new(small(hour), small(minute), small(second), nanos);
    Ok((time.map_err(|_| position.expected(EXISTS))?, period))
}

fn tenor(year: u32, period: Period, number: u32) -> Option<Date> {
    match period {
        Period::Quarter if !(1..=4).contains(&number) => None,
        Period::Quarter => date(year, number * 3 - 2, 1),
        Period::Week => {
            let year = i16::try_from(year).ok()?;
            Some(ISOWeekDate::new(year, small(number), Weekday::Monday).ok()?.date())
        }
        _ => date(year, number, 1),
    }
}

fn date(year: u32, month: u32, day: u32) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, small(month), small(day)).ok()
}

/// A number of two digits; others are none that a clock or a calendar knows.
fn small(number: u32) -> i8 {
    i8::try_from(number).unwrap_or(-1)
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
