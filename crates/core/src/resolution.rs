//! The resolutions at which measured data is rolled up.

use std::time::Duration;

/// The width of the buckets of a roll-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// One minute.
    Minute,
    /// 15 minutes. The hours and days of every current time zone begin on such a boundary.
    QuarterHour,
    /// One hour in UTC. The hours and days of nearly every time zone begin on such a boundary.
    Hour,
    /// One day in UTC.
    Day,
}

impl Resolution {
    /// All resolutions, finest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::QuarterHour, Self::Hour, Self::Day];

    /// The width of a bucket. Buckets begin at multiples of the width since the epoch.
    #[must_use]
    pub const fn width(self) -> Duration {
        match self {
            Self::Minute => Duration::from_mins(1),
            Self::QuarterHour => Duration::from_mins(15),
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }

    /// The width in minutes, which is how the store identifies a resolution.
    #[must_use]
    pub const fn minutes(self) -> i16 {
        match self {
            Self::Minute => 1,
            Self::QuarterHour => 15,
            Self::Hour => 60,
            Self::Day => 1_440,
        }
    }
}
