//! Calendar points in local time: where buckets of more than an hour begin on the clock.
//! Knows of no zone.

use super::days::{DAY, month_of, month_start};
use super::working_days::WorkingDays;

/// Ascending local times without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Points {
    /// At a fixed distance of `width` microseconds, one of them at `origin`.
    Fixed { width: i64, origin: i64 },
    /// At the first day of each `months` months, counted from the year 0, plus `offset`
    /// microseconds.
    Months { months: i64, offset: i64 },
    /// At the midnights with which working days begin.
    WorkingDays(WorkingDays),
}

impl Points {
    /// The points from the last one at or before a local time.
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

    /// How many points are after the first local time, up to the last one. Of working days
    /// it counts those that may be holidays as well.
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

    /// The usual distance of two points.
    pub(super) fn distance(&self) -> i64 {
        match self {
            Self::Fixed { width, .. } => *width,
            // 146,097 days have 4,800 months.
            Self::Months { months, .. } => months * (146_097 * DAY / 4_800),
            Self::WorkingDays(days) => 7 * DAY / days.weekdays_between(0, 7).max(1),
        }
    }
}

/// The number of the last of the equal parts that begins at or before a local time.
fn fixed_index(width: i64, origin: i64, local: i64) -> i64 {
    (local - origin).div_euclid(width)
}

/// The number of the last of the parts of months that begins at or before a local time.
fn months_index(months: i64, offset: i64, local: i64) -> i64 {
    month_of((local - offset).div_euclid(DAY)).div_euclid(months)
}
