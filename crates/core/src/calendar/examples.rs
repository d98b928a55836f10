//! Examples of calendars on real days.

use std::time::Duration;

use jiff::civil::Weekday;

use super::*;
use crate::zone::{UnknownZone, zone};

fn calendar(code: &str, zone_name: &str) -> Calendar {
    Calendar::parse(code).unwrap().in_zone(zone(zone_name).unwrap())
}

fn range(start: &str, end: &str) -> TimeRange {
    let at = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    TimeRange { start: at(start), end: at(end) }
}

/// The starts of the buckets of a range in local time.
fn starts(calendar: &Calendar, start: &str, end: &str) -> Vec<String> {
    let starts = calendar.bucket_starts(range(start, end), 25_000).unwrap();
    let shown = |at: &Timestamp| {
        at.to_jiff().to_zoned_datetime(calendar.zone().clone()).strftime("%Y-%m-%dT%H:%M%:z").to_string()
    };
    starts.iter().map(shown).collect()
}

/// The lengths of the buckets of a range in minutes.
fn minutes(calendar: &Calendar, start: &str, end: &str) -> Vec<i64> {
    let range = range(start, end);
    let mut starts = calendar.bucket_starts(range, 25_000).unwrap();
    assert_eq!(starts[0], range.start);
    starts.push(range.end);
    starts.windows(2).map(|pair| (pair[1].micros() - pair[0].micros()) / 60_000_000).collect()
}

fn working_days(weekend: &[Weekday], holidays: &[&str]) -> Definition {
    Definition::WorkingDays {
        weekend: weekend.to_vec(),
        zone: "UTC".into(),
        holidays: holidays.iter().map(|holiday| holiday.parse().unwrap()).collect(),
    }
}

fn interval(interval: &str, zone: &str, offset_minutes: u64) -> Definition {
    Definition::Interval {
        interval: interval.into(),
        zone: zone.into(),
        offset: Duration::from_mins(offset_minutes),
    }
}

const WEEKEND: [Weekday; 2] = [Weekday::Saturday, Weekday::Sunday];

#[test]
fn buckets_begin_at_local_boundaries() {
    for (code, expected) in [
        ("#PT1M", "2024-02-28T10:07"),
        ("#PT5M", "2024-02-28T10:05"),
        ("#PT15M", "2024-02-28T10:00"),
        ("#PT6H", "2024-02-28T06:00"),
        ("#PT12H", "2024-02-28T00:00"),
        ("#P1D", "2024-02-28T00:00"),
        ("DAILY", "2024-02-28T00:00"),
        ("#DAILY", "2024-02-28T00:00"),
        ("BUSINESS", "2024-02-28T00:00"),
        ("#P1W", "2024-02-26T00:00"),
        ("#P1M", "2024-02-01T00:00"),
        ("MONTHLY", "2024-02-01T00:00"),
        ("#P3M", "2024-01-01T00:00"),
        ("#P1Y", "2024-01-01T00:00"),
    ] {
        for (name, offset) in [("UTC", "Z"), ("Asia/Kathmandu", "+05:45"), ("America/St_Johns", "-03:30")] {
            let instant = format!("2024-02-28T10:07:00{offset}");
            let after = format!("2024-02-28T10:08:00{offset}");
            let offset = offset.replace('Z', "+00:00");
            let expected = format!("{expected}{offset}");
            assert_eq!(starts(&calendar(code, name), &instant, &after), [expected], "{code} {name}");
        }
    }
    assert_eq!(
        starts(&calendar("#P1M", "UTC"), "2023-12-31T23:59:59Z", "2024-02-01T00:00:00Z"),
        ["2023-12-01T00:00+00:00", "2024-01-01T00:00+00:00"]
    );
}

