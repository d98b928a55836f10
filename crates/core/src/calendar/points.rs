//! Calendar points: the local times at which buckets of more than an hour begin. The module is independent of
//! time zones.

use super::days::{DAY, month_of, month_start};
use super::working_days::WorkingDays;

/// An endless sequence of local times in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Points {
    /// Points at a distance of `width` microseconds, one of which is `origin`.
    Fixed { width: i64, origin: i64 },
    /// The start of every `months` months, counted from the year 0, plus `offset` microseconds.
    Months { months: i64, offset: i64 },
    /// The midnights at which working days begin.
    WorkingDays(WorkingDays),
}

impl Points {
    /// The points, starting with the last one at or before a local time.
    pub(super) fn from(&self, local: i64) -> Box<dyn Iterator<Item = i64> + '_> {
        match self {
            Self::Fixed { width, origin } => {
                let first = fixed_index(*width, *origin, local);
                Box::new((first..).map(move |index| origin + index * width))
            }
            Self::Months { months, offset } => {
                let first = months_index(*months, *offset, local);
                Box::new((first..).map(move |index| month_start(index * months) * DAY + offset))
            }
            Self::WorkingDays(days) => Box::new(days.from(local.div_euclid(DAY)).map(|day| day * DAY)),
        }
    }

    /// The number of points after the local time `first`, up to and including `last`. For working days, the
    /// number includes holidays.
    pub(super) fn between(&self, first: i64, last: i64) -> i64 {
        match self {
            Self::Fixed { width, origin } => {
                fixed_index(*width, *origin, last) - fixed_index(*width, *origin, first)
            }
            Self::Months { months, offset } => {
                months_index(*months, *offset, last) - months_index(*months, *offset, first)
            }
            Self::WorkingDays(days) => days.weekdays_between(first.div_euclid(DAY), last.div_euclid(DAY)),
        }
    }

    /// The usual distance between two points.
    pub(super) fn distance(&self) -> i64 {
        match self {
            Self::Fixed { width, .. } => *width,
            // 146,097 days have 4,800 months.
            Self::Months { months, .. } => months * (146_097 * DAY / 4_800),
            Self::WorkingDays(days) => 7 * DAY / days.weekdays_between(0, 7).max(1),
        }
    }
}

/// The index of the last point of equal distance at or before a local time.
fn fixed_index(width: i64, origin: i64, local: i64) -> i64 {
    (local - origin).div_euclid(width)
}

/// The index of the last point of months at or before a local time.
fn months_index(months: i64, offset: i64, local: i64) -> i64 {
    month_of((local - offset).div_euclid(DAY)).div_euclid(months)
}
