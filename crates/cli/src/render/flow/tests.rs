use flowmeter_proto::v1::{FlowDatum, FlowMetric as Metric};
use jiff::civil::Date;
use proptest::prelude::*;

use super::*;

/// Days of a flow, each with its number of requests. Two of every thirty days have failed checks.
struct Days {
    flow: Flow,
    counts: Vec<f64>,
}

fn days(counts: impl IntoIterator<Item = u32>) -> Days {
    let flow = Flow {
        id: "signup".into(),
        name: "Sign up".into(),
        endpoint_url: "https://example.com/flow".into(),
        data_api_version: "3.0".into(),
        time_zone: "America/Los_Angeles".into(),
        version: 1,
        ..Flow::default()
    };
    Days { flow, counts: counts.into_iter().map(f64::from).collect() }
}

fn answer(
    metric: FlowMetric,
    data_points: Vec<FlowDataPoint>,
    fresh: Timestamp,
) -> (FlowMetric, GetFlowMetricResponse) {
    let found = Metric { granularity: "DAY".into(), name: metric.name().into(), data_points };
    let fresh_through = Some(moment::to_wire(fresh));
    let metric_of = GetFlowMetricResponse {
        id: "signup".into(),
        metric: Some(found),
        fresh_through,
        ..Default::default()
    };
    (metric, metric_of)
}

impl Days {
    fn start(day: usize) -> Timestamp {
        let first: Date = "2026-08-25".parse().unwrap();
        let day = first + jiff::Span::new().days(i64::try_from(day).unwrap());
        day.in_tz("America/Los_Angeles").unwrap().timestamp()
    }

    /// The numbers of a day for a metric, in the order of its keys.
    fn data(metric: FlowMetric, day: usize, all: f64) -> Vec<(&'static str, f64)> {
        let errors = [
            ("timeout_error", (all / if day % 30 == 17 { 20.0 } else { 400.0 }).floor()),
            ("unexpected_http_status_code", (all / 900.0).floor()),
            ("cannot_be_served", if day % 11 == 3 { 2.0 } else { 0.0 }),
        ];
        let failed: f64 = errors.iter().map(|(_, number)| number).sum();
        match metric {
            FlowMetric::Requests => vec![("value", all)],
            FlowMetric::ErrorRate => vec![("value", failed / all)],
            FlowMetric::Errors => errors.into_iter().filter(|(_, number)| *number > 0.0).collect(),
            FlowMetric::Latency => [("1", 0.81), ("2", 0.12), ("3", 0.03), ("5", 0.02), ("10+", 0.002)]
                .map(|(key, share)| (key, (all * share).round()))
                .into_iter()
                .filter(|(_, number)| *number > 0.0)
                .collect(),
            FlowMetric::Availability => match day % 30 {
                17 => vec![("succeeded", 1300.0), ("failed", 140.0)],
                18 => vec![("failed", 1440.0)],
                _ => vec![("succeeded", 1440.0)],
            },
        }
    }

    fn answers(&self, metrics: &[FlowMetric]) -> Vec<(FlowMetric, GetFlowMetricResponse)> {
        let point = |metric: FlowMetric, day: usize, all: f64| FlowDataPoint {
            timestamp: Some(moment::to_wire(Self::start(day))),
            data: Self::data(metric, day, all)
                .into_iter()
                .map(|(key, value)| FlowDatum { key: key.into(), value: Some(value) })
                .collect(),
        };
        let fresh = Self::start(self.counts.len()) - jiff::SignedDuration::from_hours(9);
        let of = |metric: &FlowMetric| {
            let days = self.counts.iter().enumerate().filter(|(_, all)| **all > 0.0);
            let points =
                days.map(|(day, all)| point(*metric, day, *all)).filter(|point| !point.data.is_empty());
            answer(*metric, points.collect(), fresh)
        };
        metrics.iter().map(of).collect()
    }

    fn page(&self, metrics: &[FlowMetric], form: Form) -> String {
        let answers = self.answers(metrics);
        page(&Report { flow: &self.flow, granularity: Granularity::Day, answers: &answers }, form, 80)
    }
}