#[test]
fn days_have_23_and_25_hours_where_clocks_change() {
    for (name, start, end, hours) in [
        ("Europe/London", "2024-03-31T00:00:00Z", "2024-04-01T00:00:00+01:00", 23),
        ("Europe/London", "2024-10-27T00:00:00+01:00", "2024-10-28T00:00:00Z", 25),
        ("America/New_York", "2024-03-10T00:00:00-05:00", "2024-03-11T00:00:00-04:00", 23),
        ("America/New_York", "2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00", 25),
    ] {
        assert_eq!(minutes(&calendar("#P1D", name), start, end), [hours * 60], "{name}");
        assert_eq!(minutes(&calendar("#PT1H", name), start, end), vec![60; usize::try_from(hours).unwrap()]);
        let first = 6 + hours - 24;
        assert_eq!(minutes(&calendar("#PT6H", name), start, end), [first, 6, 6, 6].map(|hours| hours * 60));
        assert_eq!(minutes(&calendar("#PT12H", name), start, end), [first + 6, 12].map(|hours| hours * 60));
    }
}

#[test]
fn days_begin_after_gaps_and_at_the_first_midnight() {
    for (name, start, end, expected) in [
        // 00:00 is skipped.
        ("America/Havana", "2024-03-10T06:00:00Z", "2024-03-10T07:00:00Z", "2024-03-10T01:00-04:00"),
        ("Africa/Cairo", "2024-04-26T06:00:00Z", "2024-04-26T07:00:00Z", "2024-04-26T01:00+03:00"),
        ("Asia/Beirut", "2024-03-31T06:00:00Z", "2024-03-31T07:00:00Z", "2024-03-31T01:00+03:00"),
        ("America/Sao_Paulo", "2018-11-04T06:00:00Z", "2018-11-04T07:00:00Z", "2018-11-04T01:00-02:00"),
        // The hour after midnight is repeated.
        ("America/Havana", "2024-11-03T06:00:00Z", "2024-11-03T07:00:00Z", "2024-11-03T00:00-04:00"),
        // The hour before midnight is repeated.
        ("America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-18T02:31:00Z", "2018-02-17T00:00-02:00"),
        ("America/Sao_Paulo", "2018-02-18T03:30:00Z", "2018-02-18T03:31:00Z", "2018-02-18T00:00-03:00"),
    ] {
        assert_eq!(starts(&calendar("#P1D", name), start, end), [expected], "{name}");
    }
}

#[test]
fn a_day_that_a_zone_skips_has_no_bucket() {
    let apia = calendar("#P1D", "Pacific/Apia");
    let around = ("2011-12-29T20:00:00Z", "2011-12-31T20:00:00Z");
    assert_eq!(
        starts(&apia, around.0, around.1),
        ["2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"]
    );
    let one = TimeRange { start: "2011-12-30T10:00:00Z".parse().unwrap(), ..range(around.0, around.1) };
    assert_eq!(
        apia.last_buckets(one.start, 2, 10).unwrap(),
        range("2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z")
    );
    // 2011-12-30 was a Friday.
    assert_eq!(
        starts(&calendar("BUSINESS", "Pacific/Apia"), "2011-12-30T00:00:00Z", "2012-01-02T00:00:00Z"),
        ["2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00", "2012-01-02T00:00+14:00"]
    );
}

#[test]
fn hours_follow_clocks_that_change_by_half_an_hour() {
    let hours = calendar("#PT1H", "Australia/Lord_Howe");
    // At 02:00 the clock goes back to 01:30. The hour continues, and a half hour is repeated.
    let back = ("2024-04-07T00:00:00+11:00", "2024-04-07T04:00:00+10:30");
    assert_eq!(minutes(&hours, back.0, back.1), [60, 90, 60, 60]);
    assert_eq!(minutes(&calendar("#PT30M", "Australia/Lord_Howe"), back.0, back.1), [30; 9]);
    // At 02:00 the clock goes forward to 02:30, within the same hour.
    let forth = ("2024-10-06T00:00:00+10:30", "2024-10-06T04:00:00+11:00");
    assert_eq!(minutes(&hours, forth.0, forth.1), [60, 60, 30, 60]);
    assert_eq!(minutes(&calendar("#PT30M", "Australia/Lord_Howe"), forth.0, forth.1), [30; 7]);
    assert_eq!(
        minutes(&calendar("#PT6H", "Australia/Lord_Howe"), back.0, "2024-04-08T00:00:00+10:30"),
        [390, 360, 360, 360]
    );
}

