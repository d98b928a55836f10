//! Calendars: how time is cut into buckets. A bucket extends from one calendar point to the next, so every
//! instant is in exactly one bucket.
//!
//! A calendar follows the clock of a time zone. Buckets of an hour or less divide the local day into equal
//! parts, and begin whenever the clock enters such a part. A repeated hour therefore has its buckets twice,
//! and a skipped hour has no buckets. Longer buckets begin when the clock first reaches a local time. If the
//! clock skips this local time, the bucket begins at the end of the gap. A local day that a time zone skips
//! entirely has no bucket.
//!
//! Buckets are exact from the year 1 to the year 9999. They are not cut to the range of timestamps: the
//! bucket of the first possible timestamp can begin before 1970.

mod built_in;
mod clock;
mod days;
mod definition;
mod england_and_wales;
mod holiday;
mod interval;
mod points;
mod reader;
mod working_days;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod laws;

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

pub use built_in::{BUILT_IN, BuiltIn};
pub use definition::{Definition, DefinitionError, MAX_HOLIDAYS};
pub use holiday::{Holiday, HolidayDay, Nth, Shift, weekday};

use clock::{Cells, Clock};
use points::Points;

use crate::range::TimeRange;
use crate::syntax::SyntaxError;
use crate::timestamp::Timestamp;

/// A calendar on the clock of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    code: String,
    zone: TimeZone,
    buckets: Buckets,
}

/// Where buckets begin.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Buckets {
    /// Equal parts of local time, of at most an hour. A bucket begins when the clock enters a part.
    Cells(Cells),
    /// Local times. A bucket begins when the clock first reaches one.
    Points(Points),
}

/// The error that a range has more buckets than an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {limit} buckets, found {asked}: choose a coarser calendar or a shorter range")]
pub struct TooManyBuckets {
    /// The number of buckets in the range, computed from local times without generating the buckets. The
    /// number is exact if the clock never changes. Otherwise, it does not account for repeated and skipped
    /// buckets. For working days, it includes holidays.
    pub asked: u64,
    /// The maximum number of buckets.
    pub limit: u64,
}

/// 0001-01-01T00:00:00Z, the first timestamp of the contract.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;

impl Calendar {
    /// The built-in calendar with this code, in UTC. A code is `#` and an ISO 8601 duration, or a name in
    /// [`BUILT_IN`].
    pub fn parse(code: &str) -> Result<Self, SyntaxError> {
        Ok(Self { code: code.to_owned(), zone: TimeZone::UTC, buckets: built_in::read(code)? })
    }

    /// The calendar that a tenant defines under this code.
    pub fn defined(code: &str, definition: &Definition) -> Result<Self, DefinitionError> {
        if code.is_empty() || Self::is_reserved(code) {
            return Err(DefinitionError::Code(code.to_owned()));
        }
        let (zone, buckets) = definition.read()?;
        Ok(Self { code: code.to_owned(), zone, buckets })
    }

    /// Whether tenants cannot define a calendar with this code, because it begins with `#` or is a built-in
    /// name (in upper or lower case).
    #[must_use]
    pub fn is_reserved(code: &str) -> bool {
        built_in::is_reserved(code)
    }

    /// The same calendar in another time zone.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The starts of all buckets that overlap `range`, in ascending order. The first one is at or before the
    /// start of the range.
    ///
    /// The part of the range outside the years 1 to 9999 is ignored.
    pub fn bucket_starts(&self, range: TimeRange, limit: u64) -> Result<Vec<Timestamp>, TooManyBuckets> {
        let start = range.start.micros().max(FIRST_MICROS);
        let end = range.end.min(Timestamp::END).micros();
        if start >= end {
            return Ok(Vec::new());
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut starts = self.starts(start).take_while(|bucket| *bucket < end);
        let within = starts.by_ref().take(most).map(Timestamp::from_micros).collect();
        if starts.next().is_some() {
            let asked = self.count(start, end - 1).max(limit.saturating_add(1));
            return Err(TooManyBuckets { asked, limit });
        }
        Ok(within)
    }

    /// The range of `n` consecutive buckets, the last of which contains `at`. An `n` of 0 means 1.
    ///
    /// The range begins at the bucket that contains 1970-01-01T00:00:00Z or later, and ends with the year
    /// 9999 or earlier. If `at` is out of this range, the nearest instant in it is used.
    pub fn last_buckets(&self, at: Timestamp, n: u64, limit: u64) -> Result<TimeRange, TooManyBuckets> {
        let n = n.max(1);
        if n > limit {
            return Err(TooManyBuckets { asked: n, limit });
        }
        let latest = Timestamp::from_micros(Timestamp::END.micros() - 1);
        let at = at.clamp(Timestamp::EPOCH, latest).micros();
        let back = usize::try_from(n).unwrap_or(usize::MAX);
        let distance = match &self.buckets {
            Buckets::Cells(cells) => cells.width,
            Buckets::Points(points) => points.distance(),
        };
        let mut span = distance.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX));
        loop {
            let from = at.saturating_sub(span).max(0);
            let mut starts = self.starts(from).peekable();
            let mut found = Vec::new();
            while let Some(start) = starts.next_if(|start| *start <= at) {
                found.push(start);
            }
            if found.len() >= back || from == 0 {
                let start = found[found.len().saturating_sub(back)];
                let end = starts.next().unwrap_or(i64::MAX);
                return Ok(TimeRange {
                    start: Timestamp::from_micros(start),
                    end: Timestamp::from_micros(end).min(Timestamp::END),
                });
            }
            // The buckets are longer than usual.
            span = span.saturating_mul(2);
        }
    }

    /// An endless iterator over the starts of buckets, from the bucket that contains `at`.
    fn starts(&self, at: i64) -> Box<dyn Iterator<Item = i64> + '_> {
        let clock = Clock(&self.zone);
        match &self.buckets {
            Buckets::Cells(cells) => Box::new(clock.entering(*cells, at)),
            Buckets::Points(points) => {
                let mut previous = None;
                let starts = clock.reaching(points.from(clock.furthest(at)));
                // The clock reaches all points in the same gap at once.
                Box::new(starts.filter(move |start| previous.replace(*start) != Some(*start)))
            }
        }
    }

    /// The approximate number of buckets from the one that contains `first` to the one that contains `last`.
    fn count(&self, first: i64, last: i64) -> u64 {
        let clock = Clock(&self.zone);
        let further = match &self.buckets {
            Buckets::Cells(cells) => cells.index(clock.local(last)) - cells.index(clock.local(first)),
            Buckets::Points(points) => points.between(clock.furthest(first), clock.furthest(last)),
        };
        further.unsigned_abs() + 1
    }
}

impl fmt::Display for Calendar {
    /// The code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

impl FromStr for Calendar {
    type Err = SyntaxError;

    fn from_str(code: &str) -> Result<Self, SyntaxError> {
        Self::parse(code)
    }
}
