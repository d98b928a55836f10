//! Points in time as microseconds since the epoch in UTC. This number is compared, stored and contained in
//! ids. Calendars and time zones use jiff.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::violation::Violation;

const MICROS_A_MINUTE: i64 = 60_000_000;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant that an id can contain.
    pub const EPOCH: Self = Self(0);
    /// The end of the year 9999, which is the first instant that an id, or a `google.protobuf.Timestamp`,
    /// cannot represent.
    pub const END: Self = Self(253_402_300_800_000_000);

    /// The point `micros` after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The point `minutes` after the epoch. None if it is out of range.
    #[must_use]
    pub const fn from_minutes(minutes: i64) -> Option<Self> {
        match minutes.checked_mul(MICROS_A_MINUTE) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// Whole minutes since the epoch.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        self.0.div_euclid(MICROS_A_MINUTE)
    }

    /// The point of a `google.protobuf.Timestamp`, truncated to microseconds. None outside the years 0001 to
    /// 9999, or if `nanos` is outside 0 to 999,999,999.
    #[must_use]
    pub fn from_seconds_nanos(seconds: i64, nanos: i32) -> Option<Self> {
        const FIRST: i64 = -62_135_596_800;
        const LAST: i64 = 253_402_300_799;
        if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        Some(Self(seconds * 1_000_000 + i64::from(nanos) / 1_000))
    }

    /// The current time according to the clock of this machine.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds and the remaining nanoseconds, as in a `google.protobuf.Timestamp`.
    #[must_use]
    pub fn seconds_nanos(self) -> (i64, i32) {
        let micros = i32::try_from(self.0.rem_euclid(1_000_000)).expect("less than a million");
        (self.0.div_euclid(1_000_000), micros * 1_000)
    }

    /// The last multiple of `width` since the epoch that is not after this.
    #[must_use]
    pub fn floor_to(self, width: Duration) -> Self {
        let width = whole_micros(width);
        Self(self.0 - self.0.rem_euclid(width))
    }

    /// The first multiple of `width` since the epoch that is not before this.
    #[must_use]
    pub fn ceil_to(self, width: Duration) -> Self {
        let width = whole_micros(width);
        let over = self.0.rem_euclid(width);
        if over == 0 { self } else { Self(self.0 - over + width) }
    }

    /// This point plus `duration`, at most [`Timestamp::END`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = whole_micros(duration);
        Self(self.0.saturating_add(micros)).min(Self::END)
    }

    /// This point minus `duration`, at least the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = whole_micros(duration);
        Self(self.0.saturating_sub(micros)).max(Self::EPOCH)
    }

    /// The time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Checks that the time of a report is neither too old nor in the future.
    pub fn check_between(self, oldest: Self, newest: Self) -> Result<(), Violation> {
        let text = if self < oldest {
            format!("too old: expected {oldest} or later, found {self}")
        } else if self > newest {
            format!("in the future: expected {newest} or earlier, found {self}")
        } else {
            return Ok(());
        };
        Err(Violation::new("timestamp", text))
    }

    /// The same point as a jiff timestamp. jiff's range ends a day before the year 9999 does; later points
    /// become its last one.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(nearest)
    }
}

/// The microseconds of a duration, saturating.
fn whole_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::EPOCH.plus(after),
            Err(_) => Self::EPOCH,
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let micros = Duration::from_micros(timestamp.0.unsigned_abs());
        if timestamp.0 < 0 { UNIX_EPOCH - micros } else { UNIX_EPOCH + micros }
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    /// Parses RFC 3339.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        Ok(text.parse::<jiff::Timestamp>()?.into())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_last_timestamps_can_be_printed() {
        for seconds in [-62_135_596_800, 0, 253_402_300_799] {
            let at = Timestamp::from_seconds_nanos(seconds, 999_999_999).unwrap();
            assert!(!at.to_string().is_empty());
        }
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string(), jiff::Timestamp::MIN.to_string());
    }

    #[test]
    fn timestamps_are_rounded_to_multiples_since_the_epoch() {
        let hour = Duration::from_hours(1);
        let at = Timestamp::from_micros(3_600_000_001);
        assert_eq!(at.floor_to(hour).micros(), 3_600_000_000);
        assert_eq!(at.ceil_to(hour).micros(), 7_200_000_000);
        assert_eq!(at.floor_to(hour).ceil_to(hour).micros(), 3_600_000_000);
    }
}
