//! The time axis of a chart: which slot a bucket takes, so that omitted buckets
//! leave a gap, and which times to write under the axis.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

const DAY: i64 = 86_400;

/// The distance of two neighbouring buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Months(i64),
    Seconds(i64),
    /// A calendar that is no interval: points follow one another without gaps.
    Unknown,
}

/// Buckets of a calendar from the first point on, numbered from 0.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    step: Step,
    /// The start of each bucket that has a point, ascending.
    times: Vec<Timestamp>,
    first: Timestamp,
}

impl Timeline {
    /// The timeline of points at these times, ascending, on a calendar such as
    /// `#PT1H`. None without points.
    pub(crate) fn new(calendar: &str, times: &[Timestamp]) -> Option<Self> {
        let first = *times.first()?;
        Some(Self { step: step(calendar), times: times.to_vec(), first })
    }

    /// The slot of the point with this index.
    pub(crate) fn slot(&self, index: usize) -> usize {
        let Some(time) = self.times.get(index) else { return index };
        let slots = match self.step {
            Step::Seconds(seconds) => (time.as_second() - self.first.as_second()) / seconds,
            Step::Months(months) => (month(*time) - month(self.first)) / months,
            Step::Unknown => return index,
        };
        usize::try_from(slots).unwrap_or(0)
    }

    /// How many slots there are from the first point to the last.
    pub(crate) fn slots(&self) -> usize {
        self.slot(self.times.len() - 1) + 1
    }

    /// When the bucket of this slot starts.
    pub(crate) fn time(&self, slot: usize) -> Option<Timestamp> {
        let count = i64::try_from(slot).ok()?;
        match self.step {
            Step::Seconds(seconds) => Timestamp::from_second(self.first.as_second() + count * seconds).ok(),
            Step::Months(months) => {
                let first = self.first.to_zoned(TimeZone::UTC);
                let span = Span::new().try_months(count * months).ok()?;
                Some(first.checked_add(span).ok()?.timestamp())
            }
            Step::Unknown => self.times.get(slot).copied(),
        }
    }

    /// The labels of an axis on which each column holds so many slots (`per`) or
    /// each slot takes so many columns (`wide`): (column, text), ascending,
    /// without overlap and not beyond the last column.
    pub(crate) fn labels(&self, per: usize, wide: usize) -> Vec<(usize, String)> {
        let columns = self.slots().div_ceil(per);
        let tick = self.tick(columns * wide);
        let mut labels: Vec<(usize, String)> = Vec::new();
        let mut free_from = 0;
        for column in 0..columns {
            let Some(time) = self.time(column * per) else { continue };
            let next = self.time((column + 1) * per);
            let at = match tick {
                Some(tick) => round_time_within(time, next, tick),
                None => Some(time),
            };
            let Some(at) = at else { continue };
            let text = self.label(at, tick);
            let start = column * wide;
            if start >= free_from && start + text.len() <= columns * wide {
                free_from = start + text.len() + 2;
                labels.push((start, text));
            }
        }
        labels
    }

    /// The distance of labels in seconds: the smallest round one that leaves room
    /// for their texts. None if every bucket may be labelled.
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
        let Step::Seconds(seconds) = self.step else { return None };
        let columns = i64::try_from(columns).ok()?.max(1);
        let extent = seconds * i64::try_from(self.slots()).ok()?;
        ROUND.into_iter().find(|tick| *tick >= seconds && tick * columns >= ROOM * extent)
    }

    fn label(&self, time: Timestamp, tick: Option<i64>) -> String {
        let form = match (self.step, tick) {
            (Step::Months(_), _) => "%Y-%m",
            (_, Some(tick)) if tick < DAY && time.as_second().rem_euclid(DAY) != 0 => "%H:%M",
            _ => "%Y-%m-%d",
        };
        time.strftime(form).to_string()
    }
}

fn step(calendar: &str) -> Step {
    let Some(span) = calendar.strip_prefix('#').and_then(|code| code.parse::<Span>().ok()) else {
        return Step::Unknown;
    };
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let seconds =
        days * DAY + i64::from(span.get_hours()) * 3600 + span.get_minutes() * 60 + span.get_seconds();
    match (months, seconds) {
        (months @ 1.., 0) => Step::Months(months),
        (0, seconds @ 1..) => Step::Seconds(seconds),
        _ => Step::Unknown,
    }
}

/// The first multiple of `tick` in `[time, next)`, weeks counted from a Monday.
fn round_time_within(time: Timestamp, next: Option<Timestamp>, tick: i64) -> Option<Timestamp> {
    // 1970-01-05, the first Monday.
    let origin = if tick % (7 * DAY) == 0 { 4 * DAY } else { 0 };
    let past = (time.as_second() - origin).rem_euclid(tick);
    let round = if past == 0 { time.as_second() } else { time.as_second() - past + tick };
    let inside = next.is_none_or(|next| round < next.as_second());
    inside.then(|| Timestamp::from_second(round).ok()).flatten()
}

/// Months since the year 0.
fn month(time: Timestamp) -> i64 {
    let date: Date = time.to_zoned(TimeZone::UTC).date();
    i64::from(date.year()) * 12 + i64::from(date.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(texts: &[&str]) -> Vec<Timestamp> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn omitted_buckets_take_their_slots() {
        let times = times(&["2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"]);
        let timeline = Timeline::new("#PT1H", &times).unwrap();
        assert_eq!((timeline.slot(1), timeline.slots()), (3, 4));
        assert_eq!(timeline.time(2).unwrap().to_string(), "2026-01-01T02:00:00Z");
    }

    #[test]
    fn months_are_counted_not_measured() {
        let times = times(&["2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]);
        assert_eq!(Timeline::new("#P1M", &times).unwrap().slot(1), 13);
        let yearly = Timeline::new("#P1Y", &times).unwrap();
        assert_eq!(yearly.slot(1), 1);
        assert_eq!(yearly.time(1).unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn named_calendars_follow_one_another() {
        let times = times(&["2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z"]);
        assert_eq!(Timeline::new("#BUSINESS", &times).unwrap().slots(), 2);
        assert!(Timeline::new("#PT1H", &[]).is_none());
    }

    #[test]
    fn labels_are_at_round_times_and_apart() {
        let times = times(&["2026-01-01T05:00:00Z", "2026-01-02T06:00:00Z"]);
        let labels = Timeline::new("#PT1H", &times).unwrap().labels(1, 3);
        let shown: Vec<_> = labels.iter().map(|(column, text)| (*column, text.as_str())).collect();
        assert_eq!(shown, [(3, "06:00"), (21, "12:00"), (39, "18:00"), (57, "2026-01-02")]);
    }
}
