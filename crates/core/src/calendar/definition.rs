//! Definitions of calendars by tenants, and their validation.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::Buckets;
use super::holiday::{Holiday, HolidayDay};
use super::interval::Interval;
use super::points::Points;
use super::working_days::WorkingDays;
use crate::syntax::SyntaxError;
use crate::zone::{UnknownZone, zone};

/// The maximum number of holidays in a definition.
pub const MAX_HOLIDAYS: usize = 1_000;

/// The definition of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Buckets of equal width.
    Interval {
        /// An ISO 8601 duration, such as `PT1H`, `P1D` or `P1M`. It can have a leading `#`.
        interval: String,
        /// The IANA name of the time zone.
        zone: String,
        /// How much later than usual each bucket begins, in whole minutes of local time. A gas day is `P1D`
        /// with an offset of six hours.
        offset: Duration,
    },
    /// Buckets that extend from one working day to the next.
    WorkingDays {
        /// The days of the weekend. Repeated days are ignored.
        weekend: Vec<Weekday>,
        /// The IANA name of the time zone.
        zone: String,
        /// The holidays, at most [`MAX_HOLIDAYS`].
        holidays: Vec<Holiday>,
    },
}

/// Why a definition is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The code is empty, or reserved for built-in calendars.
    #[error(
        "expected a code that is not empty, does not begin with # and is not a built-in name, found {0:?}"
    )]
    Code(String),
    /// The interval cannot be parsed.
    #[error("{0}")]
    Interval(SyntaxError),
    /// There is no such time zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// The offset is not a number of whole minutes.
    #[error("expected an offset of whole minutes")]
    OffsetNotInMinutes,
    /// The offset is not shorter than the shortest interval.
    #[error("expected an offset shorter than the shortest interval of {interval}, {} minutes", .shortest.as_secs() / 60)]
    OffsetTooLong {
        /// The interval.
        interval: String,
        /// The length of the shortest interval.
        shortest: Duration,
    },
    /// The weekend has all seven days of the week.
    #[error("expected a weekend of at most six days, found all seven: no working day is left")]
    WeekendOfAllDays,
    /// There are too many holidays.
    #[error("expected at most {MAX_HOLIDAYS} holidays, found {0}")]
    TooManyHolidays(usize),
    /// A holiday is invalid.
    #[error("holiday {number} ({holiday}): {fault}")]
    Holiday {
        /// The number of the holiday, counted from 1.
        number: usize,
        /// The holiday.
        holiday: Box<Holiday>,
        /// What is wrong.
        fault: &'static str,
    },
    /// The weekend and the weekly holidays cover every day of a year.
    #[error("no working day is left in {0}: the weekend and the weekly holidays cover every day")]
    NoWorkingDay(i16),
}

impl Definition {
    /// Checks that the definition is valid.
    pub fn validate(&self) -> Result<(), DefinitionError> {
        self.read().map(|_| ())
    }

    /// The time zone and the buckets of the calendar.
    pub(super) fn read(&self) -> Result<(TimeZone, Buckets), DefinitionError> {
        match self {
            Self::Interval { interval, zone: name, offset } => {
                Ok((zone(name)?, interval_buckets(interval, *offset)?))
            }
            Self::WorkingDays { weekend, zone: name, holidays } => {
                Ok((zone(name)?, Buckets::Points(Points::WorkingDays(working_days(weekend, holidays)?))))
            }
        }
    }
}

fn interval_buckets(code: &str, offset: Duration) -> Result<Buckets, DefinitionError> {
    let interval = Interval::read(code).map_err(DefinitionError::Interval)?;
    let shortest = interval.shortest();
    match i64::try_from(offset.as_micros()) {
        _ if !offset.as_nanos().is_multiple_of(60_000_000_000) => Err(DefinitionError::OffsetNotInMinutes),
        Ok(offset) if offset < shortest => Ok(interval.buckets(offset)),
        _ => Err(DefinitionError::OffsetTooLong {
            interval: code.to_owned(),
            shortest: Duration::from_micros(shortest.unsigned_abs()),
        }),
    }
}

fn working_days(weekend: &[Weekday], holidays: &[Holiday]) -> Result<WorkingDays, DefinitionError> {
    let all = (0..7).all(|day| weekend.iter().any(|weekday| weekday.to_monday_zero_offset() == day));
    if all {
        return Err(DefinitionError::WeekendOfAllDays);
    }
    if holidays.len() > MAX_HOLIDAYS {
        return Err(DefinitionError::TooManyHolidays(holidays.len()));
    }
    for (number, holiday) in (1..).zip(holidays) {
        // A shifted weekly holiday or a repeated holiday is costly, because it is shifted many times in every
        // year of a query.
        let weekly_and_shifted = matches!(holiday.day, HolidayDay::Every(_)) && holiday.shift.is_some();
        let fault = if weekly_and_shifted {
            Some("a weekly holiday cannot be shifted")
        } else if holidays[..number - 1].contains(holiday) {
            Some("the holiday is listed twice")
        } else {
            holiday.fault()
        };
        if let Some(fault) = fault {
            return Err(DefinitionError::Holiday { number, holiday: Box::new(holiday.clone()), fault });
        }
    }
    let days = WorkingDays::new(weekend, holidays.to_vec());
    match days.year_without_working_days() {
        Some(year) => Err(DefinitionError::NoWorkingDay(year)),
        None => Ok(days),
    }
}
