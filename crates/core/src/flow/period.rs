//! The period that a query for a flow's metric covers, and its points.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::metric::Granularity;
use crate::calendar::Calendar;
use crate::range::TimeRange;
use crate::timestamp::Timestamp;
use crate::violation::Violation;
use crate::written;

/// The days that a query names: from `since`, and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// The first day.
    pub since: Option<Date>,
    /// The day after the last.
    pub until: Option<Date>,
}

impl Days {
    /// Parses two days, each YYYY-MM-DD and not before 1970, or empty for none.
    pub fn parse(since: &str, until: &str) -> Result<Self, Violation> {
        Ok(Self { since: parse_day("since", since)?, until: parse_day("until", until)? })
    }

    /// Ranges of whole days (UTC) that contain every start and end of a point of the period in any time zone. The
    /// ranges may overlap. For a lifetime without `since`, the start is not contained: it is on the first day of the
    /// history.
    #[must_use]
    pub fn edges_within(self, granularity: Granularity, now: Timestamp) -> Vec<TimeRange> {
        // A day of any zone begins less than a day before or after the day of UTC, so today may be the day
        // before or after.
        let today = now.to_jiff().to_zoned_datetime(TimeZone::UTC).date();
        let last = plus_days(today, 2 + 1);
        let until = self.until.map_or(last, |until| until.min(last));
        let Some(max_days) = granularity.max_days() else {
            let until =
                self.until.filter(|until| *until < today).map_or((today, last), |until| (until, until));
            return self.since.map(|since| (since, since)).into_iter().chain([until]).map(around).collect();
        };
        let oldest = plus_days(today, -max_days - 1);
        vec![around((self.since.map_or(oldest, |since| since.max(oldest)), until))]
    }
}

fn plus_days(day: Date, days: i32) -> Date {
    day.saturating_add(jiff::Span::new().days(days))
}

/// From the day before the first day to the end of the day after the second day.
fn around((first, last): (Date, Date)) -> TimeRange {
    let beginning = |day| beginning_of(day, &TimeZone::UTC);
    TimeRange { start: beginning(plus_days(first, -1)), end: beginning(plus_days(last, 2)) }
}

/// No report is older than this.
const FIRST_DAY: Date = Date::constant(1970, 1, 1);

fn parse_day(field: &str, text: &str) -> Result<Option<Date>, Violation> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = written::day(text).map_err(|error| Violation::from(error).within(field))?;
    if day < FIRST_DAY {
        return Err(Violation::new(field, format!("expected {FIRST_DAY} or later, found {day}")));
    }
    Ok(Some(day))
}

/// A period and its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// The start of each point, ascending. The first one is the start of the period.
    pub starts: Vec<Timestamp>,
    /// The end of the period.
    pub end: Timestamp,
}

/// The maximum number of points: more than 92 days, or 32 days of 25 hours.
const MAX_POINTS: u64 = 1_000;

impl Period {
    /// The period in the time zone `zone` at the time `now`, for a flow whose history begins at `beginning`.
    pub fn new(
        granularity: Granularity,
        days: Days,
        zone: &TimeZone,
        now: Timestamp,
        beginning: Timestamp,
    ) -> Result<Self, Violation> {
        let day_of = |time: Timestamp| time.to_jiff().to_zoned_datetime(zone.clone()).date();
        let today = day_of(now);
        let oldest = match granularity.max_days() {
            Some(days) => plus_days(today, -days),
            None => day_of(beginning.min(now)),
        };
        let since = days.since.unwrap_or(oldest);
        if let Some(max_days) = granularity.max_days()
            && since < oldest
        {
            let text = format!(
                "too early: with {} expected {oldest} or later, {max_days} days before today in {}, found {since}",
                granularity.name(),
                zone.iana_name().unwrap_or("UTC"),
            );
            return Err(Violation::new("since", text));
        }
        if since > today {
            let zone = zone.iana_name().unwrap_or("UTC");
            let text = format!("expected {today}, which is today in {zone}, or earlier, found {since}");
            return Err(Violation::new("since", text));
        }
        if let Some(until) = days.until.filter(|until| *until <= since) {
            let text = format!(
                "expected a day after since, which is {since}: the period ends before it, found {until}"
            );
            return Err(Violation::new("until", text));
        }
        // A request can be slightly in the future, and so after midnight.
        let last = plus_days(today, 2);
        let until = days.until.unwrap_or(last);
        let (start, end) = (beginning_of(since, zone), beginning_of(until.min(last), zone));
        Ok(Self { starts: points(granularity, TimeRange { start, end }, zone), end })
    }
}

