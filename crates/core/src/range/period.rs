//! The periods that dates name, and where they lie on the clock of a time zone, whose
//! days may have 23 or 25 hours and whose hours may be skipped or come twice.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, ToSpan};

use super::TimeRange;
use crate::timestamp::Timestamp;

/// A length of time as the calendar and the clock have it, coarse before fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Period {
    Year,
    Quarter,
    Month,
    /// From a Monday on, as ISO 8601 has it.
    Week,
    Day,
    Hour,
    Minute,
    Second,
    /// A second cut to that many decimals, 1 to 6.
    Fraction(u8),
}

impl Period {
    /// The first time of the period in which `at` lies. None before all time that
    /// jiff knows.
    pub(super) fn floor(self, at: DateTime) -> Option<DateTime> {
        let (date, time) = (at.date(), at.time());
        let midnight = |date: Date| date.to_datetime(Time::midnight());
        let first = |month: i8| Some(midnight(date.first_of_month().with().month(month).build().ok()?));
        let clock =
            |minute: i8, second: i8| Some(date.to_datetime(Time::new(time.hour(), minute, second, 0).ok()?));
        match self {
            Self::Year => first(1),
            Self::Quarter => first((date.month() - 1) / 3 * 3 + 1),
            Self::Month => first(date.month()),
            Self::Week => {
                let since_monday = date.weekday().to_monday_zero_offset().days();
                Some(midnight(date.checked_sub(since_monday).ok()?))
            }
            Self::Day => Some(midnight(date)),
            Self::Hour => clock(0, 0),
            Self::Minute => clock(time.minute(), 0),
            Self::Second => clock(time.minute(), time.second()),
            Self::Fraction(_) => Some(at),
        }
    }

    /// The period that begins at `start`, placed on the clock of `zone` and cut to all
    /// time that an event can have: None where nothing remains of it.
    ///
    /// Its start is the first of the two where that time comes twice, and its end that
    /// of the second. A time that the clock skips is the end of the gap, so a period
    /// that lies within one is empty.
    pub(super) fn place(self, start: DateTime, zone: &TimeZone) -> Option<TimeRange> {
        let first = match zone.to_ambiguous_timestamp(start).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(start, offset),
            AmbiguousOffset::Fold { before, .. } => instant(start, before),
            AmbiguousOffset::Gap { after, .. } => end_of_gap(instant(start, after), zone),
        };
        // The end follows from the last time in the period: whether that comes twice is
        // what matters, and it has a year of four digits where the next period has none.
        let last = self.last(start);
        let next = |offset| Timestamp::from_micros(instant(last, offset).micros() + 1);
        let end = match zone.to_ambiguous_timestamp(last).offset() {
            AmbiguousOffset::Unambiguous { offset } => next(offset),
            AmbiguousOffset::Fold { after, .. } => next(after),
            AmbiguousOffset::Gap { after, .. } => end_of_gap(instant(last, after), zone),
        };
        let all = TimeRange::ALL;
        (end > all.start && first < all.end)
            .then(|| TimeRange { start: first.max(all.start), end: end.min(all.end) })
    }

    /// The last microsecond of the period that begins at `start`.
    fn last(self, start: DateTime) -> DateTime {
        let next = start.checked_add(self.span()).and_then(|next| next.checked_sub(1.microsecond()));
        next.unwrap_or(DateTime::MAX)
    }

    fn span(self) -> Span {
        match self {
            Self::Year => 1.year(),
            Self::Quarter => 3.months(),
            Self::Month => 1.month(),
            Self::Week => 1.week(),
            Self::Day => 1.day(),
            Self::Hour => 1.hour(),
            Self::Minute => 1.minute(),
            Self::Second => 1.second(),
            Self::Fraction(decimals) => 10_i64.pow(6_u32.saturating_sub(u32::from(decimals))).microseconds(),
        }
    }
}

/// A time on a clock that is `offset` ahead of UTC. Unlike jiff's own instants these
/// reach to the last second of the year 9999.
fn instant(at: DateTime, offset: Offset) -> Timestamp {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let micros = i64::try_from(at.duration_since(EPOCH).as_micros()).expect("years have four digits");
    Timestamp::from_micros(micros - i64::from(offset.seconds()) * 1_000_000)
}

/// Where the gap ends that follows on `before`.
fn end_of_gap(before: Timestamp, zone: &TimeZone) -> Timestamp {
    zone.following(before.to_jiff()).next().map_or(before, |change| change.timestamp().into())
}
