//! The periods that dates name, and their ranges in a time zone, where days can have 23 or 25 hours, and
//! hours can be skipped or occur twice.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, ToSpan};

use super::TimeRange;
use crate::timestamp::Timestamp;

/// A period of the calendar or the clock, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Period {
    Year,
    Quarter,
    Month,
    /// An ISO 8601 week, which begins on Monday.
    Week,
    Day,
    Hour,
    Minute,
    Second,
    /// A fraction of a second with this number of decimals, from 1 to 6.
    Fraction(u8),
}

impl Period {
    /// The start of the period that contains `at`. None if it is before the first time that jiff supports.
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

    /// The range of the period that begins at the local time `start` in `zone`, cut to the times that an
    /// event can have. None if nothing of it remains.
    ///
    /// If the start occurs twice, the range starts at the first occurrence. If the end occurs twice, the
    /// range ends at the second. A local time that the clock skips means the end of the gap, so a period in a
    /// gap is empty.
    pub(super) fn place(self, start: DateTime, zone: &TimeZone) -> Option<TimeRange> {
        let first = match zone.to_ambiguous_timestamp(start).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(start, offset),
            AmbiguousOffset::Fold { before, .. } => instant(start, before),
            AmbiguousOffset::Gap { after, .. } => end_of_gap(instant(start, after), zone),
        };
        // The end is computed from the last local time in the period, because this time may occur twice, and
        // because the start of the next period may be after the year 9999.
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

/// The instant of a local time that is `offset` ahead of UTC. Unlike jiff's timestamps, instants reach to the
/// last second of the year 9999.
fn instant(at: DateTime, offset: Offset) -> Timestamp {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let micros = i64::try_from(at.duration_since(EPOCH).as_micros()).expect("years have four digits");
    Timestamp::from_micros(micros - i64::from(offset.seconds()) * 1_000_000)
}

/// The end of the gap after `before`.
fn end_of_gap(before: Timestamp, zone: &TimeZone) -> Timestamp {
    zone.following(before.to_jiff()).next().map_or(before, |change| change.timestamp().into())
}