#[test]
fn widths_that_do_not_divide_a_day_are_counted_from_1970_in_local_time() {
    for (name, offset) in [("UTC", "Z"), ("Asia/Kolkata", "+05:30")] {
        for (code, start, minutes) in [
            ("#PT7H", "1970-01-01T21:00:00", 420),
            ("#PT36H", "1970-01-02T12:00:00", 2_160),
            ("#PT25M", "1970-01-02T02:15:00", 25),
        ] {
            let start: Timestamp = format!("{start}{offset}").parse().unwrap();
            let found = calendar(code, name).last_buckets(start, 1, 1).unwrap();
            assert_eq!(found.start, start, "{code} {name}");
            assert_eq!(found.end.since(found.start), Duration::from_mins(minutes), "{code} {name}");
        }
    }
}

#[test]
fn business_days_include_the_following_weekend() {
    assert_eq!(
        starts(&calendar("BUSINESS", "UTC"), "2024-03-02T12:00:00Z", "2024-03-06T00:00:00Z"),
        ["2024-03-01T00:00+00:00", "2024-03-04T00:00+00:00", "2024-03-05T00:00+00:00"]
    );
}

#[test]
fn a_gas_day_begins_at_six_even_when_clocks_change() {
    let gas = Calendar::defined("GAS", &interval("P1D", "Europe/Berlin", 360)).unwrap();
    assert_eq!(
        starts(&gas, "2024-03-30T12:00:00Z", "2024-04-01T12:00:00Z"),
        ["2024-03-30T06:00+01:00", "2024-03-31T06:00+02:00", "2024-04-01T06:00+02:00"]
    );
    let fortnight = Calendar::defined("MID", &interval("#P1M", "Europe/Berlin", 14 * 1_440)).unwrap();
    assert_eq!(
        starts(&fortnight, "2024-03-14T00:00:00Z", "2024-04-15T00:00:00Z"),
        ["2024-02-15T00:00+01:00", "2024-03-15T00:00+01:00", "2024-04-15T00:00+02:00"]
    );
    let quarter_past = Calendar::defined("PAST", &interval("PT1H", "UTC", 15)).unwrap();
    assert_eq!(
        starts(&quarter_past, "2024-03-14T00:00:00Z", "2024-03-14T00:16:00Z"),
        ["2024-03-13T23:15+00:00", "2024-03-14T00:15+00:00"]
    );
}

