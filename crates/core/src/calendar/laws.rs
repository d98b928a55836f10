//! Properties of every calendar in every time zone.

use std::time::Duration;

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::days::{DAY, HOUR, MINUTE, month_of, month_start, weekday_of};
use super::*;
use crate::zone::zone;

const ZONES: [&str; 20] = [
    "UTC",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Asuncion",
    "America/Nuuk",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
    "Antarctica/Troll",
];

/// 2100-01-01T00:00:00Z.
const HORIZON: i64 = 4_102_444_800_000_000;

fn any_zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| zone(name).unwrap())
}

/// An instant, often next to a change of the clock.
fn instant_near(zone: &TimeZone, at: i64, near: bool) -> i64 {
    let change = zone.following(Timestamp::from_micros(at).to_jiff()).next();
    match change.filter(|_| near) {
        Some(change) => change.timestamp().as_microsecond() + at % (3 * HOUR) - HOUR,
        None => at,
    }
}

const RULES: [&str; 10] = [
    "every Wednesday",
    "last Sunday in May, shifted",
    "last Monday in May",
    "first Friday in January, shifted back",
    "25 of December, shifted",
    "26 of December, shifted",
    "31 of December, shifted, from 1980",
    "1 of January, shifted back, to 2050",
    "easter - 2 days",
    "2024-12-27, shifted",
];

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let code = prop::sample::select(vec![
        "#PT1M", "#PT5M", "#PT7M", "#PT15M", "#PT25M", "#PT30M", "#PT45M", "#PT1H", "#PT90M", "#PT2H",
        "#PT6H", "#PT7H", "#PT12H", "#PT36H", "#P1D", "#P10D", "#P1W", "#P2W", "#P1M", "#P3M", "#P5M",
        "#P1Y", "DAILY", "BUSINESS", "MONTHLY", "#HENG",
    ]);
    let interval = prop::sample::select(vec![
        ("PT15M", 14),
        ("PT1H", 59),
        ("PT6H", 359),
        ("P1D", 1_439),
        ("P1M", 40_319),
    ]);
    let rules = prop::sample::subsequence(&RULES[..], 0..RULES.len());
    let weekend = prop::sample::subsequence(
        &[Weekday::Monday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday][..],
        0..4,
    );
    prop_oneof![
        3 => code.prop_map(|code| Calendar::parse(code).unwrap()),
        1 => (interval, 0..50_000_u64).prop_map(|((interval, most), offset)| {
            let offset = Duration::from_mins(offset % (most + 1));
            let definition = Definition::Interval { interval: interval.into(), zone: "UTC".into(), offset };
            Calendar::defined("OURS", &definition).unwrap()
        }),
        1 => (rules, weekend).prop_map(|(rules, weekend)| {
            let holidays = rules.iter().map(|rule| rule.parse().unwrap()).collect();
            let definition = Definition::WorkingDays { weekend, zone: "UTC".into(), holidays };
            Calendar::defined("OURS", &definition).unwrap()
        }),
    ]
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A range of `count` buckets of the usual length, and the starts of its buckets.
fn buckets(calendar: &Calendar, start: i64, count: i64) -> (TimeRange, Vec<i64>) {
    let distance = match &calendar.buckets {
        Buckets::Cells(cells) => cells.width,
        Buckets::Points(points) => points.distance(),
    };
    let range = TimeRange { start: at(start), end: at(start + 1 + count * distance) };
    let starts = calendar.bucket_starts(range, 25_000).unwrap();
    (range, starts.into_iter().map(Timestamp::micros).collect())
}

