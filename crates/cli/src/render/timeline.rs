//! The time axis of a chart: the slot of each bucket, so that omitted buckets leave a gap, and the labels
//! under the axis.

use jiff::{Span, Timestamp, tz::TimeZone};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// The distance between two neighbouring buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Months(i64),
    /// Days of the time zone, which can have 23 or 25 hours.
    Days(i64),
    Seconds(i64),
    /// A calendar that is not an interval. Its points follow one another without gaps.
    Unknown,
}

/// The buckets of a calendar, numbered from 0 at the first point.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    step: Step,
    /// The time zone of days and months.
    zone: TimeZone,
    /// The start of each bucket that has a point, ascending.
    times: Vec<Timestamp>,
    first: Timestamp,
}

impl Timeline {
    /// The timeline of points at these times, which can be in any order, on a calendar such as `#PT1H` in a
    /// time zone. None without points.
    pub(crate) fn new(calendar: &str, zone: &TimeZone, mut times: Vec<Timestamp>) -> Option<Self> {
        times.sort_unstable();
        times.dedup();
        let first = *times.first()?;
        Some(Self { step: step(calendar), zone: zone.clone(), times, first })
    }

    /// The slot of the bucket that starts at this time.
    pub(crate) fn slot(&self, time: Timestamp) -> usize {
        let slots = match self.step {
            // Rounded to the nearest, because a bucket of several hours is shorter when the clocks change.
            Step::Seconds(seconds) => {
                (time.as_second() - self.first.as_second() + seconds / 2).div_euclid(seconds)
            }
            Step::Days(days) => {
                (self.local(time).div_euclid(DAY) - self.local(self.first).div_euclid(DAY)) / days
            }
            Step::Months(months) => (self.month(time) - self.month(self.first)) / months,
            Step::Unknown => return self.times.partition_point(|known| *known < time),
        };
        usize::try_from(slots).unwrap_or(0)
    }

    /// The number of slots from the first point to the last.
    pub(crate) fn slots(&self) -> usize {
        self.times.last().map_or(0, |last| self.slot(*last) + 1)
    }

    /// When the last bucket ends. None if the calendar is not an interval.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.time(self.slots())
    }

    /// Whether a bucket that has a point contains this time. False if the calendar is not an interval.
    pub(crate) fn goes_on(&self, time: Timestamp) -> bool {
        let after = self.times.partition_point(|start| *start <= time);
        let Some(start) = after.checked_sub(1).map(|at| self.times[at]) else { return false };
        self.time(self.slot(start) + 1).is_some_and(|end| time < end)
    }

    /// When the bucket of this slot starts.
    pub(crate) fn time(&self, slot: usize) -> Option<Timestamp> {
        let count = i64::try_from(slot).ok()?;
        let span = match self.step {
            // Longer buckets begin at the same hours of each day, as the clocks show them.
            Step::Seconds(seconds) if seconds <= HOUR => {
                return Timestamp::from_second(self.first.as_second() + count * seconds).ok();
            }
            Step::Seconds(seconds) => Span::new().try_seconds(count * seconds),
            Step::Days(days) => Span::new().try_days(count * days),
            Step::Months(months) => Span::new().try_months(count * months),
            Step::Unknown => return self.times.get(slot).copied(),
        };
        let local = self.zone.to_datetime(self.first).checked_add(span.ok()?).ok()?;
        self.zone.to_timestamp(local).ok()
    }

    /// The time that clocks in the time zone show, in seconds from 1970.
    fn local(&self, time: Timestamp) -> i64 {
        time.as_second() + i64::from(self.zone.to_offset(time).seconds())
    }

    /// Months since the year 0 on the clocks of the time zone.
    fn month(&self, time: Timestamp) -> i64 {
        let date = self.zone.to_datetime(time).date();
        i64::from(date.year()) * 12 + i64::from(date.month())
    }

    /// The labels of an axis as (column, text), ascending, without overlap and within the last column. Each
    /// column holds `per` slots, or each slot is `wide` columns wide.
    pub(crate) fn labels(&self, per: usize, wide: usize) -> Vec<(usize, String)> {
        let columns = self.slots().div_ceil(per);
        let tick = self.tick(columns * wide);
        let mut labels: Vec<(usize, String)> = Vec::new();
        let mut free_from = 0;
        for column in 0..columns {
            let Some(time) = self.time(column * per) else { continue };
            let next = self.time((column + 1) * per).map(|next| self.local(next));
            let at = match tick {
                Some(tick) => round_within(self.local(time), next, tick),
                None => Some(self.local(time)),
            };
            let Some(text) = at.and_then(|at| self.label(at, tick)) else { continue };
            let start = column * wide;
            if start >= free_from && start + text.len() <= columns * wide {
                free_from = start + text.len() + 2;
                labels.push((start, text));
            }
        }
        labels
    }

    /// The distance between labels in seconds: the shortest round one that leaves room for their texts. None
    /// if every bucket can have a label.
    fn tick(&self, columns: usize) -> Option<i64> {
        const ROUND: [i64; 18] = [
            60,
            300,
            600,
            900,
            1800,
            3600,
            7200,
            10_800,
            14_400,
            21_600,
            43_200,
            DAY,
            2 * DAY,
            7 * DAY,
            14 * DAY,
            28 * DAY,
            91 * DAY,
            364 * DAY,
        ];
        const ROOM: i64 = 13;
        let seconds = match self.step {
            Step::Seconds(seconds) => seconds,
            Step::Days(days) => days * DAY,
            Step::Months(_) | Step::Unknown => return None,
        };
        let columns = i64::try_from(columns).ok()?.max(1);
        let extent = seconds * i64::try_from(self.slots()).ok()?;
        ROUND.into_iter().find(|tick| *tick >= seconds && tick * columns >= ROOM * extent)
    }

    /// The text of a label. `local` is the time that clocks show, in seconds from 1970.
    fn label(&self, local: i64, tick: Option<i64>) -> Option<String> {
        let form = match (self.step, tick) {
            (Step::Months(_), _) => "%Y-%m",
            (_, Some(tick)) if tick < DAY && local.rem_euclid(DAY) != 0 => "%H:%M",
            _ => "%Y-%m-%d",
        };
        // A time at which clocks in UTC show the same, used only for formatting.
        Some(Timestamp::from_second(local).ok()?.strftime(form).to_string())
    }
}

