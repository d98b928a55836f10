//! A month of events: their times, and the range that contains them.

use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;

/// The number of days that the events are spread over.
pub const DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Events, evenly spread over [`DAYS`] days and numbered in order of time.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// The end of the last day.
    pub end: Timestamp,
    /// The number of events.
    pub events: u64,
}

impl Days {
    /// The last whole days in UTC.
    pub fn until_today(events: u64) -> Self {
        Self { end: Timestamp::now().floor_to(DAY), events }
    }

    /// The begin of the first day.
    pub fn start(&self) -> Timestamp {
        self.end.minus(DAY * DAYS)
    }

    /// The time of the event with this number: the middle of its share of the days, so that no event is at the begin
    /// of an hour, which not every system counts in the same hour.
    pub fn time_of(&self, number: u64) -> Timestamp {
        let halves = u128::from(number) * 2 + 1;
        let offset = halves * (DAY * DAYS).as_micros() / (u128::from(self.events) * 2);
        Timestamp::from_micros(self.start().micros() + i64::try_from(offset).expect("within the days"))
    }

    /// A day, counted from the first.
    pub fn day(&self, number: usize) -> String {
        let back = u32::try_from(number).map_or(0, |number| DAYS.saturating_sub(number));
        let text = self.end.minus(DAY * back).to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }

    /// The range of all days.
    pub fn range(&self) -> String {
        format!("between({},{})", self.day(0), self.day(DAYS as usize - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_lie_within_the_days_in_order() {
        let days = Days { end: Timestamp::EPOCH.plus(DAY * 100), events: 7 };
        let times: Vec<_> = (0..7).map(|number| days.time_of(number)).collect();
        assert!(times.is_sorted() && times[0] > days.start() && times[6] < days.end);
    }

    #[test]
    fn the_range_names_the_first_and_the_last_day() {
        let days = Days { end: Timestamp::EPOCH.plus(DAY * DAYS), events: 1 };
        assert_eq!(days.range(), "between(1970-01-01,1970-01-30)");
    }
}
