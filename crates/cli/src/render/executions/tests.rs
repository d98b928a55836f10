use flowmeter_proto::v1::ExecutionPoint;
use jiff::SignedDuration;

use super::*;
use crate::render::text::width;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn series(labels: &[(&str, &str)], total: i64) -> ExecutionSeries {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ExecutionSeries { labels: labels.collect(), total, points: Vec::new() }
}

fn by(field: &str, calls: &[(&str, &str, i64)]) -> Vec<ExecutionSeries> {
    calls.iter().map(|(name, kind, total)| series(&[(field, name), ("type", kind)], *total)).collect()
}

fn answer(series: Vec<ExecutionSeries>) -> QueryExecutionsResponse {
    QueryExecutionsResponse {
        series,
        start_time: Some(moment::to_wire(at("2026-11-15T00:00:00Z"))),
        end_time: Some(moment::to_wire(at("2026-11-22T11:12:03Z"))),
        time_zone: "UTC".into(),
        fresh_through: Some(moment::to_wire(at("2026-11-22T10:12:03Z"))),
        ..QueryExecutionsResponse::default()
    }
}

/// The part of a page below its heading.
fn body(shown: &str) -> &str {
    shown.split_once("\n\n").unwrap().1
}

fn shown(series: Vec<ExecutionSeries>, form: Form, page: impl FnOnce(Page<'_>) -> String) -> String {
    let (asked, answer) = (QueryExecutionsRequest::default(), answer(series));
    let page = page(Page { asked: &asked, answer: &answer, form, width: 80 });
    assert!(form == Form::Table || page.lines().all(|line| width(line) <= 80), "{page}");
    page
}

fn integrations() -> Vec<ExecutionSeries> {
    by(
        "integration",
        &[
            ("VirusTotal", "Successful", 1200),
            ("VirusTotal", "OutOfQuota", 230),
            ("VirusTotal", "AuthError", 1),
            ("Slack", "Successful", 310),
            ("Slack", "GeneralError", 95),
            ("evil\u{1b}[2J\n", "Successful", 20),
            ("an extraordinarily long name of an integration", "OutOfQuota", 7),
            ("", "言語", 3),
        ],
    )
}

#[test]
fn an_integration_is_a_bar_divided_by_type() {
    insta::assert_snapshot!(shown(integrations(), Form::Chart, types), @r"
    1 866 calls by integration and type
    2026-11-15T00:00:00Z to 2026-11-22T11:12:03Z
    fresh through 2026-11-22T10:12:03Z

    INTEGRATION                     CALLS
    VirusTotal                      1 431  ██████████████████████████████████░░░░░░░
    Slack                             405  █████████▚▚▚
    evil\u{1b}[2J\n                    20  █
    an extraordinarily long name …      7  ░
    (none)                              3  ═

       TYPE          CALLS   SHARE
    █  Successful    1 530  82.0 %
    ░  OutOfQuota      237  12.7 %
    ▚  GeneralError     95   5.1 %
    ═  言語              3   0.2 %
    ▓  AuthError         1   0.1 %
    ");
}

#[test]
fn few_types_are_columns_of_a_table_and_many_are_rows() {
    insta::assert_snapshot!(body(&shown(integrations(), Form::Table, types)), @r"
    INTEGRATION                                     Successful  OutOfQuota  GeneralError  言語  AuthError  CALLS
    VirusTotal                                            1200         230                              1   1431
    Slack                                                  310                        95                     405
    evil\u{1b}[2J\n                                         20                                                20
    an extraordinarily long name of an integration                       7                                     7
    (none)                                                                                   3                 3
    ");
    let many: Vec<_> = (0..9).map(|at| format!("Type{at}")).collect();
    let many: Vec<_> = many.iter().zip(1..).map(|(kind, calls)| ("Slack", kind.as_str(), calls)).collect();
    let long = shown(by("integration", &many), Form::Table, types);
    assert_eq!(body(&long).lines().next(), Some("INTEGRATION  TYPE   CALLS"));
    assert_eq!(body(&long).lines().nth(1), Some("Slack        Type8      9"));
    let drawn = shown(by("integration", &many), Form::Chart, types);
    insta::assert_snapshot!(body(&drawn), @r"
    INTEGRATION  CALLS
    Slack           45  ████████████░░░░░░░░░░░▚▚▚▚▚▚▚▚▚════════▓▓▓▓▓▓▓╳╳╳╳╳▒▒▒▒····

       TYPE           CALLS   SHARE
    █  Type8              9  20.0 %
    ░  Type7              8  17.8 %
    ▚  Type6              7  15.6 %
    ═  Type5              6  13.3 %
    ▓  Type4              5  11.1 %
    ╳  Type3              4   8.9 %
    ▒  Type2              3   6.7 %
    ·  2 other types      3   6.7 %
    Types that fill less than half a column of a bar are drawn as ·.
    ");
}

#[test]
fn only_the_lines_with_the_most_calls_are_drawn() {
    let names: Vec<_> = (0..50).map(|at| format!("i{at}")).collect();
    let calls: Vec<_> =
        names.iter().zip(1..).map(|(name, calls)| (name.as_str(), "Successful", calls)).collect();
    let drawn = shown(by("integration", &calls), Form::Chart, types);
    assert!(
        drawn.contains("The 40 of 50 integrations with the most calls; --output table lists all.\n"),
        "{drawn}"
    );
    assert!(body(&drawn).lines().nth(1).unwrap().starts_with("i49 "), "{drawn}");
    let drawn = shown(by("command", &calls), Form::Chart, |page| commands(page, &[]));
    assert!(
        drawn.contains("The 40 of 50 commands with the most calls; --output table lists all.\n"),
        "{drawn}"
    );
    assert_eq!(
        body(&shown(by("command", &calls), Form::Table, |page| commands(page, &[]))).lines().count(),
        51
    );
}

#[test]
fn a_command_has_a_bar_for_each_type() {
    let calls = by(
        "command",
        &[
            ("ip", "Successful", 120),
            ("ip", "OutOfQuota", 3),
            ("url", "Successful", 80),
            ("url", "AuthError", 40),
        ],
    );
    let asked_for = ["ip", "url", "file", "fil\u{7}e"].map(str::to_owned);
    insta::assert_snapshot!(shown(calls, Form::Chart, |page| commands(page, &asked_for)), @r"
    243 calls by command and type
    2026-11-15T00:00:00Z to 2026-11-22T11:12:03Z
    fresh through 2026-11-22T10:12:03Z

    COMMAND  TYPE        CALLS
    ip       Successful    120  ████████████████████████████████████████████████████
             OutOfQuota      3  █▎
    url      Successful     80  ██████████████████████████████████▋
             AuthError      40  █████████████████▍
    No calls of file, fil\u{7}e.
    ");
}

#[test]
fn rate_limited_calls_are_a_single_number() {
    insta::assert_snapshot!(shown(vec![series(&[], 1237)], Form::Chart, limited), @r"
    1 237 rate-limited calls
    2026-11-15T00:00:00Z to 2026-11-22T11:12:03Z
    fresh through 2026-11-22T10:12:03Z
    ");
    assert!(shown(vec![series(&[], 1)], Form::Table, limited).starts_with("1 rate-limited call\n"));
    assert!(shown(Vec::new(), Form::Table, limited).starts_with("0 rate-limited calls\n"));
}

#[test]
fn an_answer_without_calls_is_a_sentence() {
    for form in [Form::Table, Form::Chart] {
        let plain = shown(Vec::new(), form, types);
        assert!(
            plain.ends_with("\n\nNo calls in this range. `flowmeter executions report` reports them.\n"),
            "{plain}"
        );
        let asked = QueryExecutionsRequest { filter: "instance = \"a\u{1b}\"".into(), ..Default::default() };
        let answer = QueryExecutionsResponse { calendar: "#PT1H".into(), ..answer(Vec::new()) };
        insta::allow_duplicates! {
            insta::assert_snapshot!(timeline(Page { asked: &asked, answer: &answer, form, width: 80 }), @r#"
            0 calls by hour and type
            2026-11-15T00:00:00Z to 2026-11-22T11:12:03Z
            where instance = "a\u{1b}"
            fresh through 2026-11-22T10:12:03Z

            No matching calls in this range. `flowmeter values instance` lists the values of this field.
            "#);
        }
    }
}

/// A series of hours of 2026-11-22, each with its number of calls.
fn hours(kind: &str, calls: &[(i64, i64)]) -> ExecutionSeries {
    let point = |(hour, count): &(i64, i64)| ExecutionPoint {
        timestamp: Some(moment::to_wire(at("2026-11-22T00:00:00Z") + SignedDuration::from_hours(*hour))),
        count: *count,
    };
    let total = calls.iter().map(|(_, calls)| calls).sum();
    ExecutionSeries { points: calls.iter().map(point).collect(), ..series(&[("type", kind)], total) }
}

fn over_hours(series: Vec<ExecutionSeries>, form: Form, zone: &str) -> String {
    let asked = QueryExecutionsRequest {
        group_by: vec!["type".into()],
        filter: "instance = \"vt-prod\"".into(),
        ..QueryExecutionsRequest::default()
    };
    let answer = QueryExecutionsResponse {
        start_time: Some(moment::to_wire(at("2026-11-22T08:30:00Z"))),
        end_time: Some(moment::to_wire(at("2026-11-22T12:12:03Z"))),
        calendar: "#PT1H".into(),
        time_zone: zone.into(),
        fresh_through: Some(moment::to_wire(at("2026-11-22T11:12:03Z"))),
        ..answer(series)
    };
    timeline(Page { asked: &asked, answer: &answer, form, width: 80 })
}

#[test]
fn hours_without_calls_are_shown() {
    let two = || vec![hours("Successful", &[(9, 120), (10, 60)]), hours("OutOfQuota", &[(10, 4)])];
    insta::assert_snapshot!(over_hours(two(), Form::Chart, "UTC"), @r#"
    184 calls by hour and type
    2026-11-22T08:30:00Z to 2026-11-22T12:12:03Z
    where instance = "vt-prod"
    fresh through 2026-11-22T11:12:03Z
    the last hour is not over yet

    type        TOTAL  LAST  MIN  MAX
    Successful    180     0    0  120  ▁▁▁▁████▄▄▄▄▁▁▁▁
    OutOfQuota      4     0    0    4  ▁▁▁▁▁▁▁▁████▁▁▁▁
                                       08:00
    Buckets from 2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z.
    Each line has its own scale, up to its MAX.
    "#);
    insta::assert_snapshot!(over_hours(two(), Form::Table, "Europe/Berlin"), @r#"
    184 calls by hour and type
    2026-11-22T09:30:00 to 2026-11-22T13:12:03 in Europe/Berlin, +01:00
    where instance = "vt-prod"
    fresh through 2026-11-22T11:12:03Z

    by type
    TIME                 Successful  OutOfQuota
    2026-11-22T10:00:00         120
    2026-11-22T11:00:00          60           4
    "#);
    // The offset of this zone includes half an hour, so the range begins within a bucket.
    let drawn = over_hours(vec![hours("Successful", &[(9, 120)])], Form::Chart, "Asia/Kolkata");
    assert!(drawn.contains("Buckets from 2026-11-22T14:00:00 to 2026-11-22T16:00:00.\n"), "{drawn}");
}