/// The local time in a time zone.
fn local(zone: &TimeZone, instant: i64) -> i64 {
    Clock(zone).local(instant)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn buckets_tile_time(
        calendar in any_calendar(), zone in any_zone(), start in 0..HORIZON, near: bool, count in 0..60_i64,
        pick: prop::sample::Index,
    ) {
        let start = instant_near(&zone, start, near);
        let calendar = calendar.in_zone(zone);
        let (range, starts) = buckets(&calendar, start, count);
        prop_assert!(starts[0] <= range.start.micros());
        prop_assert!(starts[starts.len() - 1] < range.end.micros());
        prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(starts.iter().skip(1).all(|bucket| *bucket > range.start.micros()));

        // The bucket of an instant does not depend on the range.
        let chosen = pick.index(starts.len());
        let begin = starts[chosen].max(range.start.micros());
        let end = starts.get(chosen + 1).copied().unwrap_or(range.end.micros());
        for instant in [begin, begin + (end - begin) / 2, end - 1] {
            let one = TimeRange { start: at(instant), end: at(instant + 1) };
            prop_assert_eq!(calendar.bucket_starts(one, 1).unwrap(), [at(starts[chosen])]);
        }
        let part = TimeRange { start: at(begin), end: range.end };
        let rest: Vec<i64> =
            calendar.bucket_starts(part, 25_000).unwrap().into_iter().map(Timestamp::micros).collect();
        prop_assert_eq!(&rest[..], &starts[chosen..]);

        // The last buckets end where the next bucket begins.
        let n = u64::try_from(chosen).unwrap() + 1;
        if starts[0] > 0 {
            let last = calendar.last_buckets(at(end - 1), n, n).unwrap();
            prop_assert_eq!(last.start.micros(), starts[0]);
            if chosen + 1 < starts.len() {
                prop_assert_eq!(last.end.micros(), end);
            }
        }
        // The limit is exact.
        let all = u64::try_from(starts.len()).unwrap();
        prop_assert!(calendar.bucket_starts(range, all).is_ok());
        prop_assert!(calendar.bucket_starts(range, all - 1).is_err());
    }

    #[test]
    fn days_and_longer_begin_at_midnight_or_after_a_gap(
        code in prop::sample::select(vec!["#P1D", "#P1W", "#P1M", "#P3M", "#P1Y", "BUSINESS", "#HENG"]),
        zone in any_zone(), start in 0..HORIZON, near: bool,
    ) {
        let start = instant_near(&zone, start, near);
        let calendar = Calendar::parse(code).unwrap().in_zone(zone.clone());
        for bucket in buckets(&calendar, start, 40).1 {
            let reads = local(&zone, bucket);
            let mut day = reads.div_euclid(DAY);
            if reads.rem_euclid(DAY) != 0 {
                // The clock skipped midnight.
                prop_assert!(local(&zone, bucket - 1) < day * DAY);
            } else if local(&zone, bucket - 1) + DAY < reads {
                // The clock skipped a day or more.
                day = local(&zone, bucket - 1).div_euclid(DAY) + 1;
            }
            let reached = day..=reads.div_euclid(DAY);
            let begins = |begins: &dyn Fn(i64) -> bool| reached.clone().any(begins);
            match code {
                "#P1W" => prop_assert!(begins(&|day| weekday_of(day) == 0)),
                "#P1M" => prop_assert!(begins(&|day| month_start(month_of(day)) == day)),
                "#P3M" => prop_assert!(begins(&|day| month_start(month_of(day) / 3 * 3) == day)),
                "#P1Y" => prop_assert!(begins(&|day| month_start(month_of(day) / 12 * 12) == day)),
                "BUSINESS" | "#HENG" => prop_assert!(begins(&|day| weekday_of(day) < 5)),
                _ => {}
            }
        }
    }

    /// Compares every half minute of some days with the documented rules.
    #[test]
    fn parts_of_days_begin_where_the_clock_says(
        width in prop::sample::select(vec![1_i64, 5, 7, 15, 30, 45, 60, 90, 120, 360, 420, 720]),
        zone in any_zone(), start in 0..HORIZON, near: bool,
    ) {
        // Clocks change at whole seconds.
        let start = instant_near(&zone, start, near).div_euclid(1_000_000) * 1_000_000;
        let calendar = Calendar::parse(&format!("#PT{width}M")).unwrap().in_zone(zone.clone());
        let width = width * MINUTE;
        let range = TimeRange { start: at(start), end: at(start + 26 * HOUR) };
        let starts = calendar.bucket_starts(range, 25_000).unwrap();
        // Every half minute: of all offsets since 1970, one has half a minute.
        let halves = (start.div_euclid(MINUTE / 2) + 1)..=(start + 26 * HOUR - 1).div_euclid(MINUTE / 2);
        let mut furthest = Clock(&zone).furthest(start);
        let mut expected = Vec::new();
        let mut before = local(&zone, start);
        for half in halves {
            let instant = half * (MINUTE / 2);
            let reads = local(&zone, instant);
            let begins = if width <= HOUR {
                reads.rem_euclid(width) == 0 || reads.div_euclid(width) != before.div_euclid(width)
            } else {
                reads.div_euclid(width) > furthest.div_euclid(width)
            };
            if begins {
                expected.push(at(instant));
            }
            before = reads;
            furthest = furthest.max(reads);
        }
        let differs = starts[1..].iter().zip(&expected).find(|(start, expected)| start != expected);
        prop_assert_eq!((differs, starts.len() - 1), (None, expected.len()));
    }

    #[test]
    fn parsing_a_code_never_panics(code in "#?P?[0-9TYMWDHS\\PC]{0,12}") {
        if let Ok(calendar) = Calendar::parse(&code) {
            let all = TimeRange { start: Timestamp::EPOCH, end: Timestamp::END };
            let _ = calendar.bucket_starts(all, 100);
        }
        let offset = Duration::from_hours(1);
        let _ = Definition::Interval { interval: code.clone(), zone: code, offset }.validate();
    }

    #[test]
    fn reading_a_holiday_never_panics(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "every", "first", "last", "monday", "fri", "in", "of", "may", "february", "easter", "+", "-",
                    "2", "30", "1974", "days", ",", "shifted", "back", "from", "to", "2024-02-29", "99999",
                ]).prop_map(str::to_owned),
                "\\PC{0,4}",
            ],
            0..9,
        ),
        space in " ?",
    ) {
        let text = words.join(&space);
        match text.parse::<Holiday>() {
            Ok(holiday) => {
                prop_assert_eq!(holiday.to_string().parse::<Holiday>(), Ok(holiday.clone()));
                prop_assert_eq!(holiday.fault(), None);
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.position)),
        }
    }

    #[test]
    fn working_days_of_any_data_are_bounded(
        days in prop::collection::vec((any::<i8>(), any::<i8>(), any::<i16>(), 0..5_u8, any::<Option<i16>>()), 0..40),
        at_micros in 0..HORIZON,
    ) {
        let holidays = days.into_iter().map(|(day, month, number, kind, year)| Holiday {
            day: match kind {
                0 => HolidayDay::Every(Weekday::from_monday_zero_offset(day.rem_euclid(7)).unwrap()),
                1 => HolidayDay::Nth { nth: Nth::Last, weekday: Weekday::Monday, month: month.rem_euclid(14) },
                2 => HolidayDay::DayOfMonth { day: day.rem_euclid(40), month: month.rem_euclid(14) },
                _ => HolidayDay::Easter { days: number },
            },
            shift: [None, Some(Shift::Next), Some(Shift::Previous)][usize::from(number.unsigned_abs() % 3)],
            from_year: year,
            to_year: None,
        });
        let definition =
            Definition::WorkingDays { weekend: vec![Weekday::Sunday], zone: "Asia/Beirut".into(), holidays: holidays.collect() };
        if let Ok(calendar) = Calendar::defined("OURS", &definition) {
            let buckets = calendar.last_buckets(at(at_micros), 3, 3).unwrap();
            prop_assert!(buckets.start <= at(at_micros) && at(at_micros) < buckets.end);
        }
    }
}
