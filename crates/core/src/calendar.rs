//! Calendars: how time is cut into buckets. A bucket runs from its calendar point to
//! the next one, so every instant lies in exactly one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::range::TimeRange;
use crate::timestamp::Timestamp;

/// An interval calendar in UTC: `#` and an ISO 8601 duration.
///
/// Intervals of hours and days count from the epoch's midnight, weeks from a Monday,
/// months and years from January.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    code: String,
    interval: Interval,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interval {
    /// A fixed width, and where one bucket begins.
    Fixed { width: Duration, origin: Timestamp },
    /// A number of calendar months, counted from the year 0.
    Months(i32),
}

/// Why a text is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}")]
pub struct CalendarError {
    /// The character at which it goes wrong, from 1.
    pub position: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// A range has more buckets than an answer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the range has {asked} buckets, at most {limit} are allowed: take a coarser calendar or a shorter range"
)]
pub struct TooManyBuckets {
    /// The buckets asked for.
    pub asked: u64,
    /// The buckets allowed.
    pub limit: u64,
}

/// The first Monday after the epoch.
const A_MONDAY: Timestamp = Timestamp::from_micros(4 * 86_400_000_000);

impl Calendar {
    /// The starts of all buckets that meet `range`, ascending. The first is at or
    /// before the start of the range.
    pub fn bucket_starts(&self, range: TimeRange, limit: u64) -> Result<Vec<Timestamp>, TooManyBuckets> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        let last = Timestamp::from_micros(range.end.micros() - 1);
        let (first, last) = (self.index(range.start), self.index(last));
        let asked = (last - first).unsigned_abs() + 1;
        if asked > limit {
            return Err(TooManyBuckets { asked, limit });
        }
        Ok((first..=last).map(|index| self.start(index)).collect())
    }

    /// The number of the bucket in which an instant lies.
    fn index(&self, at: Timestamp) -> i64 {
        match self.interval {
            Interval::Fixed { width, origin } => (at.micros() - origin.micros()).div_euclid(micros(width)),
            Interval::Months(months) => {
                let date = at.to_jiff().to_zoned(TimeZone::UTC).date();
                i64::from(month_number(date).div_euclid(months))
            }
        }
    }

    /// The start of the bucket of that number.
    fn start(&self, index: i64) -> Timestamp {
        match self.interval {
            Interval::Fixed { width, origin } => {
                Timestamp::from_micros(origin.micros() + index * micros(width))
            }
            Interval::Months(months) => {
                let month = index * i64::from(months);
                let year = i16::try_from(month.div_euclid(12)).expect("the range lies in years 1 to 9999");
                let month = i8::try_from(month.rem_euclid(12)).expect("less than 12") + 1;
                let start = Date::new(year, month, 1).expect("every month has a first day");
                start.to_zoned(TimeZone::UTC).expect("UTC has no gaps").timestamp().into()
            }
        }
    }
}

fn month_number(date: Date) -> i32 {
    i32::from(date.year()) * 12 + i32::from(date.month()) - 1
}

fn micros(width: Duration) -> i64 {
    i64::try_from(width.as_micros()).expect("parsing bounds the width to 100 years")
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(code: &str) -> Result<Self, CalendarError> {
        let wrong = |position, expected| CalendarError { position, expected };
        let duration = code
            .strip_prefix("#P")
            .ok_or(wrong(1, "# and an ISO 8601 duration, such as #PT15M, #PT1H, #P1D, #P1W or #P1M"))?;
        let mut units = Units::default();
        units.read(duration, 3)?;
        let end = code.chars().count() + 1;
        let interval = match (units.months, units.minutes) {
            (0, 0) => return Err(wrong(end, "a duration of a minute or more")),
            (months, 0) if months > 1_200 => return Err(wrong(3, "at most 100 years")),
            (0, minutes) if minutes > 52_560_000 => return Err(wrong(3, "at most 100 years")),
            (months, 0) => Interval::Months(i32::try_from(months).expect("bounded above")),
            (0, minutes) => Interval::Fixed {
                width: Duration::from_mins(minutes),
                origin: if units.weeks { A_MONDAY } else { Timestamp::EPOCH },
            },
            _ => return Err(wrong(3, "either years and months, or weeks, days and times")),
        };
        Ok(Self { code: code.to_owned(), interval })
    }
}

/// The parts of an ISO 8601 duration, added up.
#[derive(Default)]
struct Units {
    months: u64,
    minutes: u64,
    weeks: bool,
}

