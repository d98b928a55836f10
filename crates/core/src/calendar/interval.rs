//! Intervals: ISO 8601 durations, and the local times at which their buckets begin.

use super::days::{DAY, HOUR, MINUTE, month_start};
use super::points::Points;
use super::{Buckets, clock};
use crate::syntax::{Cursor, SyntaxError};

/// 1970-01-05 was a Monday.
const A_MONDAY: i64 = 4 * DAY;

/// The longest interval in months and in minutes.
const CENTURY_MONTHS: i64 = 1_200;
const CENTURY_MINUTES: i64 = 52_560_000;

/// The width of a calendar's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interval {
    /// A number of microseconds of local time, counted from a local time.
    Fixed { width: i64, origin: i64 },
    /// A number of calendar months, counted from the year 0.
    Months(i64),
}

impl Interval {
    /// Parses an ISO 8601 duration, which can have a leading `#`.
    pub(super) fn read(code: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(code);
        cursor.eat("#");
        cursor.require("P", "an ISO 8601 duration, such as PT15M, PT1H, P1D, P1W or P1M")?;
        let start = cursor.position();
        let mut units = Units::default();
        units.read(&mut cursor)?;
        let wrong = |position, expected: &str| Err(SyntaxError::new(position, expected));
        match (units.months, units.minutes) {
            (0, 0) => Err(cursor.expected("a duration of a minute or more")),
            (months, 0) if months > CENTURY_MONTHS => wrong(start, "at most 100 years"),
            (0, minutes) if minutes > CENTURY_MINUTES => wrong(start, "at most 100 years"),
            (months, 0) => Ok(Self::Months(months)),
            (0, minutes) => {
                Ok(Self::Fixed { width: minutes * MINUTE, origin: if units.weeks { A_MONDAY } else { 0 } })
            }
            _ => wrong(start, "either years and months, or weeks, days and times"),
        }
    }

    /// The length of the shortest bucket in local time, in microseconds.
    pub(super) fn shortest(self) -> i64 {
        match self {
            Self::Fixed { width, .. } => width,
            // The lengths of months repeat after 400 years.
            Self::Months(months) => (0..4_800)
                .map(|index| month_start((index + 1) * months) - month_start(index * months))
                .min()
                .map_or(0, |days| days * DAY),
        }
    }

    /// Buckets of this width, which begin `offset` microseconds later than usual.
    pub(super) fn buckets(self, offset: i64) -> Buckets {
        match self {
            Self::Fixed { width, origin } if width <= HOUR => {
                Buckets::Cells(clock::Cells { width, origin: origin + offset })
            }
            Self::Fixed { width, origin } => {
                Buckets::Points(Points::Fixed { width, origin: origin + offset })
            }
            Self::Months(months) => Buckets::Points(Points::Months { months, offset }),
        }
    }
}

/// The sums of the parts of an ISO 8601 duration.
#[derive(Default)]
struct Units {
    months: i64,
    minutes: i64,
    weeks: bool,
}

impl Units {
    /// Parses the text after the P.
    fn read(&mut self, cursor: &mut Cursor) -> Result<(), SyntaxError> {
        // The rank of each designator. Ranks must ascend, so the designators are in order and not repeated.
        const DATE: [char; 4] = ['Y', 'M', 'W', 'D'];
        const TIME: [char; 2] = ['H', 'M'];
        let (mut number, mut rank, mut time) = (None::<i64>, 0, false);
        loop {
            let here = *cursor;
            let Some(character) = cursor.next() else { break };
            if let Some(digit) = character.to_digit(10) {
                let longer = number.unwrap_or(0) * 10 + i64::from(digit);
                if longer > 99_999_999 {
                    return Err(SyntaxError::new(here.position(), "a smaller number"));
                }
                number = Some(longer);
                continue;
            }
            if character == 'T' && number.is_none() && !time {
                (time, rank) = (true, 0);
                continue;
            }
            let designators: &[char] = if time { &TIME } else { &DATE };
            let found = designators.iter().position(|designator| *designator == character);
            let (Some(at), Some(count)) = (found.filter(|at| *at >= rank), number.take()) else {
                let expected = if time { "a number and H or M" } else { "a number and Y, M, W or D, or T" };
                return Err(here.expected(expected));
            };
            rank = at + 1;
            match (time, character) {
                (false, 'Y') => self.months += count * 12,
                (false, 'M') => self.months += count,
                (false, 'W') => (self.minutes, self.weeks) = (self.minutes + count * 7 * 1_440, true),
                (false, _) => self.minutes += count * 1_440,
                (true, 'H') => self.minutes += count * 60,
                (true, _) => self.minutes += count,
            }
        }
        if number.is_some() || (time && rank == 0) {
            return Err(cursor.expected("a unit: Y, M, W or D, or after T, H or M"));
        }
        Ok(())
    }
}
