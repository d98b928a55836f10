//! Calendars: how time is cut into buckets. A bucket runs from its calendar point to
//! the next one, so every instant lies in exactly one.
//!
//! A calendar is read on the clock of a time zone. Buckets of an hour or less begin when
//! the clock enters an equal part of the local day, so that a repeated hour has its
//! buckets twice and a skipped one has none. All others begin when the clock first reaches
//! a local time, or at the end of the gap in which it skips it; a local day that a zone
//! skips altogether has no bucket.
//!
//! Buckets are exact from the year 1 to the year 9999. They are not cut there: the first
//! of the years that an event can have may begin before 1970.

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
    /// Where the clock enters an equal part of time, of an hour at most.
    Cells(Cells),
    /// Where the clock first reaches a local time.
    Points(Points),
}

/// A range has more buckets than an answer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {limit} buckets, found {asked}: choose a coarser calendar or a shorter range")]
pub struct TooManyBuckets {
    /// The buckets asked for, counted on the clock without making them: exact where the
    /// zone never changes its clock. Elsewhere it is off by what the clock repeats and
    /// skips, and of working days it counts holidays as well.
    pub asked: u64,
    /// The buckets allowed.
    pub limit: u64,
}

/// 0001-01-01T00:00:00Z, the first instant of the contract's timestamps.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;

impl Calendar {
    /// The built-in calendar of a code, in UTC: `#` and an ISO 8601 duration, or a name of
    /// [`BUILT_IN`].
    pub fn parse(code: &str) -> Result<Self, SyntaxError> {
        Ok(Self { code: code.to_owned(), zone: TimeZone::UTC, buckets: built_in::read(code)? })
    }

    /// A tenant's own calendar, under the code by which it is asked for.
    pub fn defined(code: &str, definition: &Definition) -> Result<Self, DefinitionError> {
        if code.is_empty() || Self::is_reserved(code) {
            return Err(DefinitionError::Code(code.to_owned()));
        }
        let (zone, buckets) = definition.read()?;
        Ok(Self { code: code.to_owned(), zone, buckets })
    }

    /// Whether a code is one that a tenant may not define: it begins with `#`, or is a
    /// built-in name in any case.
    #[must_use]
    pub fn is_reserved(code: &str) -> bool {
        built_in::is_reserved(code)
    }

    /// The same calendar on the clock of another zone.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    /// The zone on whose clock it is read.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The starts of all buckets that meet `range`, ascending. The first is at or
    /// before the start of the range.
    ///
    /// What lies outside the years 1 to 9999 is not looked at.
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

    /// The last `n` buckets, of which the last is the one in which `at` lies: from the
    /// start of the first to the end of the last. An `n` of 0 is taken for 1.
    ///
    /// They do not begin before the bucket of 1970-01-01T00:00:00Z, and end with the year
    /// 9999 at the latest; an instant outside these is taken for the nearest within.
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
            // The buckets are longer here than usual.
            span = span.saturating_mul(2);
        }
    }

    /// The starts of buckets, ascending and without an end, from that of the bucket in
    /// which an instant lies.
    fn starts(&self, at: i64) -> Box<dyn Iterator<Item = i64> + '_> {
        let clock = Clock(&self.zone);
        match &self.buckets {
            Buckets::Cells(cells) => Box::new(clock.entering(*cells, at)),
            Buckets::Points(points) => {
                let mut previous = None;
                let starts = clock.reaching(points.from(clock.furthest(at)));
                // Points that the clock skips together are reached together.
                Box::new(starts.filter(move |start| previous.replace(*start) != Some(*start)))
            }
        }
    }

    /// About how many buckets there are from that of one instant to that of another one.
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