fn quarter() -> Days {
    days((0..90).map(|day| 9_000 + 60 * day - if day % 7 > 4 { 4_000 } else { 0 }))
}

#[test]
fn ninety_days_are_shown_as_a_dashboard() {
    let shown = quarter().page(&FlowMetric::ALL, Form::Chart);
    insta::assert_snapshot!(shown, @r"
    signup (Sign up), by day
    2026-08-25 to 2026-11-22 in America/Los_Angeles
    fresh through 2026-11-22T23:00:00Z
    the last day is not over yet
    each column shows the highest of 2 days, or the worst for availability

    Requests      950 300, up to 14 280 on 2026-11-21
        15k ┤                               ▁▁▂ ▂▃▃▄▄▄ ▅▆▆
            │          ▁▁▂ ▂▃▃▄▄▄ ▅▅▆▆▇▇ ██████ ██████ ███
        10k ┤▅▅▆▆▇▇ ██████ ██████ ██████▃██████▅██████████
            │██████▂██████▅███████████████████████████████
       5000 ┤█████████████████████████████████████████████
            │█████████████████████████████████████████████
          0 └───┬─────────────┬─────────────┬─────────────
                2026-08-31    2026-09-28    2026-10-26

    Errors        4 856, 0.51 % of the requests
    ERROR                        COUNT   SHARE
    timeout_error                3 827  78.8 %  ██████████████████████████████
    unexpected_http_status_code  1 013  20.9 %  ████████
    cannot_be_served                16   0.3 %  ▏

    Error rate    0.51 %, up to 5.13 % on 2026-10-11
        6 % ┤        ▁              ▁              ▁
            │        █              █              █
        4 % ┤        █              █              █
            │        █              █              █
        2 % ┤        █              █              █
            │▃▃▃▃▃▃▃▃█▃▃▃▃▃▃▃▃▃▃▃▃▃▃█▃▃▃▃▃▃▃▃▃▃▃▃▃▃█▃▃▃▃▃▃
        0 % └───┬─────────────┬─────────────┬─────────────
                2026-08-31    2026-09-28    2026-10-26

    Latency       p50 ≤ 1 s, p95 ≤ 3 s, p99 ≤ 5 s of 933 194 requests
    SECONDS    COUNT   SHARE
          1  769 743  82.5 %  ████████████████████████████████████████████
          2  114 036  12.2 %  ██████▌
          3   28 509   3.1 %  █▋
          4
          5   19 006   2.0 %  █▏
          6
          7
          8
          9
         10
        10+    1 900   0.2 %  ▏

    Availability  96.34 % of 129 600 checks, down to 0.00 % on 2026-09-12
             ████████▄▁█████████████▄▁█████████████▄▁█████
                2026-08-31    2026-09-28    2026-10-26
             █ up   ▄ some checks failed   ▁ down
    ");
}

#[test]
fn few_days_are_rows_and_large_counts_fit() {
    let mut some = days([1, 2, 0, 4_000_000_000, 7]);
    some.flow.time_zone.clear();
    let shown = some.page(&FlowMetric::ALL, Form::Chart);
    insta::assert_snapshot!(shown, @r"
    signup (Sign up), by day
    2026-08-25 to 2026-08-29
    fresh through 2026-08-29T22:00:00Z
    the last day is not over yet

    Requests      4 000 000 010, up to 4 000 000 000 on 2026-08-28
    TIME             REQUESTS
    2026-08-25              1  ▏
    2026-08-26              2  ▏
    2026-08-27
    2026-08-28  4 000 000 000  █████████████████████████████████████████████████████
    2026-08-29              7  ▏

    Errors        14 444 446, 0.36 % of the requests
    ERROR                             COUNT   SHARE
    timeout_error                10 000 000  69.2 %  ██████████████████████████████
    unexpected_http_status_code   4 444 444  30.8 %  █████████████▍
    cannot_be_served                      2  <0.1 %  ▏

    Error rate    0.36 %, up to 0.36 % on 2026-08-28
    TIME        ERROR RATE
    2026-08-25      0.00 %  ▏
    2026-08-26      0.00 %  ▏
    2026-08-27
    2026-08-28      0.36 %  ████████████████████████████████████████████████████████
    2026-08-29      0.00 %  ▏

    Latency       p50 ≤ 1 s, p95 ≤ 3 s, p99 ≤ 5 s of 3 928 000 010 requests
    SECONDS          COUNT   SHARE
          1  3 240 000 009  82.5 %  ████████████████████████████████████████████
          2    480 000 001  12.2 %  ██████▌
          3    120 000 000   3.1 %  █▋
          4
          5     80 000 000   2.0 %  █▏
          6
          7
          8
          9
         10
        10+      8 000 000   0.2 %  ▏

    Availability  100.00 % of 5 760 checks
    TIME        CHECKS  AVAILABLE
    2026-08-25   1 440   100.00 %  █ up
    2026-08-26   1 440   100.00 %  █ up
    2026-08-27                     · not checked
    2026-08-28   1 440   100.00 %  █ up
    2026-08-29   1 440   100.00 %  █ up
    ");
    insta::assert_snapshot!(some.page(&FlowMetric::ALL, Form::Table), @r"
    signup (Sign up), by day
    2026-08-25 to 2026-08-29
    fresh through 2026-08-29T22:00:00Z
    the last day is not over yet

    TIME          REQUESTS    ERRORS  ERROR RATE    P50    P95  CHECKS  AVAILABLE
    2026-08-25           1         0      0.00 %  ≤ 1 s  ≤ 1 s    1440   100.00 %
    2026-08-26           2         0      0.00 %  ≤ 1 s  ≤ 1 s    1440   100.00 %
    2026-08-28  4000000000  14444446      0.36 %  ≤ 1 s  ≤ 3 s    1440   100.00 %
    2026-08-29           7         0      0.00 %  ≤ 1 s  ≤ 2 s    1440   100.00 %
    ");
}

#[test]
fn one_day_has_no_time_axis() {
    insta::assert_snapshot!(days([1]).page(&FlowMetric::ALL, Form::Chart), @r"
    signup (Sign up), by day
    2026-08-25 in America/Los_Angeles
    fresh through 2026-08-25T22:00:00Z
    the last day is not over yet

    Requests      1

    Errors        none

    Error rate    0 %

    Latency       p50 ≤ 1 s, p95 ≤ 1 s, p99 ≤ 1 s of 1 request
    SECONDS  COUNT    SHARE
          1      1  100.0 %  ████████████████████████████████████████████
          2
          3
          4
          5
          6
          7
          8
          9
         10
        10+

    Availability  100.00 % of 1 440 checks
    ");
    let alone = FlowMetric::ALL.map(|metric| days([9000]).page(&[metric], Form::Chart));
    let figures: Vec<_> = alone.iter().map(|page| page.lines().nth(5).unwrap()).collect();
    insta::assert_snapshot!(figures.join("\n"), @r"
    Requests      9 000
    Errors        32
    Error rate    0.36 %
    Latency       p50 ≤ 1 s, p95 ≤ 3 s, p99 ≤ 5 s of 8 838 requests
    Availability  100.00 % of 1 440 checks
    ");
}

#[test]
fn an_answer_without_data_is_a_sentence() {
    let mut none = days([]);
    insta::assert_snapshot!(none.page(&FlowMetric::ALL, Form::Chart), @r"
    signup (Sign up), by day
    fresh through 2026-08-24T22:00:00Z

    No requests and no checks in this period.
    ");
    assert_eq!(
        none.page(&FlowMetric::ALL, Form::Table),
        none.page(&FlowMetric::ALL, Form::Chart),
        "a table without data is the same sentence"
    );
    none.flow.endpoint_url.clear();
    let alone = FlowMetric::ALL.map(|metric| none.page(&[metric], Form::Chart));
    let said: Vec<_> = alone.iter().map(|page| page.split_once("\n\n").unwrap().1).collect();
    insta::assert_snapshot!(said.concat(), @r"
    No requests in this period.
    No failed requests in this period.
    No requests in this period.
    No requests with a known latency in this period.
    No checks in this period.
    Checks need an --endpoint-url and a --data-api-version of 3.0 or later.
    ");
}

#[test]
fn metrics_without_data_are_shown_as_none() {
    let some = days([500]);
    let mut answers = some.answers(&FlowMetric::ALL);
    for (metric, answer) in &mut answers {
        match (&*metric, answer.metric.as_mut()) {
            (FlowMetric::Requests, _) | (_, None) => {}
            (FlowMetric::ErrorRate, Some(found)) => found.data_points[0].data[0].value = Some(0.0),
            (_, Some(found)) => found.data_points.clear(),
        }
    }
    // Only the id of a deleted flow is known.
    let flow = Flow { id: "gone".into(), ..Flow::default() };
    let report = Report { flow: &flow, granularity: Granularity::Lifetime, answers: &answers };
    insta::assert_snapshot!(page(&report, Form::Chart, 80), @r"
    gone, in total
    since 2026-08-25
    fresh through 2026-08-25T22:00:00Z

    Requests      500

    Errors        none

    Error rate    0 %

    Latency       no requests with a known latency

    Availability  no checks
    ");
    insta::assert_snapshot!(page(&report, Form::Table, 80), @r"
    gone, in total
    since 2026-08-25
    fresh through 2026-08-25T22:00:00Z

    TIME        REQUESTS  ERRORS  ERROR RATE  P50  P95  CHECKS  AVAILABLE
    2026-08-25       500       0      0.00 %
    ");
}

#[test]
fn a_single_metric_is_shown_in_detail() {
    insta::assert_snapshot!(quarter().page(&[FlowMetric::Errors], Form::Chart), @r"
    ENDPOINT_REQUEST_ERROR of signup (Sign up), by day
    2026-08-25 to 2026-11-22 in America/Los_Angeles
    fresh through 2026-11-22T23:00:00Z
    the last day is not over yet

    Errors        4 856, up to 696 on 2026-11-10
    ERROR                        COUNT   SHARE
    timeout_error                3 827  78.8 %  ██████████████████████████████
    unexpected_http_status_code  1 013  20.9 %  ████████
    cannot_be_served                16   0.3 %  ▏

    ERROR                        MAX  AT
    timeout_error                681  2026-11-10  ▁▁▁▁▁▆▁▁▁▁▁▁▁▁▁▅▁▁▁▁▁▁▁▁▁█▁▁▁▁
    unexpected_http_status_code   15  2026-11-10  ▅▅▅▅▅▆▆▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇▇▇█████
    cannot_be_served               2  2026-08-28   █  █   █   █  █   █   █  █
                                                                      2026-10-26
    Each line has its own scale, up to its MAX.
    Each column shows the highest of 3 days.
    ");
    insta::assert_snapshot!(quarter().page(&[FlowMetric::Availability], Form::Chart), @r"
    ENDPOINT_AVAILABILITY of signup (Sign up), by day
    2026-08-25 to 2026-11-22 in America/Los_Angeles
    fresh through 2026-11-22T23:00:00Z
    the last day is not over yet

    Availability  96.34 % of 129 600 checks, down to 0.00 % on 2026-09-12
             ████████▄▁█████████████▄▁█████████████▄▁█████
                2026-08-31    2026-09-28    2026-10-26
             █ up   ▄ some checks failed   ▁ down
    Each cell shows the worst of 2 days.

    TIME        SUCCEEDED  FAILED  AVAILABLE
    2026-09-11      1 300     140    90.28 %
    2026-09-12          0   1 440     0.00 %
    2026-10-11      1 300     140    90.28 %
    2026-10-12          0   1 440     0.00 %
    2026-11-10      1 300     140    90.28 %
    2026-11-11          0   1 440     0.00 %
    ");
    insta::assert_snapshot!(days([100, 0, 30_000]).page(&[FlowMetric::Latency], Form::Chart), @r"
    ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL of signup (Sign up), by day
    2026-08-25 to 2026-08-27 in America/Los_Angeles
    fresh through 2026-08-27T22:00:00Z
    the last day is not over yet

    Latency       p50 ≤ 1 s, p95 ≤ 3 s, p99 ≤ 5 s of 29 558 requests
    SECONDS   COUNT   SHARE
          1  24 381  82.5 %  ████████████████████████████████████████████
          2   3 612  12.2 %  ██████▌
          3     903   3.1 %  █▋
          4
          5     602   2.0 %  █▏
          6
          7
          8
          9
         10
        10+      60   0.2 %  ▏

    p95 by day
    TIME          P95
    2026-08-25  ≤ 3 s  ████████████████████████████████████████████████████████████
    2026-08-26
    2026-08-27  ≤ 3 s  ████████████████████████████████████████████████████████████
    ");
    let requests = quarter().page(&[FlowMetric::Requests], Form::Chart);
    assert!(requests.ends_with("\nEach column shows the highest of 2 days.\n"), "{requests}");
}

#[test]
fn a_table_of_one_metric_has_a_column_for_each_key() {
    let tables = FlowMetric::ALL.map(|metric| {
        let page = days([1000, 0, 30_000]).page(&[metric], Form::Table);
        page.split_once("\n\n").unwrap().1.to_owned()
    });
    insta::assert_snapshot!(tables.join("\n"), @r"
    TIME        REQUESTS
    2026-08-25      1000
    2026-08-27     30000

    TIME        TIMEOUT  HTTP STATUS  NOT SERVED  NO RESPONSE
    2026-08-25        2            1           0            0
    2026-08-27       75           33           0            0

    TIME        ERROR RATE
    2026-08-25      0.30 %
    2026-08-27      0.36 %

    TIME            1     2    3  4    5  6  7  8  9  10  10+    P50    P95
    2026-08-25    810   120   30  0   20  0  0  0  0   0    2  ≤ 1 s  ≤ 3 s
    2026-08-27  24300  3600  900  0  600  0  0  0  0   0   60  ≤ 1 s  ≤ 3 s

    TIME        SUCCEEDED  FAILED  AVAILABLE
    2026-08-25       1440       0   100.00 %
    2026-08-27       1440       0   100.00 %
    ");
}

#[test]
fn hours_show_their_utc_offset() {
    let some = quarter();
    let mut answers = some.answers(&[FlowMetric::Requests]);
    let points = &mut answers[0].1.metric.as_mut().unwrap().data_points;
    points.truncate(3);
    // The clocks are set back, so the hour after the second one occurs twice.
    let start: Timestamp = "2026-11-01T07:00:00Z".parse().unwrap();
    for (point, hour) in points.iter_mut().zip([0, 1, 3]) {
        point.timestamp = Some(moment::to_wire(start + jiff::SignedDuration::from_hours(hour)));
    }
    let report = Report { flow: &some.flow, granularity: Granularity::Hour, answers: &answers };
    insta::assert_snapshot!(page(&report, Form::Chart, 80), @r"
    ENDPOINT_REQUEST_COUNT of signup (Sign up), by hour
    2026-11-01T00:00:00-07:00 to 2026-11-01T02:00:00-08:00 in America/Los_Angeles, where the clocks change
    fresh through 2026-11-22T23:00:00Z

    Requests      27 180, up to 9 120 at 2026-11-01T02:00:00-08:00
    TIME                       REQUESTS
    2026-11-01T00:00:00-07:00     9 000  ██████████████████████████████████████████▍
    2026-11-01T01:00:00-07:00     9 060  ██████████████████████████████████████████▊
    2026-11-01T01:00:00-08:00
    2026-11-01T02:00:00-08:00     9 120  ███████████████████████████████████████████
    ");
}

proptest! {
    #[test]
    fn every_page_fits_its_width(
        counts in prop::collection::vec(prop_oneof![Just(0), 1_u32..1000, any::<u32>()], 0..91),
        alone in prop::option::of(0_usize..5),
    ) {
        let metrics = alone.map_or(FlowMetric::ALL.to_vec(), |at| vec![FlowMetric::ALL[at]]);
        let shown = days(counts).page(&metrics, Form::Chart);
        for line in shown.lines() {
            prop_assert!(width(line) <= 80, "{shown}");
            prop_assert_eq!(line, line.trim_end());
        }
        prop_assert!(!shown.contains("\n\n\n") && !shown.contains("NaN"), "{shown}");
    }
}