impl Units {
    /// Reads what follows the P, whose first character is at `position` of the code.
    fn read(&mut self, duration: &str, position: usize) -> Result<(), CalendarError> {
        // Each designator with its rank, so that they come in order and once.
        const DATE: [char; 4] = ['Y', 'M', 'W', 'D'];
        const TIME: [char; 2] = ['H', 'M'];
        let (mut number, mut rank, mut time) = (None::<u64>, 0, false);
        for (index, character) in duration.chars().enumerate() {
            let wrong = |expected| CalendarError { position: position + index, expected };
            if let Some(digit) = character.to_digit(10) {
                let longer = number.unwrap_or(0) * 10 + u64::from(digit);
                if longer > 99_999_999 {
                    return Err(wrong("a smaller number"));
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
                return Err(wrong(if time {
                    "a number and H or M"
                } else {
                    "a number and Y, M, W or D, or T"
                }));
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
            let position = position + duration.chars().count();
            return Err(CalendarError { position, expected: "a unit: Y, M, W or D, or after T, H or M" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(code: &str) -> Calendar {
        code.parse().unwrap()
    }

    fn range(start: &str, end: &str) -> TimeRange {
        let at = |text: &str| Timestamp::from(text.parse::<jiff::Timestamp>().unwrap());
        TimeRange { start: at(start), end: at(end) }
    }

    fn starts(code: &str, start: &str, end: &str) -> Vec<String> {
        let starts = calendar(code).bucket_starts(range(start, end), 25_000).unwrap();
        starts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn buckets_begin_where_the_clock_and_the_calendar_say() {
        let (start, end) = ("2024-02-28T10:07:00Z", "2024-02-28T10:08:00Z");
        for (code, expected) in [
            ("#PT1M", "2024-02-28T10:07:00Z"),
            ("#PT5M", "2024-02-28T10:05:00Z"),
            ("#PT15M", "2024-02-28T10:00:00Z"),
            ("#PT6H", "2024-02-28T06:00:00Z"),
            ("#PT12H", "2024-02-28T00:00:00Z"),
            ("#P1D", "2024-02-28T00:00:00Z"),
            ("#P1W", "2024-02-26T00:00:00Z"),
            ("#P1M", "2024-02-01T00:00:00Z"),
            ("#P3M", "2024-01-01T00:00:00Z"),
            ("#P1Y", "2024-01-01T00:00:00Z"),
        ] {
            assert_eq!(starts(code, start, end), [expected], "{code}");
        }
        assert_eq!(
            starts("#P1M", "2023-12-31T23:59:59Z", "2024-02-01T00:00:00Z"),
            ["2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z"]
        );
    }

    #[test]
    fn too_many_buckets_are_counted_and_not_made() {
        let millennia = range("1970-01-01T00:00:00Z", "9000-01-01T00:00:00Z");
        let error = calendar("#PT1M").bucket_starts(millennia, 25_000).unwrap_err();
        assert_eq!(error.asked, 3_697_423_200);
    }

    #[test]
    fn the_end_of_time_lies_in_a_bucket() {
        for code in ["#P1M", "#P1Y", "#P1W", "#P1D"] {
            let last =
                TimeRange { start: Timestamp::from_micros(Timestamp::END.micros() - 1), end: Timestamp::END };
            assert_eq!(calendar(code).bucket_starts(last, 10).unwrap().len(), 1, "{code}");
        }
    }

    #[test]
    fn a_wrong_code_says_where_and_what() {
        for (code, position) in [
            ("", 1),
            ("PT1H", 1),
            ("#PX", 3),
            ("#P", 3),
            ("#PT", 4),
            ("#P1", 4),
            ("#PT0M", 6),
            ("#PT1S", 5),
            ("#P1D1D", 6),
            ("#PT1M1H", 7),
            ("#P1M1D", 3),
            ("#P999Y", 3),
            ("#PT99999999999999999999H", 12),
        ] {
            assert_eq!(code.parse::<Calendar>().unwrap_err().position, position, "{code}");
        }
    }

    proptest! {
        #[test]
        fn buckets_tile_time(
            code in prop::sample::select(vec![
                "#PT1M", "#PT5M", "#PT1H", "#PT1H30M", "#P1D", "#P10D", "#P1W", "#P2W", "#P1M", "#P3M", "#P1Y", "#P5M",
            ]),
            start in 0..4_000_000_000_000_000_i64,
            length in 1..40_000_000_000_i64,
        ) {
            let calendar = calendar(code);
            let end = Timestamp::from_micros(start + length);
            let start = Timestamp::from_micros(start);
            let starts = calendar.bucket_starts(TimeRange { start, end }, 25_000).unwrap();
            prop_assert!(starts[0] <= start && starts[starts.len() - 1] < end);
            prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
            for (index, bucket) in (0..).zip(&starts) {
                // Each start lies in its own bucket, and the instant before in the last.
                prop_assert_eq!(calendar.index(*bucket), calendar.index(starts[0]) + index);
                let before = Timestamp::from_micros(bucket.micros() - 1);
                prop_assert_eq!(calendar.index(before), calendar.index(*bucket) - 1);
            }
        }

        #[test]
        fn reading_never_panics(code in "#?P?[0-9TYMWDHS\\PC]{0,12}") {
            if let Ok(calendar) = code.parse::<Calendar>() {
                let _ = calendar.bucket_starts(range("1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z"), 100);
            }
        }
    }
}
