//! Calendars that a tenant defines, as data, and what can be wrong with them.

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

/// The most holidays that a definition may have.
pub const MAX_HOLIDAYS: usize = 1_000;

/// What a calendar is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Buckets of one width.
    Interval {
        /// An ISO 8601 duration, such as `PT1H`, `P1D` or `P1M`, also with a leading `#`.
        interval: String,
        /// The IANA name of the time zone.
        zone: String,
        /// How much later than usual each bucket begins, in whole minutes on the clock of
        /// the zone: a gas day is `P1D` and six hours.
        offset: Duration,
    },
    /// Buckets from one working day to the next.
    WorkingDays {
        /// The days of the week on which no work is done; they may be repeated.
        weekend: Vec<Weekday>,
        /// The IANA name of the time zone.
        zone: String,
        /// Further days on which no work is done, [`MAX_HOLIDAYS`] at most.
        holidays: Vec<Holiday>,
    },
}

/// Why a definition does not make a calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The code is empty, or that of a built-in calendar.
    #[error(
        "expected a code that is not empty, does not begin with # and is not a built-in name, found {0:?}"
    )]
    Code(String),
    /// The interval cannot be read.
    #[error("{0}")]
    Interval(SyntaxError),
    /// There is no such time zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// The offset has seconds.
    #[error("expected an offset of whole minutes")]
    OffsetNotInMinutes,
    /// The offset is as long as an interval can be, or longer.
    #[error("expected an offset shorter than the shortest interval of {interval}, {} minutes", .shortest.as_secs() / 60)]
    OffsetTooLong {
        /// The interval.
        interval: String,
        /// How long it is at least.
        shortest: Duration,
    },
    /// All seven days of the week are weekend.
    #[error("expected a weekend of at most six days, found all seven: no working day is left")]
    WeekendOfAllDays,
    /// There are too many holidays.
    #[error("expected at most {MAX_HOLIDAYS} holidays, found {0}")]
    TooManyHolidays(usize),
    /// A holiday can never be.
    #[error("holiday {number} ({holiday}): {fault}")]
    Holiday {
        /// Which one, from 1.
        number: usize,
        /// The holiday.
        holiday: Box<Holiday>,
        /// What is wrong.
        fault: &'static str,
    },
    /// Weekend and holidays of every week leave nothing.
    #[error("no working day is left in {0}: the weekend and the weekly holidays cover every day")]
    NoWorkingDay(i16),
}

impl Definition {
    /// Checks that it makes a calendar, or says why it does not.
    pub fn validate(&self) -> Result<(), DefinitionError> {
        self.read().map(|_| ())
    }

    /// The zone and the buckets that it means.
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
        // Of each of these the years have many, or the same one twice, and each is looked for in
        // every year of a question.
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
