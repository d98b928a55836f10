//! Examples of texts and their ranges.

use super::rule::UNITS;
use super::*;

/// Wednesday, 2024-11-20 at 10:30:15 in UTC, with a day ahead.
fn reference() -> Reference {
    reference_at("2024-11-20T10:30:15.5Z", "UTC")
}

fn reference_at(now: &str, zone: &str) -> Reference {
    let now: Timestamp = now.parse().unwrap();
    let horizon = now.plus(std::time::Duration::from_hours(24));
    Reference { now, zone: TimeZone::get(zone).unwrap(), horizon }
}

/// The range, without seconds if they are zero and without Z; or the error.
fn shown_at(text: &str, reference: &Reference) -> String {
    let range = text.parse::<RangeExpression>().and_then(|expression| expression.resolve(reference));
    let short = |at: Timestamp| {
        let text = at.to_string();
        let text = text.trim_end_matches('Z');
        text.strip_suffix(":00").unwrap_or(text).to_owned()
    };
    match range {
        Ok(range) => format!("{} {}", short(range.start), short(range.end)),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check_at(reference: &Reference, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(shown_at(text, reference), *expected, "{text}");
    }
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    check_at(&reference(), table);
}

#[test]
fn a_date_is_its_whole_period() {
    check(&[
        ("2024", "2024-01-01T00:00 2025-01-01T00:00"),
        ("2024Q1", "2024-01-01T00:00 2024-04-01T00:00"),
        ("2024Q4", "2024-10-01T00:00 2025-01-01T00:00"),
        ("2024-02", "2024-02-01T00:00 2024-03-01T00:00"),
        ("2024M10", "2024-10-01T00:00 2024-11-01T00:00"),
        ("2024W05", "2024-01-29T00:00 2024-02-05T00:00"),
        ("2025W01", "2024-12-30T00:00 2025-01-06T00:00"),
        ("2020W53", "2020-12-28T00:00 2021-01-04T00:00"),
        ("2024-02-29", "2024-02-29T00:00 2024-03-01T00:00"),
        ("2024-02-29T23", "2024-02-29T23:00 2024-03-01T00:00"),
        ("2024-02-29T23Z", "2024-02-29T23:00 2024-03-01T00:00"),
        ("2024-02-29T23:59", "2024-02-29T23:59 2024-03-01T00:00"),
        ("2024-02-29 23:59:59", "2024-02-29T23:59:59 2024-03-01T00:00"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59 2024-03-01T00:00"),
        ("2024-11-20T10:30:15.2", "2024-11-20T10:30:15.2 2024-11-20T10:30:15.3"),
        ("2024-11-20T10:30:15.250Z", "2024-11-20T10:30:15.25 2024-11-20T10:30:15.251"),
        ("2024-11-20T10:30:15.999999", "2024-11-20T10:30:15.999999 2024-11-20T10:30:16"),
        ("within(2024-02)", "2024-02-01T00:00 2024-03-01T00:00"),
    ]);
}

#[test]
fn both_ends_are_included() {
    check(&[
        ("between(2024-11-01,2024-11-30)", "2024-11-01T00:00 2024-12-01T00:00"),
        (" between( 2024 , 2024-06 ) ", "2024-01-01T00:00 2024-07-01T00:00"),
        ("between (2024-11-20 10,2024-11-20 10:30 )", "2024-11-20T10:00 2024-11-20T10:31"),
        ("from(2024-11-20)", "2024-11-20T00:00 2024-11-21T10:30:15.5"),
        ("to(2024-11-20)", "1970-01-01T00:00 2024-11-21T00:00"),
        // After the horizon, the range ends with the period.
        ("from(2030)", "2030-01-01T00:00 2031-01-01T00:00"),
    ]);
}

/// The examples of the metric service's documentation.
#[test]
fn the_examples_of_the_reference_hold() {
    check(&[
        ("from(2024-11-20)", "2024-11-20T00:00 2024-11-21T10:30:15.5"),
        ("2024-11-20", "2024-11-20T00:00 2024-11-21T00:00"),
        ("between(T-1Dh0m0s0,T-1Dh23m59s59)", "2024-11-19T00:00 2024-11-20T00:00"),
    ]);
}

/// The table in `rule.rs`, and further examples.
#[test]
fn a_rule_is_the_period_of_its_finest_part() {
    check(&[
        ("T", "2024-11-20T00:00 2024-11-21T00:00"),
        ("t", "2024-11-20T00:00 2024-11-21T00:00"),
        ("T-0D", "2024-11-20T00:00 2024-11-21T00:00"),
        ("T-1D", "2024-11-19T00:00 2024-11-20T00:00"),
        ("t+1D", "2024-11-21T00:00 2024-11-22T00:00"),
        ("within(T-1D)", "2024-11-19T00:00 2024-11-20T00:00"),
        ("T-1B", "2024-11-19T00:00 2024-11-20T00:00"),
        ("T-4B", "2024-11-14T00:00 2024-11-15T00:00"),
        ("T+3B", "2024-11-25T00:00 2024-11-26T00:00"),
        ("T-1W", "2024-11-13T00:00 2024-11-14T00:00"),
        ("T-1M", "2024-10-20T00:00 2024-10-21T00:00"),
        ("T-1Q", "2024-08-20T00:00 2024-08-21T00:00"),
        ("T-1Y", "2023-11-20T00:00 2023-11-21T00:00"),
        ("T-1Y1Q1M1W1D", "2023-07-12T00:00 2023-07-13T00:00"),
        ("T-3h", "2024-11-20T07:00 2024-11-20T08:00"),
        ("T-90m", "2024-11-20T09:00 2024-11-20T09:01"),
        ("T-30s", "2024-11-20T10:29:45 2024-11-20T10:29:46"),
        ("T-0s", "2024-11-20T10:30:15 2024-11-20T10:30:16"),
        ("T-1D11h", "2024-11-18T23:00 2024-11-19T00:00"),
        ("T-1Dh9", "2024-11-19T09:00 2024-11-19T10:00"),
        ("th9", "2024-11-20T09:00 2024-11-20T10:00"),
        ("Tm0", "2024-11-20T10:00 2024-11-20T10:01"),
        ("Ts7", "2024-11-20T10:30:07 2024-11-20T10:30:08"),
        ("T-2hm0", "2024-11-20T08:00 2024-11-20T08:01"),
        ("T-1Dh0m0s0", "2024-11-19T00:00 2024-11-19T00:00:01"),
        ("TY2023", "2023-01-01T00:00 2024-01-01T00:00"),
        ("TQ1", "2024-01-01T00:00 2024-04-01T00:00"),
        ("TM2", "2024-02-01T00:00 2024-03-01T00:00"),
        ("T-1YM10", "2023-10-01T00:00 2023-11-01T00:00"),
        ("T-1MY2023", "2023-10-01T00:00 2023-11-01T00:00"),
        ("T-1DY2023", "2023-11-19T00:00 2023-11-20T00:00"),
        ("TW5", "2024-01-29T00:00 2024-02-05T00:00"),
        ("TW05h8", "2024-01-29T08:00 2024-01-29T09:00"),
        ("TW53", "2024-12-23T00:00 2024-12-30T00:00"),
        ("TD1", "2024-11-01T00:00 2024-11-02T00:00"),
        ("T-1MD31", "2024-10-31T00:00 2024-11-01T00:00"),
        ("TQ2D15", "2024-04-15T00:00 2024-04-16T00:00"),
        ("TQ2M2D3", "2024-02-03T00:00 2024-02-04T00:00"),
        ("TW5D2", "2024-01-02T00:00 2024-01-03T00:00"),
        ("TY2020M02D29h23m59s58", "2020-02-29T23:59:58 2020-02-29T23:59:59"),
        ("from(T-7D)", "2024-11-13T00:00 2024-11-21T10:30:15.5"),
        ("from(T-3h)", "2024-11-20T07:00 2024-11-21T10:30:15.5"),
        ("to(T-1D)", "1970-01-01T00:00 2024-11-20T00:00"),
        ("between(T-1M,T)", "2024-10-20T00:00 2024-11-21T00:00"),
        ("between(T-1MD1,T-1MD31)", "2024-10-01T00:00 2024-11-01T00:00"),
        ("between(2024,T-0m)", "2024-01-01T00:00 2024-11-20T10:31"),
    ]);
}

#[test]
fn business_days_skip_weekends() {
    let days = |now: &str, table: &[(&str, &str)]| {
        for (text, start) in table {
            let shown = shown_at(text, &reference_at(now, "UTC"));
            assert!(shown.starts_with(start), "{text} on {now}: {shown}");
        }
    };
    days("2024-11-22T12:00:00Z", &[("T+1B", "2024-11-25"), ("T-5B", "2024-11-15"), ("T+6B", "2024-12-02")]);
    days("2024-11-23T12:00:00Z", &[("T+0B", "2024-11-23"), ("T+1B", "2024-11-25"), ("T-1B", "2024-11-22")]);
    days("2024-11-24T12:00:00Z", &[("T+1B", "2024-11-25"), ("T-1B", "2024-11-22"), ("T-6B", "2024-11-15")]);
    days("2024-11-25T12:00:00Z", &[("T-1B", "2024-11-22"), ("T-1B1D", "2024-11-21")]);
}

#[test]
fn days_are_limited_to_the_end_of_the_month() {
    check_at(
        &reference_at("2023-03-31T12:00:00Z", "UTC"),
        &[
            ("T-1M", "2023-02-28T00:00 2023-03-01T00:00"),
            ("T-1M1D", "2023-02-27T00:00 2023-02-28T00:00"),
            ("T+1M", "2023-04-30T00:00 2023-05-01T00:00"),
            ("T+11M", "2024-02-29T00:00 2024-03-01T00:00"),
            ("T-1Q", "2022-12-31T00:00 2023-01-01T00:00"),
            ("TM4D31", "2023-04-30T00:00 2023-05-01T00:00"),
            ("TM2h12", "2023-02-28T12:00 2023-02-28T13:00"),
        ],
    );
    check_at(
        &reference_at("2024-02-29T12:00:00Z", "UTC"),
        &[
            ("T-1Y", "2023-02-28T00:00 2023-03-01T00:00"),
            ("T-4Y", "2020-02-29T00:00 2020-03-01T00:00"),
            ("T-1Y12M", "2022-02-28T00:00 2022-03-01T00:00"),
            ("TY2023h0", "2023-02-28T00:00 2023-02-28T01:00"),
            // The year and the month are set together, so the 29th is kept.
            ("TY2023M3h0", "2023-03-29T00:00 2023-03-29T01:00"),
        ],
    );
}

#[test]
fn the_innermost_zone_is_used() {
    check_at(
        &reference_at("2024-11-20T10:30:15Z", "Asia/Tokyo"),
        &[
            ("2024-07-01", "2024-06-30T15:00 2024-07-01T15:00"),
            ("within(2024-07-01,Europe/London)", "2024-06-30T23:00 2024-07-01T23:00"),
            ("within(2024-07-01 , \"Europe/London\" )", "2024-06-30T23:00 2024-07-01T23:00"),
            ("within(2024-07-01,'UTC')", "2024-07-01T00:00 2024-07-02T00:00"),
            ("within(2024-07-01[America/New_York],UTC)", "2024-07-01T04:00 2024-07-02T04:00"),
            ("2024-07-01T10Z", "2024-07-01T10:00 2024-07-01T11:00"),
            ("within(2024-07-01T10Z,Europe/London)", "2024-07-01T10:00 2024-07-01T11:00"),
            ("2024-07 [ Europe/London ]", "2024-06-30T23:00 2024-07-31T23:00"),
            ("between(2024-07-01[UTC],2024-07-01,Europe/London)", "2024-07-01T00:00 2024-07-01T23:00"),
            ("to(2024,America/Argentina/Buenos_Aires)", "1970-01-01T00:00 2025-01-01T03:00"),
            ("from(2024-11-20T10,Etc/GMT+5)", "2024-11-20T15:00 2024-11-21T10:30:15"),
            // T is in the time zone of the rule, where it can already be the next day.
            ("T", "2024-11-19T15:00 2024-11-20T15:00"),
            ("within(T-1h,Asia/Kolkata)", "2024-11-20T09:30 2024-11-20T10:30"),
            ("T[Pacific/Kiritimati]", "2024-11-20T10:00 2024-11-21T10:00"),
        ],
    );
}

#[test]
fn all_names_of_zones_are_accepted() {
    for zone in ["UTC", "Etc/UTC", "GMT", "Zulu", "EST5EDT", "US/Eastern", "Etc/GMT-14", "Asia/Calcutta"] {
        let text = format!("2024[{zone}]");
        assert_eq!(text.parse::<RangeExpression>().map(|range| range.to_string()), Ok(text));
    }
}

#[test]
fn days_can_have_23_or_25_hours() {
    check_at(
        &reference_at("2024-04-01T12:00:00Z", "Europe/London"),
        &[
            ("2024-03-31", "2024-03-31T00:00 2024-03-31T23:00"),
            ("2024-10-27", "2024-10-26T23:00 2024-10-28T00:00"),
            ("2024-03-10[America/New_York]", "2024-03-10T05:00 2024-03-11T04:00"),
            ("2024-11-03[America/New_York]", "2024-11-03T04:00 2024-11-04T05:00"),
            ("T-1D", "2024-03-31T00:00 2024-03-31T23:00"),
            ("T", "2024-03-31T23:00 2024-04-01T23:00"),
            // A day whose midnight is skipped, and a day that is skipped entirely.
            ("2018-11-04[America/Sao_Paulo]", "2018-11-04T03:00 2018-11-05T02:00"),
            ("2018-11-03[America/Sao_Paulo]", "2018-11-03T03:00 2018-11-04T03:00"),
            (
                "2011-12-30[Pacific/Apia]",
                "at character 1: expected a time that the clock of its zone does not skip",
            ),
            ("2011-12[Pacific/Apia]", "2011-12-01T10:00 2011-12-31T10:00"),
        ],
    );
}

#[test]
fn times_that_occur_twice_or_are_skipped() {
    check_at(
        &reference_at("2024-10-27T03:30:00Z", "Europe/London"),
        &[
            ("2024-10-27T00", "2024-10-26T23:00 2024-10-27T00:00"),
            ("2024-10-27T01", "2024-10-27T00:00 2024-10-27T02:00"),
            ("2024-10-27T02", "2024-10-27T02:00 2024-10-27T03:00"),
            ("2024-10-27T01:30", "2024-10-27T00:30 2024-10-27T01:31"),
            ("between(2024-10-27T01:30,2024-10-27T01:30:00)", "2024-10-27T00:30 2024-10-27T01:30:01"),
            ("between(2024-10-27T00:30,2024-10-27T00:59)", "2024-10-26T23:30 2024-10-27T00:00"),
            // Two hours before 03:30 is the second 01:30, in the hour that occurs twice.
            ("T-2h", "2024-10-27T00:00 2024-10-27T02:00"),
            ("T-4h", "2024-10-26T23:00 2024-10-27T00:00"),
            ("between(2024-03-31T01:30,2024-03-31T02)", "2024-03-31T01:00 2024-03-31T02:00"),
            ("between(2024-03-31T00:30,2024-03-31T01:15)", "2024-03-31T00:30 2024-03-31T01:00"),
            (
                "within( 2024-03-31T01:30)",
                "at character 9: expected a time that the clock of its zone does not skip",
            ),
            ("2024-11-03T01[America/New_York]", "2024-11-03T05:00 2024-11-03T07:00"),
            ("2024-11-03T02[America/New_York]", "2024-11-03T07:00 2024-11-03T08:00"),
        ],
    );
    check_at(
        &reference_at("2024-03-31T02:30:00Z", "Europe/London"),
        &[("T-3h", "2024-03-30T23:00 2024-03-31T00:00"), ("T-1D2h", "2024-03-30T01:00 2024-03-30T02:00")],
    );
}

#[test]
fn ranges_are_cut_to_the_years_1970_to_9999() {
    check(&[
        ("1970", "1970-01-01T00:00 1971-01-01T00:00"),
        ("1970[Europe/London]", "1970-01-01T00:00 1970-12-31T23:00"),
        ("1969[America/New_York]", "1970-01-01T00:00 1970-01-01T05:00"),
        ("1969", "at character 1: expected a date from 1970 to 9999, found 1969"),
        ("0000", "at character 1: expected a date from 1970 to 9999, found 0000"),
        ("0000W01", "at character 1: expected a date from 1970 to 9999, found \"0000W01\""),
        ("to(T-54Y[America/New_York])", "1970-01-01T00:00 1970-11-21T05:00"),
        ("to(T-55Y)", "at character 4: expected a date from 1970 to 9999, found \"T-55Y\""),
        ("T+8000Y", "at character 1: expected a date from 1970 to 9999, found \"T+8000Y\""),
        (
            "T-999999Y999999Q999999M",
            "at character 1: expected a date from 1970 to 9999, found \"T-999999Y999999Q999999M\"",
        ),
        ("T+999999W", "at character 1: expected a date from 1970 to 9999, found \"T+999999W\""),
        ("T+1Y999999W", "at character 1: expected a date from 1970 to 9999, found \"T+1Y999999W\""),
        ("T-999999s", "2024-11-08T20:43:36 2024-11-08T20:43:37"),
        // Intermediate dates can be out of range.
        ("T-100YY2024M5", "2024-05-01T00:00 2024-06-01T00:00"),
    ]);
    // Later than the last timestamp of jiff.
    let micros = |text: &str| {
        let range = text.parse::<RangeExpression>().unwrap().resolve(&reference()).unwrap();
        (Timestamp::END.micros() - range.start.micros(), Timestamp::END.micros() - range.end.micros())
    };
    assert_eq!(micros("9999-12-31T23:59:59"), (1_000_000, 0));
    assert_eq!(micros("9999-12-31T23:59:59.999999"), (1, 0));
    assert_eq!(micros("9999-12-31[America/New_York]"), (19 * 3_600_000_000, 0));
    assert_eq!(micros("9999-12-31[Asia/Tokyo]"), (33 * 3_600_000_000, 9 * 3_600_000_000));
    assert_eq!(micros("from(9999-12-31)"), (24 * 3_600_000_000, 0));
}

#[test]
fn the_last_buckets_need_a_calendar() {
    for (text, buckets) in [("last(1)", 1), (" last ( 024 ) ", 24), ("last(25000)", 25_000)] {
        let expression: RangeExpression = text.parse().unwrap();
        assert_eq!(expression.last(), Some(buckets), "{text}");
        assert_eq!(expression.to_string(), format!("last({buckets})"));
    }
    assert_eq!("2024".parse::<RangeExpression>().unwrap().last(), None);
    check(&[(" last(24)", "at character 2: expected a range other than last(…), which needs a calendar")]);
}

#[test]
fn an_expression_has_one_printed_form() {
    for (text, printed) in [
        ("2024", "2024"),
        (" within( 2024M10 ) ", "2024-10"),
        ("2024W05", "2024W05"),
        ("2024W01", "2024W01"),
        ("2025Q3", "2025Q3"),
        ("within(2024-11-20,'UTC')", "within(2024-11-20,UTC)"),
        ("2024-11-20 10", "2024-11-20T10"),
        ("2024-11-20 10:05Z", "2024-11-20T10:05[UTC]"),
        ("2024-11-20T10:05:00.250", "2024-11-20T10:05:00.250"),
        ("2024-11-20T10:05:00.000000", "2024-11-20T10:05:00.000000"),
        ("from( t-01D h0 )", "at character 13: expected ), found \"h0\""),
        ("from( t-01Dh00 )", "from(T-1Dh0)"),
        ("to(T [Europe/London],\"UTC\")", "to(T[Europe/London],UTC)"),
        (
            "between(t+1Y2Q3M4W5B6D7h8m9s, TY2024Q1M02W03D04h05m06s07)",
            "between(T+1Y2Q3M4W5B6D7h8m9s,TY2024Q1M2W3D4h5m6s7)",
        ),
    ] {
        let expression = text.parse::<RangeExpression>();
        let shown = expression.map_or_else(|error| error.to_string(), |expression| expression.to_string());
        assert_eq!(shown, printed, "{text}");
    }
}

#[test]
fn errors_say_where_a_range_is_wrong() {
    let (date, part) = (
        "a date such as 2024, 2024Q3, 2024-11, 2024M11, 2024W05, 2024-11-20, 2024-11-20T10, 2024-11-20T10:30 or \
         2024-11-20T10:30:15",
        "a part such as M10, D1 or h0, in the order of Y, Q, M, W, D, h, m and s",
    );
    let zone = "a time zone such as UTC or Europe/London";
    let month = "a month of two digits, such as 02";
    for (text, position, expected) in [
        ("", 1, RANGE),
        ("yesterday", 1, RANGE),
        ("From(2024)", 1, RANGE),
        ("LAST(1)", 1, RANGE),
        ("today", 2, part),
        ("from 2024", 6, "("),
        ("from()", 6, POINT),
        ("from(2024", 10, ")"),
        ("between(2024)", 13, ", and the end of the range"),
        ("between(2024,)", 14, POINT),
        ("between(2024,Europe/London)", 14, POINT),
        ("202", 1, date),
        ("20241120", 1, "a year of four digits, after which a month follows as in 2024-11"),
        ("2024-1", 6, month),
        ("2024M", 6, month),
        ("2024M00", 6, "a month from 01 to 12, found 00"),
        ("2024-13", 6, "a month from 01 to 12, found 13"),
        ("2024Q", 6, "a quarter from 1 to 4"),
        ("2024Q5", 6, "a quarter from 1 to 4, found 5"),
        ("2024W5", 6, "a week of two digits, such as 05"),
        ("2024W53", 6, "a week from 01 to 52, because 2024 has 52 weeks, found 53"),
        ("2026W54", 6, "a week from 01 to 53, because 2026 has 53 weeks, found 54"),
        ("2024W00", 6, "a week from 01 to 52, because 2024 has 52 weeks, found 00"),
        ("2024-11-3", 9, "a day of two digits, such as 03"),
        ("2024-11-00", 9, "a day from 01 to 30, because November 2024 has 30 days, found 00"),
        ("2024-02-30", 9, "a day from 01 to 29, because February 2024 has 29 days, found 30"),
        ("between(2024,2023-02-29)", 22, "a day from 01 to 28, because February 2023 has 28 days, found 29"),
        ("2024-11-20T24", 12, "an hour from 00 to 23, found 24"),
        ("2024-11-20T10:3", 15, "a minute of two digits, such as 05"),
        ("2024-11-20T10:60", 15, "a minute from 00 to 59, found 60"),
        ("2024-11-20T23:59:60", 18, "a second from 00 to 59, found 60"),
        ("2024-11-20T10:30:15+01:00", 20, OFFSET),
        ("2024-11-20T10-05", 14, OFFSET),
        ("1969", 1, "a date from 1970 to 9999, found 1969"),
        ("2024-11-20+01:00", 11, "the end"),
        ("2024-11Z", 8, "the end"),
        ("2024-11-20T10:30:15x", 20, "the end"),
        ("2024-11-20T10:30:15.", 21, "one to six decimals"),
        ("2024-11-20T10:30:15.1234567", 21, "one to six decimals"),
        ("2024M10-05", 8, "the end"),
        ("2024,UTC", 5, "the end"),
        ("2024-11-20T10Z[UTC]", 15, "either Z or a time zone"),
        ("2024[Mars/Olympus]", 6, zone),
        ("2024[]", 6, zone),
        ("2024[europe/london]", 6, zone),
        ("2024[UTC", 9, "]"),
        ("2024[Etc/Unknown]", 6, zone),
        ("2024[../etc/passwd]", 6, zone),
        ("within(2024,Mars)", 13, zone),
        ("within(2024,)", 13, zone),
        ("within(2024,\"UTC')", 17, "the closing quote"),
        ("within(2024,UTC,UTC)", 16, ")"),
        ("last(0)", 6, "a number of buckets from 1 to 25000"),
        ("last(25001)", 6, "a number of buckets from 1 to 25000"),
        ("last(99999999999999999999)", 6, "a number of buckets from 1 to 25000"),
        ("last(24,UTC)", 8, ")"),
        ("T1D", 2, "+ or - before the relative parts"),
        ("T-", 3, "a number of up to six digits"),
        ("T-h0", 3, "a number of up to six digits"),
        ("T-1000000D", 3, "a number of up to six digits"),
        ("T-1", 4, UNITS),
        ("T-1X", 4, UNITS),
        ("T-1D1M", 6, UNITS),
        ("T-1D2D", 6, UNITS),
        ("T-1D-1h", 5, "the end"),
        ("T - 1D", 3, "the end"),
        ("Th0D1", 4, part),
        ("TD1D2", 4, part),
        ("TB1", 2, part),
        ("TY24", 3, "a year from 1970 to 9999, found 24"),
        ("TY1969", 3, "a year from 1970 to 9999, found 1969"),
        ("TQ5", 3, "a quarter from 1 to 4, found 5"),
        ("TM13", 3, "a month from 1 to 12, found 13"),
        ("TW0", 3, "a week from 1 to 53, found 0"),
        ("TD32", 3, "a day from 1 to 31, found 32"),
        ("TD001", 3, "a day from 1 to 31"),
        ("Th24", 3, "an hour from 0 to 23, found 24"),
        ("Tm60", 3, "a minute from 0 to 59, found 60"),
        ("Ts", 3, "a second from 0 to 59"),
        ("between(2024-02,2024-01)", 17, "an end that is after the start"),
        ("between(T,T-1D)", 11, "an end that is after the start"),
        // Positions are counted in characters, not bytes.
        ("2024é", 5, "the end"),
        ("from(é", 6, POINT),
    ] {
        let range = text.parse::<RangeExpression>().and_then(|range| range.resolve(&reference()));
        let error = range.expect_err(text);
        let sentence = error.to_string();
        let (place, said) = sentence.split_once(": expected ").unwrap();
        assert_eq!(place, format!("at character {position}"), "{text}");
        // Some entries of the table leave out `found`.
        assert!(expected == said || expected == error.expected, "{text}: {said}");
    }
}

#[test]
fn the_length_of_a_text_is_limited() {
    let long = |spaces: usize| format!("2024{}", " ".repeat(spaces)).parse::<RangeExpression>();
    assert!(long(252).is_ok());
    assert_eq!(long(253).unwrap_err().position, 257);
    let error = "é".repeat(129).parse::<RangeExpression>().unwrap_err();
    assert_eq!((error.position, error.expected.as_str()), (129, "a range of at most 256 bytes"));
}