#[test]
fn the_last_bucket_contains_the_instant() {
    let at = "2024-11-20T10:07:00Z".parse().unwrap();
    for (code, n, start, end) in [
        ("#PT1H", 1, "2024-11-20T10:00:00Z", "2024-11-20T11:00:00Z"),
        ("#PT1H", 24, "2024-11-19T11:00:00Z", "2024-11-20T11:00:00Z"),
        ("#P1M", 0, "2024-11-01T00:00:00Z", "2024-12-01T00:00:00Z"),
        ("#P1M", 12, "2023-12-01T00:00:00Z", "2024-12-01T00:00:00Z"),
        ("BUSINESS", 4, "2024-11-15T00:00:00Z", "2024-11-21T00:00:00Z"),
        ("#P1Y", 1_000, "1970-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    ] {
        assert_eq!(calendar(code, "UTC").last_buckets(at, n, 1_000).unwrap(), range(start, end), "{code}");
    }
    assert_eq!(
        calendar("#P1D", "UTC").last_buckets(at, 11, 10).unwrap_err(),
        TooManyBuckets { asked: 11, limit: 10 }
    );
}

#[test]
fn too_many_buckets_are_counted_without_generating_them() {
    let millennia = range("1970-01-01T00:00:00Z", "9000-01-01T00:00:00Z");
    for (code, asked) in [("#PT1M", 3_697_423_200), ("#PT2H", 30_811_860), ("#P1M", 84_360)] {
        let error = calendar(code, "UTC").bucket_starts(millennia, 25_000).unwrap_err();
        assert_eq!(error.asked, asked, "{code}");
    }
    let error = calendar("#HENG", "Europe/London").bucket_starts(millennia, 25_000).unwrap_err();
    assert!((1_800_000..1_900_000).contains(&error.asked), "{error}");
}

#[test]
fn the_first_and_last_timestamps_are_in_a_bucket_of_every_zone() {
    let first = TimeRange { start: Timestamp::EPOCH, end: Timestamp::from_micros(1) };
    let last = TimeRange { start: Timestamp::from_micros(Timestamp::END.micros() - 1), end: Timestamp::END };
    for built_in in BUILT_IN.iter().chain(&[BuiltIn { code: "#P100Y", description: "" }]) {
        for name in ["UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/New_York", "Africa/Monrovia"] {
            let calendar = calendar(built_in.code, name);
            for range in [first, last] {
                let starts = calendar.bucket_starts(range, 1).unwrap();
                assert!(starts.len() == 1 && starts[0] <= range.start, "{} {name}", built_in.code);
                let buckets = calendar.last_buckets(range.start, 3, 10).unwrap();
                assert!(buckets.start <= starts[0] && buckets.end >= range.end, "{} {name}", built_in.code);
            }
            let far =
                TimeRange { start: Timestamp::from_micros(i64::MIN), end: Timestamp::from_micros(i64::MAX) };
            let _ = calendar.bucket_starts(far, 10);
            for at in [far.start, far.end] {
                let buckets = calendar.last_buckets(at, 1_000, 1_000).unwrap();
                assert!(buckets.start < buckets.end, "{} {name}", built_in.code);
            }
        }
    }
}

/// The bank holidays of a year in `#HENG` that are not on a weekend.
fn bank_holidays(year: i16) -> Vec<String> {
    let (start, end) = (format!("{year}-01-01T00:00:00Z"), format!("{}-01-01T00:00:00Z", year + 1));
    let days = |code| -> Vec<String> {
        let dates = starts(&calendar(code, "UTC"), &start, &end);
        dates.into_iter().filter(|date| date.starts_with(&year.to_string())).collect()
    };
    let working = days("#HENG");
    days("BUSINESS")
        .into_iter()
        .filter(|day| !working.contains(day))
        .map(|day| day[5..10].to_owned())
        .collect()
}

#[test]
fn bank_holidays_agree_with_the_published_ones() {
    for (year, expected) in [
        (1973, "04-20 04-23 05-28 08-27 11-14 12-25 12-26"),
        (1974, "01-01 04-12 04-15 05-27 08-26 12-25 12-26"),
        (1977, "01-03 04-08 04-11 05-30 06-07 08-29 12-26 12-27"),
        (1978, "01-02 03-24 03-27 05-01 05-29 08-28 12-25 12-26"),
        (1981, "01-01 04-17 04-20 05-04 05-25 07-29 08-31 12-25 12-28"),
        (1995, "01-02 04-14 04-17 05-08 05-29 08-28 12-25 12-26"),
        (1999, "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28 12-31"),
        (2000, "01-03 04-21 04-24 05-01 05-29 08-28 12-25 12-26"),
        (2002, "01-01 03-29 04-01 05-06 06-03 06-04 08-26 12-25 12-26"),
        (2010, "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28"),
        (2011, "01-03 04-22 04-25 04-29 05-02 05-30 08-29 12-26 12-27"),
        (2012, "01-02 04-06 04-09 05-07 06-04 06-05 08-27 12-25 12-26"),
        (2016, "01-01 03-25 03-28 05-02 05-30 08-29 12-26 12-27"),
        (2017, "01-02 04-14 04-17 05-01 05-29 08-28 12-25 12-26"),
        (2018, "01-01 03-30 04-02 05-07 05-28 08-27 12-25 12-26"),
        (2019, "01-01 04-19 04-22 05-06 05-27 08-26 12-25 12-26"),
        (2020, "01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-28"),
        (2021, "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28"),
        (2022, "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27"),
        (2023, "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26"),
        (2024, "01-01 03-29 04-01 05-06 05-27 08-26 12-25 12-26"),
        (2025, "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26"),
        (2026, "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28"),
        (2027, "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28"),
    ] {
        assert_eq!(bank_holidays(year).join(" "), expected, "{year}");
    }
    for year in 2024..2200 {
        assert_eq!(bank_holidays(year).len(), 8, "{year}");
    }
    assert_eq!(calendar("HENG", "UTC").buckets, calendar("#HENG", "UTC").buckets);
}

/// The days of a range that are not working days.
fn days_off(definition: &Definition, start: &str, end: &str) -> Vec<String> {
    let working = starts(&Calendar::defined("OURS", definition).unwrap(), start, end);
    let days = starts(&calendar("#P1D", "UTC"), start, end);
    days.into_iter().filter(|day| !working.contains(day)).map(|day| day[2..10].to_owned()).collect()
}

#[test]
fn rules_determine_the_days_of_holidays() {
    for (rule, expected) in [
        ("2024-12-27", "24-12-27"),
        ("last Monday in May, from 2025 to 2025", "25-05-26"),
        ("fourth thu in nov, from 2024 to 2024", "24-11-28"),
        ("second Tuesday in January, to 2024", "24-01-09"),
        ("25 of December, from 2025", "25-12-25"),
        ("29 of February", "24-02-29"),
        ("easter - 2 days, to 2024", "24-03-29"),
        ("easter + 39 days, from 2025", "25-05-29"),
        ("1 of June, shifted, to 2024", "24-06-01 24-06-03"),
        ("1 of June, shifted back, to 2024", "24-05-31 24-06-01"),
    ] {
        // Weekends are not compared, except for the one with the shifted holiday.
        let weekend: &[Weekday] = if rule.contains("shifted") { &WEEKEND } else { &[] };
        let mut off =
            days_off(&working_days(weekend, &[rule]), "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        if !weekend.is_empty() {
            let plain = days_off(&working_days(weekend, &[]), "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
            off.retain(|day| !plain.contains(day) || day == "24-06-01");
        }
        assert_eq!(off.join(" "), expected, "{rule}");
    }
    let off = days_off(&working_days(&[], &["every Friday"]), "2024-02-25T00:00:00Z", "2024-03-10T00:00:00Z");
    assert_eq!(off, ["24-03-01", "24-03-08"]);
}

#[test]
fn shifted_holidays_of_adjacent_years_are_on_different_days() {
    let rules = ["31 of December, shifted", "1 of January, shifted", "2 of January"];
    // 2022-12-31 was a Saturday, and 2 January stays on its Monday.
    let off = days_off(&working_days(&WEEKEND, &rules), "2022-12-31T00:00:00Z", "2023-01-07T00:00:00Z");
    assert_eq!(off, ["22-12-31", "23-01-01", "23-01-02", "23-01-03", "23-01-04"]);
}

#[test]
fn a_year_without_working_days_has_one_bucket() {
    let months = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let holidays = (1..).zip(months).flat_map(|(month, days)| {
        (1..=days).map(move |day| Holiday {
            day: HolidayDay::DayOfMonth { day, month },
            shift: None,
            from_year: None,
            to_year: None,
        })
    });
    let definition =
        Definition::WorkingDays { weekend: Vec::new(), zone: "UTC".into(), holidays: holidays.collect() };
    let never = Calendar::defined("NEVER", &definition).unwrap();
    assert_eq!(
        starts(&never, "2024-05-01T00:00:00Z", "2026-05-01T00:00:00Z"),
        ["2024-01-01T00:00+00:00", "2025-01-01T00:00+00:00", "2026-01-01T00:00+00:00"]
    );
    assert_eq!(
        never.last_buckets("2026-05-01T00:00:00Z".parse().unwrap(), 2, 10).unwrap(),
        range("2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    );
}

#[test]
fn errors_say_where_a_code_is_wrong() {
    for (code, position) in [
        ("", 1),
        ("PT1H", 1),
        ("daily", 1),
        ("#HUSA", 1),
        ("#PX", 3),
        ("#P", 3),
        ("#PT", 4),
        ("#P1", 4),
        ("#PT0M", 6),
        ("#PT1S", 5),
        ("#P1D1D", 6),
        ("#PT1M1H", 7),
        ("#P1M1D", 3),
        ("#P999Y", 3),
        ("#PT99999999999999999999H", 12),
    ] {
        assert_eq!(Calendar::parse(code).unwrap_err().position, position, "{code}");
    }
}

#[test]
fn errors_say_why_a_definition_is_invalid() {
    let mut days = vec!["2024-12-27"; MAX_HOLIDAYS];
    days.push("2024-12-28");
    let all: Vec<Weekday> =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].into_iter().filter_map(weekday).collect();
    let odd = Definition::WorkingDays {
        weekend: Vec::new(),
        zone: "UTC".into(),
        holidays: vec![
            "easter".parse().unwrap(),
            Holiday {
                day: HolidayDay::DayOfMonth { day: 30, month: 2 },
                shift: None,
                from_year: None,
                to_year: None,
            },
        ],
    };
    let with_seconds =
        Definition::Interval { interval: "P1D".into(), zone: "UTC".into(), offset: Duration::from_secs(90) };
    let elsewhere =
        Definition::WorkingDays { weekend: Vec::new(), zone: "Mars".into(), holidays: Vec::new() };
    for (definition, expected) in [
        (interval("PT1X", "UTC", 0), "at character 4: expected a number and H or M, found \"X\""),
        (
            interval("1D", "UTC", 0),
            "at character 1: expected an ISO 8601 duration, such as PT15M, PT1H, P1D, P1W or P1M, found \"1D\"",
        ),
        (
            interval("P1D", "Europe/Londn", 0),
            "expected an IANA time zone such as Europe/Berlin or UTC, found \"Europe/Londn\"",
        ),
        (elsewhere, "expected an IANA time zone such as Europe/Berlin or UTC, found \"Mars\""),
        (
            interval("P1D", "UTC", 1_440),
            "expected an offset shorter than the shortest interval of P1D, 1440 minutes",
        ),
        (
            interval("P1M", "UTC", 28 * 1_440),
            "expected an offset shorter than the shortest interval of P1M, 40320 minutes",
        ),
        (
            interval("P3M", "UTC", 90 * 1_440),
            "expected an offset shorter than the shortest interval of P3M, 129600 minutes",
        ),
        (with_seconds, "expected an offset of whole minutes"),
        (
            working_days(&all, &[]),
            "expected a weekend of at most six days, found all seven: no working day is left",
        ),
        (working_days(&[], &days), "expected at most 1000 holidays, found 1001"),
        (odd, "holiday 2 (30 of February): the month never has this day"),
        (working_days(&WEEKEND, &["easter", "easter"]), "holiday 2 (easter): the holiday is listed twice"),
        (
            working_days(&WEEKEND, &["every Sunday, shifted"]),
            "holiday 1 (every Sunday, shifted): a weekly holiday cannot be shifted",
        ),
        (
            working_days(
                &WEEKEND,
                &["every mon", "every tue, from 2020", "every wed", "every thu to 2030", "every fri"],
            ),
            "no working day is left in 2020: the weekend and the weekly holidays cover every day",
        ),
    ] {
        assert_eq!(Calendar::defined("OURS", &definition).unwrap_err().to_string(), expected);
        assert_eq!(definition.validate().unwrap_err().to_string(), expected);
    }
    for code in ["", "#OURS", "DAILY", "Business", "heng", "#P1D"] {
        let error = Calendar::defined(code, &interval("P1D", "UTC", 0)).unwrap_err();
        assert_eq!(error, DefinitionError::Code(code.into()));
    }
    assert!(!Calendar::is_reserved("GAS"));
}

#[test]
fn zones_have_iana_names() {
    for name in ["UTC", "Europe/London", "Asia/Kathmandu", "America/Argentina/Buenos_Aires", "Etc/GMT-14"] {
        assert!(zone(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "Mars",
        "europe/london",
        "localtime",
        "Factory",
        "+01:00",
        "Europe/",
        "../UTC",
        "/etc/localtime",
        "Etc/Unknown",
        "EST5EDT4\n",
        "\0",
    ] {
        assert_eq!(zone(name), Err(UnknownZone(name.into())));
    }
}

#[test]
fn built_in_calendars_can_be_parsed() {
    for built_in in BUILT_IN {
        let calendar = Calendar::parse(built_in.code).unwrap();
        assert_eq!(calendar.to_string(), built_in.code);
        assert_eq!(calendar.zone(), &TimeZone::UTC);
        assert!(Calendar::is_reserved(built_in.code) && !built_in.description.is_empty());
    }
}