fn step(calendar: &str) -> Step {
    match calendar {
        "DAILY" => return Step::Days(1),
        "MONTHLY" => return Step::Months(1),
        _ => {}
    }
    let Some(span) = calendar.strip_prefix('#').and_then(|code| code.parse::<Span>().ok()) else {
        return Step::Unknown;
    };
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let seconds = i64::from(span.get_hours()) * HOUR + span.get_minutes() * 60 + span.get_seconds();
    match (months, days, seconds) {
        (months @ 1.., 0, 0) => Step::Months(months),
        (0, days @ 1.., 0) => Step::Days(days),
        (0, 0, seconds @ 1..) => Step::Seconds(seconds),
        _ => Step::Unknown,
    }
}

/// The first multiple of `tick` in `[time, next)`. Weeks start on Monday.
fn round_within(time: i64, next: Option<i64>, tick: i64) -> Option<i64> {
    // 1970-01-05, the first Monday.
    let origin = if tick % (7 * DAY) == 0 { 4 * DAY } else { 0 };
    let past = (time - origin).rem_euclid(tick);
    let round = if past == 0 { time } else { time - past + tick };
    next.is_none_or(|next| round < next).then_some(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(calendar: &str, zone: &str, texts: &[&str]) -> Timeline {
        let times = texts.iter().map(|text| text.parse().unwrap()).collect();
        Timeline::new(calendar, &TimeZone::get(zone).unwrap(), times).unwrap()
    }

    #[test]
    fn omitted_buckets_take_their_slots() {
        let timeline = timeline("#PT1H", "UTC", &["2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"]);
        assert_eq!((timeline.slot("2026-01-01T03:00:00Z".parse().unwrap()), timeline.slots()), (3, 4));
        assert_eq!(timeline.time(2).unwrap().to_string(), "2026-01-01T02:00:00Z");
    }

    #[test]
    fn only_intervals_have_a_known_end() {
        let hours = timeline("#PT1H", "UTC", &["2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"]);
        assert_eq!(hours.end().unwrap().to_string(), "2026-01-01T04:00:00Z");
        let goes_on = |text: &str| hours.goes_on(text.parse().unwrap());
        assert!(goes_on("2026-01-01T03:59:59Z") && goes_on("2026-01-01T00:00:00Z"));
        assert!(!goes_on("2026-01-01T04:00:00Z") && !goes_on("2026-01-01T02:00:00Z"));
        assert!(!goes_on("2025-12-31T23:59:59Z"));
        let own = timeline("OFFICE", "UTC", &["2026-01-02T00:00:00Z"]);
        assert!(own.end().is_none() && !own.goes_on("2026-01-02T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn months_of_any_length_take_one_slot() {
        let texts = ["2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z"];
        assert_eq!(timeline("#P1M", "UTC", &texts).slots(), 14);
        assert_eq!(timeline("MONTHLY", "UTC", &texts).slots(), 14);
        let yearly = timeline("#P1Y", "UTC", &texts);
        assert_eq!(yearly.slots(), 2);
        assert_eq!(yearly.time(1).unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn days_can_be_longer_or_shorter() {
        // Midnights in Berlin around the day of 25 hours.
        let texts = ["2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z"];
        for calendar in ["#P1D", "DAILY"] {
            let daily = timeline(calendar, "Europe/Berlin", &texts);
            assert_eq!(daily.slots(), 4);
            let starts: Vec<_> = (0..4).map(|slot| daily.time(slot).unwrap().to_string()).collect();
            assert_eq!(starts, [texts[0], "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", texts[1]]);
        }
        let short = ["2026-03-28T23:00:00Z", "2026-03-29T04:00:00Z", "2026-03-29T10:00:00Z"];
        let quarters = timeline("#PT6H", "Europe/Berlin", &short);
        let slots: Vec<_> = short.iter().map(|text| quarters.slot(text.parse().unwrap())).collect();
        assert_eq!(slots, [0, 1, 2]);
        assert_eq!(quarters.time(1).unwrap().to_string(), short[1]);
    }

    #[test]
    fn named_calendars_follow_one_another() {
        let texts = ["2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z"];
        assert_eq!(timeline("BUSINESS", "UTC", &texts).slots(), 2);
        assert!(Timeline::new("#PT1H", &TimeZone::UTC, Vec::new()).is_none());
    }

    #[test]
    fn labels_are_at_round_times_without_overlap() {
        let texts = ["2026-01-01T05:00:00Z", "2026-01-02T06:00:00Z"];
        let labels = |zone: &str| timeline("#PT1H", zone, &texts).labels(1, 3);
        let shown = |labels: Vec<(usize, String)>| {
            labels.into_iter().map(|(column, text)| format!("{column} {text}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(labels("UTC")), ["3 06:00", "21 12:00", "39 18:00", "57 2026-01-02"]);
        // The labels are round on the clocks of the time zone.
        assert_eq!(shown(labels("Asia/Tokyo")), ["12 18:00", "30 2026-01-02", "48 06:00", "66 12:00"]);
    }
}