fn points(granularity: Granularity, range: TimeRange, zone: &TimeZone) -> Vec<Timestamp> {
    let calendar = match granularity {
        Granularity::Day => "#P1D",
        Granularity::Hour => "#PT1H",
        Granularity::Lifetime => return vec![range.start],
    };
    let calendar = Calendar::parse(calendar).expect("it is built in").in_zone(zone.clone());
    let mut starts =
        calendar.bucket_starts(range, MAX_POINTS).expect("a period of days and hours has fewer points");
    // The first hour may have begun on the day before the period.
    if let Some(first) = starts.first_mut() {
        *first = range.start;
    }
    starts
}

/// The first instant of a day. A day that the zone skips begins with the next day.
fn beginning_of(day: Date, zone: &TimeZone) -> Timestamp {
    day.to_zoned_datetime(zone.clone()).map_or(Timestamp::END, |start| Timestamp::from(start.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    fn zone(name: &str) -> TimeZone {
        crate::zone::zone(name).unwrap()
    }

    fn period(granularity: Granularity, since: &str, until: &str, name: &str) -> Result<Period, String> {
        let now = at("2024-03-15T12:00:00Z");
        let days = Days::parse(since, until).map_err(|error| error.to_string())?;
        Period::new(granularity, days, &zone(name), now, at("2024-01-10T05:00:00Z"))
            .map_err(|error| error.to_string())
    }

    fn shown(period: &Period) -> Vec<String> {
        period.starts.iter().chain([&period.end]).map(ToString::to_string).collect()
    }

    #[test]
    fn days_follow_the_zone() {
        let days = period(Granularity::Day, "2024-01-28", "2024-01-30", "America/Los_Angeles").unwrap();
        assert_eq!(shown(&days), ["2024-01-28T08:00:00Z", "2024-01-29T08:00:00Z", "2024-01-30T08:00:00Z"]);
        // The clocks went forward on the 10th, which had 23 hours.
        let days = period(Granularity::Day, "2024-03-10", "2024-03-11", "America/Los_Angeles").unwrap();
        assert_eq!(shown(&days), ["2024-03-10T08:00:00Z", "2024-03-11T07:00:00Z"]);
        let hours = period(Granularity::Hour, "2024-03-10", "2024-03-11", "America/Los_Angeles").unwrap();
        assert_eq!(hours.starts.len(), 23);
        let hours = period(Granularity::Hour, "2024-03-10", "2024-03-11", "Asia/Kathmandu").unwrap();
        assert_eq!(shown(&hours)[..2], ["2024-03-09T18:15:00Z", "2024-03-09T19:15:00Z"]);
    }

    #[test]
    fn defaults_cover_the_longest_period_up_to_now() {
        let days = period(Granularity::Day, "", "", "UTC").unwrap();
        assert_eq!(
            (shown(&days)[0].as_str(), days.end),
            ("2023-12-16T00:00:00Z", at("2024-03-17T00:00:00Z"))
        );
        let hours = period(Granularity::Hour, "", "", "UTC").unwrap();
        assert_eq!(shown(&hours)[0], "2024-02-14T00:00:00Z");
        let life = period(Granularity::Lifetime, "", "", "America/Los_Angeles").unwrap();
        assert_eq!(shown(&life), ["2024-01-09T08:00:00Z", "2024-03-17T07:00:00Z"]);
        let life = period(Granularity::Lifetime, "1999-12-31", "9999-12-31", "UTC").unwrap();
        assert_eq!(shown(&life), ["1999-12-31T00:00:00Z", "2024-03-17T00:00:00Z"]);
    }

    #[test]
    fn edges_are_within_the_given_days() {
        let within = |granularity, since, until| {
            let days = Days::parse(since, until).unwrap();
            let ranges = days.edges_within(granularity, at("2024-03-15T12:00:00Z")).into_iter();
            ranges.map(|range| format!("{} {}", range.start, range.end).replace("T00:00:00Z", "")).collect()
        };
        let table: [(_, _, _, Vec<String>); 5] = [
            (Granularity::Day, "2024-01-28", "2024-01-30", vec!["2024-01-27 2024-02-01".into()]),
            (Granularity::Day, "1999-12-31", "9999-12-31", vec!["2023-12-14 2024-03-20".into()]),
            (Granularity::Hour, "", "", vec!["2024-02-12 2024-03-20".into()]),
            (Granularity::Lifetime, "", "", vec!["2024-03-14 2024-03-20".into()]),
            (
                Granularity::Lifetime,
                "2001-01-01",
                "2002-01-01",
                vec!["2000-12-31 2001-01-03".into(), "2001-12-31 2002-01-03".into()],
            ),
        ];
        for (granularity, since, until, expected) in table {
            let found: Vec<String> = within(granularity, since, until);
            assert_eq!(found, expected, "{granularity:?} {since:?} {until:?}");
        }
    }

    #[test]
    fn violations_name_the_field() {
        let error = |granularity, since, until| period(granularity, since, until, "UTC").unwrap_err();
        assert_eq!(
            error(Granularity::Day, "2023-12-15", ""),
            "since: too early: with DAY expected 2023-12-16 or later, 90 days before today in UTC, found 2023-12-15"
        );
        assert!(error(Granularity::Hour, "2024-02-13", "").contains("expected 2024-02-14 or later"));
        assert_eq!(
            error(Granularity::Day, "2024-01-28", "2024-01-28"),
            "until: expected a day after since, which is 2024-01-28: the period ends before it, found 2024-01-28"
        );
        assert_eq!(
            error(Granularity::Day, "2024-03-16", ""),
            "since: expected 2024-03-15, which is today in UTC, or earlier, found 2024-03-16"
        );
        for (wrong, expected) in [
            ("2024-1-28", "at character 6: expected a month of two digits, such as 02, found 1"),
            (
                "2023-02-29",
                "at character 9: expected a day from 01 to 28, because February 2023 has 28 days, found 29",
            ),
            (
                "2024-01-28T00:00",
                "at character 11: expected the end, because a day has no time, found \"T00\"",
            ),
            (
                "yesterday",
                "at character 1: expected a year of four digits, such as 2026, found \"yesterday\"",
            ),
            ("+024-01-28", "at character 1: expected a year of four digits, such as 2026, found \"+\""),
            ("0000-01-01", "expected 1970-01-01 or later, found 0000-01-01"),
        ] {
            assert_eq!(error(Granularity::Lifetime, "", wrong), format!("until: {expected}"));
            assert_eq!(error(Granularity::Lifetime, wrong, ""), format!("since: {expected}"));
        }
        let life = period(Granularity::Lifetime, "1970-01-01", "", "UTC").unwrap();
        assert_eq!(shown(&life)[0], "1970-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn points_ascend_within_the_period(
            granularity in prop::sample::select(Granularity::ALL.to_vec()),
            name in prop::sample::select(vec![
                "UTC", "America/Los_Angeles", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
                "America/St_Johns", "Pacific/Apia", "Pacific/Chatham",
            ]),
            now in 1_700_000_000_000_000_i64..1_800_000_000_000_000,
            back in 0_i32..90,
            length in 1_i32..90,
        ) {
            let (zone, now) = (zone(name), Timestamp::from_micros(now));
            let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
            let since = today.saturating_sub(jiff::Span::new().days(back));
            let until = since.saturating_add(jiff::Span::new().days(length));
            let days = Days { since: Some(since), until: Some(until) };
            let Ok(period) = Period::new(granularity, days, &zone, now, Timestamp::EPOCH) else {
                prop_assert!(granularity.max_days().is_some_and(|max| back > max));
                return Ok(());
            };
            prop_assert_eq!(period.starts[0], beginning_of(since, &zone));
            prop_assert!(period.starts.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(period.starts[period.starts.len() - 1] < period.end);
            // Every point in a current time zone begins on a quarter-hour.
            let quarter = crate::resolution::Resolution::QuarterHour.width();
            prop_assert!(period.starts.iter().all(|start| start.floor_to(quarter) == *start));
        }

        #[test]
        fn edges_of_any_zone_are_within_the_given_days(
            granularity in prop::sample::select(Granularity::ALL.to_vec()),
            name in prop::sample::select(vec!["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12"]),
            now in 1_700_000_000_000_000_i64..1_800_000_000_000_000,
            back in prop::option::of(0_i32..90),
            until in prop::option::of(-80_i32..80),
        ) {
            let (zone, now) = (zone(name), Timestamp::from_micros(now));
            let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
            let days = Days {
                since: back.map(|back| plus_days(today, -back)),
                until: until.map(|days| plus_days(today, days)),
            };
            let beginning = Timestamp::from_micros(1_600_000_000_000_000);
            let Ok(period) = Period::new(granularity, days, &zone, now, beginning) else { return Ok(()) };
            let is_open = granularity == Granularity::Lifetime && days.since.is_none();
            let within = days.edges_within(granularity, now);
            for edge in period.starts.iter().skip(usize::from(is_open)).chain([&period.end]) {
                prop_assert!(within.iter().any(|range| (range.start..range.end).contains(edge)), "{} in {:?}", edge, within);
            }
        }

        #[test]
        fn parsed_days_print_the_same_text(text in "\\PC{0,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}") {
            if let Ok(Some(day)) = parse_day("since", &text) {
                prop_assert_eq!(day.to_string(), text);
            }
        }
    }
}
