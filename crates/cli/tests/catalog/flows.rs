//! Flows: registered, recorded and read, as text and as JSON.

mod help;

use flowmeter_fake::{Contents, Fake, Plan, Seen};
use flowmeter_proto::v1 as api;

use crate::{flowmeter, printed, unavailable};

fn flow(id: &str) -> (String, api::Flow) {
    let flow = api::Flow { id: id.into(), name: "Sign up".into(), version: 1, ..api::Flow::default() };
    (id.into(), flow)
}

/// Services with the flow `signup`, which is checked.
async fn with_signup(contents: Contents) -> Fake {
    let (id, mut flow) = flow("signup");
    flow.endpoint_url = "https://example.com/flow".into();
    flow.data_api_version = "3.0".into();
    flow.time_zone = "America/Los_Angeles".into();
    Fake::start_strict(Contents { flows: [(id, flow)].into(), ..contents }).await
}

/// A point at this time, in seconds, with these numbers.
fn point(seconds: i64, data: &[(&str, f64)]) -> api::FlowDataPoint {
    let datum = |(key, value): &(&str, f64)| api::FlowDatum { key: (*key).into(), value: Some(*value) };
    api::FlowDataPoint {
        timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        data: data.iter().map(datum).collect(),
    }
}

/// 2024-01-28 and the day after, in the time zone of Los Angeles, as in the `WhatsApp` reference.
const DAYS: [i64; 2] = [1_706_428_800, 1_706_515_200];

fn measured() -> Contents {
    let both = |one: &[(&str, f64)], other: &[(&str, f64)]| vec![point(DAYS[0], one), point(DAYS[1], other)];
    let metrics = [
        ("ENDPOINT_REQUEST_COUNT", both(&[("value", 315.0)], &[("value", 50.0)])),
        ("ENDPOINT_REQUEST_ERROR", both(&[("timeout_error", 5.0)], &[("unexpected_http_status_code", 12.0)])),
        ("ENDPOINT_REQUEST_ERROR_RATE", both(&[("value", 5.0 / 315.0)], &[("value", 0.24)])),
        (
            "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL",
            both(&[("1", 290.0), ("3", 20.0), ("10+", 5.0)], &[("1", 38.0), ("10", 12.0)]),
        ),
        ("ENDPOINT_AVAILABILITY", both(&[("succeeded", 1440.0)], &[("succeeded", 960.0), ("failed", 480.0)])),
    ];
    Contents { flow_points: metrics.into(), ..Contents::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_registered_changed_and_deleted() {
    let fake = Fake::start_strict(Contents::default()).await;
    let arguments = ["flow", "create", "Sign up", "--endpoint-url", "https://example.com/flow"];
    let more = ["--data-api-version", "3.0", "--time-zone", "Europe/Berlin", "--check-interval", "1m 30s"];
    let created = flowmeter(&fake, &[&arguments[..], &more].concat()).await;
    assert_eq!(created.code, 0, "{}", created.err);
    insta::assert_snapshot!(created.out, @r"
    id         Sign up
    endpoint   https://example.com/flow
    data API   3.0
    time zone  Europe/Berlin
    checked    every 1m 30s
    version    1
    ");
    insta::assert_snapshot!(created.err, @r"
    Record its requests: flowmeter flow record 'Sign up' --outcome succeeded --latency 800ms
    See how they went: flowmeter flow metric 'Sign up'
    ");

    let update = ["flow", "update", "Sign up", "--name", "Join", "--check-interval", "default"];
    let shown = printed(&fake, &update).await;
    assert!(shown.contains("checked    at the worker's default interval\n"), "{shown}");
    assert!(shown.contains("endpoint   https://example.com/flow\n"), "{shown}");
    assert_eq!(fake.contents().masks, [["name", "check_interval"]]);
    let ended = flowmeter(&fake, &["flow", "update", "Sign up", "--name", "x", "--version", "1"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("reason: VERSION_MISMATCH"), "{}", ended.err);
    let nothing = flowmeter(&fake, &["flow", "update", "Sign up"]).await;
    assert_eq!(nothing.code, 2);
    assert!(nothing.err.contains("--check-interval"), "{}", nothing.err);

    assert_eq!(
        printed(&fake, &["flow", "delete", "Sign up", "--version", "2"]).await,
        "Sign up is deleted\n"
    );
    assert!(fake.contents().flows.is_empty());
    let none = printed(&fake, &["flow", "list"]).await;
    assert_eq!(none, "No flows. `flowmeter flow create ID` registers one.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pages_are_shown_as_one_list() {
    let flows = ["a", "b", "c", "d", "e"].map(flow);
    let fake = Fake::start_strict(Contents { flows: flows.into(), ..Contents::default() }).await;
    let shown = printed(&fake, &["flow", "list"]).await;
    assert_eq!(shown.lines().count(), 6, "{shown}");
    let json = printed(&fake, &["flow", "list", "--output", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["flows"].as_array().unwrap().len(), 5);
    assert_eq!(json.get("nextPageToken"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_shown_with_a_summary_of_its_metrics() {
    let fake = with_signup(measured()).await;
    insta::assert_snapshot!(printed(&fake, &["flow", "show", "signup"]).await, @r"
    id         signup
    name       Sign up
    endpoint   https://example.com/flow
    data API   3.0
    time zone  America/Los_Angeles
    checked    at the worker's default interval
    version    1
    requests   365, 4.66 % failed
    available  83.33 % of 2 880 checks
    ");
    assert!(fake.contents().flow_metric_requests.iter().all(|asked| asked.granularity == "LIFETIME"));

    // The definition is shown even if its metrics cannot be read.
    let few = with_signup(Contents { too_few: Some(40), ..Contents::default() }).await;
    let shown = printed(&few, &["flow", "get", "signup"]).await;
    assert!(shown.ends_with("requests   40; metrics need 250\n"), "{shown}");
    let denied = with_signup(Contents { is_denied: true, ..measured() }).await;
    let shown = printed(&denied, &["flow", "get", "signup"]).await;
    assert!(shown.ends_with("version    1\n"), "{shown}");
    let json = printed(&denied, &["flow", "get", "signup", "--output", "json"]).await;
    assert!(json.contains("\"timeZone\": \"America/Los_Angeles\""), "{json}");
    assert_eq!(denied.contents().flow_metric_requests.len(), 3, "JSON contains only the definition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_recorded_once_through_failures() {
    let fake = with_signup(Contents::default()).await;
    fake.plan([Plan::Refuse(unavailable())]);
    let arguments =
        ["flow", "record", "signup", "--outcome", "timeout", "--latency", "1.2s", "--count", "300"];
    let id = "01a2020a-88ae-72aa-8b67-c6e73fa3b004";
    let more = ["--timestamp", "2026-11-21T09:30:00Z", "--request-id", id];
    let ended = flowmeter(&fake, &[&arguments[..], &more].concat()).await;
    assert_eq!((ended.code, ended.out), (0, format!("request   {id}\naccepted  300\n")));
    assert_eq!(ended.err, "trying again: UNAVAILABLE: the broker is unavailable\n");
    let json = printed(&fake, &["flow", "record", "signup", "--outcome", "SUCCEEDED", "-o", "json"]).await;
    assert!(json.contains("\"acceptedCount\": 1"), "{json}");

    let [first, second, third] = &fake.seen_now()[..] else { panic!("{:?}", fake.seen_now()) };
    let sent = |seen: &Seen| (seen.request_id.clone(), seen.flow_requests.clone());
    assert_eq!(sent(first), sent(second), "a retry is the same request");
    let expected = api::FlowRequest {
        flow_id: "signup".into(),
        timestamp: Some(prost_types::Timestamp { seconds: 1_795_253_400, nanos: 0 }),
        latency: Some(prost_types::Duration { seconds: 1, nanos: 200_000_000 }),
        outcome: api::FlowOutcome::TimeoutError.into(),
        count: Some(300),
    };
    assert_eq!(first.flow_requests, [expected]);
    assert_eq!(third.flow_requests[0].outcome(), api::FlowOutcome::Succeeded);
    assert_eq!((third.flow_requests[0].latency, third.flow_requests[0].count), (None, Some(1)));
    assert_eq!(third.request_id.len(), 36);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_requests_are_reported() {
    let fake = with_signup(Contents::default()).await;
    let ended = flowmeter(&fake, &["flow", "record", "sign-up", "--outcome", "succeeded"]).await;
    assert_eq!(ended.code, 3);
    assert!(ended.out.ends_with("accepted  0\n"), "{}", ended.out);
    insta::assert_snapshot!(ended.err, @r#"
    rejected: UNKNOWN_FLOW: flow_id: there is no flow "sign-up"
      hint: did you mean signup? `flowmeter flow list` lists them all
    "#);
    let too_many = ["flow", "record", "signup", "--outcome", "succeeded", "--count", "100000001"];
    let ended = flowmeter(&fake, &too_many).await;
    assert_eq!(ended.code, 3);
    assert_eq!(ended.err, "rejected: INVALID_FIELD: count: expected 1 to 100000000, found 100000001\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_in_json_looks_like_the_reference() {
    let fake = with_signup(measured()).await;
    let arguments = ["flow", "metric", "signup", "errors", "--since", "2024-01-28", "--until", "2024-01-30"];
    let json = printed(&fake, &[&arguments[..], &["--after", "r", "--output", "json"]].concat()).await;
    insta::assert_snapshot!(json, @r#"
    {
      "id": "signup",
      "metric": {
        "granularity": "DAY",
        "name": "ENDPOINT_REQUEST_ERROR",
        "data_points": [
          {
            "timestamp": "2024-01-28T08:00:00Z",
            "data": [
              {
                "key": "timeout_error",
                "value": 5
              }
            ]
          },
          {
            "timestamp": "2024-01-29T08:00:00Z",
            "data": [
              {
                "key": "unexpected_http_status_code",
                "value": 12
              }
            ]
          }
        ]
      },
      "freshThrough": "2024-01-30T10:00:00Z",
      "timeZone": "America/Los_Angeles"
    }
    "#);
    let expected = api::GetFlowMetricRequest {
        flow_id: "signup".into(),
        name: "ENDPOINT_REQUEST_ERROR".into(),
        granularity: "DAY".into(),
        since: "2024-01-28".into(),
        until: "2024-01-30".into(),
        after_request_id: "r".into(),
    };
    assert_eq!(fake.contents().flow_metric_requests, [expected]);

    // JSON of all metrics has one metric per line.
    let lines = printed(&fake, &["flow", "metric", "signup", "--output", "json"]).await;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().map(|line| line["metric"]["name"].as_str().unwrap()).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    ENDPOINT_REQUEST_COUNT
    ENDPOINT_REQUEST_ERROR
    ENDPOINT_REQUEST_ERROR_RATE
    ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL
    ENDPOINT_AVAILABILITY
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_metrics_are_shown_as_a_dashboard_or_a_table() {
    let fake = with_signup(measured()).await;
    let drawn = printed(&fake, &["flow", "metric", "signup", "--output", "chart"]).await;
    insta::assert_snapshot!(drawn, @r"
    signup (Sign up), by day
    2024-01-28 to 2024-01-29 in America/Los_Angeles
    fresh through 2024-01-30T10:00:00Z

    Requests      365, up to 315 on 2024-01-28
    TIME        REQUESTS
    2024-01-28       315  ██████████████████████████████████████████████████████████
    2024-01-29        50  █████████▎

    Errors        17, 4.66 % of the requests
    ERROR                        COUNT   SHARE
    timeout_error                    5  29.4 %  ████████████▌
    unexpected_http_status_code     12  70.6 %  ██████████████████████████████

    Error rate    4.66 %, up to 24.00 % on 2024-01-29
    TIME        ERROR RATE
    2024-01-28      1.59 %  ███▊
    2024-01-29     24.00 %  ████████████████████████████████████████████████████████

    Latency       p50 ≤ 1 s, p95 ≤ 3 s, p99 > 10 s of 365 requests
    SECONDS  COUNT   SHARE
          1    328  89.9 %  ████████████████████████████████████████████
          2
          3     20   5.5 %  ██▋
          4
          5
          6
          7
          8
          9
         10     12   3.3 %  █▋
        10+      5   1.4 %  ▋

    Availability  83.33 % of 2 880 checks, down to 66.67 % on 2024-01-29
    TIME        CHECKS  AVAILABLE
    2024-01-28   1 440   100.00 %  █ up
    2024-01-29   1 440    66.67 %  ▄ some checks failed
    ");
    let listed = printed(&fake, &["flow", "metric", "signup"]).await;
    insta::assert_snapshot!(listed, @r"
    signup (Sign up), by day
    2024-01-28 to 2024-01-29 in America/Los_Angeles
    fresh through 2024-01-30T10:00:00Z

    TIME        REQUESTS  ERRORS  ERROR RATE    P50     P95  CHECKS  AVAILABLE
    2024-01-28       315       5      1.59 %  ≤ 1 s   ≤ 3 s    1440   100.00 %
    2024-01-29        50      12     24.00 %  ≤ 1 s  ≤ 10 s    1440    66.67 %
    ");
    for name in ["rate", "ENDPOINT_REQUEST_ERROR_RATE", "endpoint_request_error_rate"] {
        let shown = printed(&fake, &["flow", "metric", "signup", name, "--granularity", "HOUR"]).await;
        assert!(shown.starts_with("ENDPOINT_REQUEST_ERROR_RATE of signup (Sign up), by hour\n"), "{shown}");
    }
    // The history of a deleted flow remains, in its time zone.
    fake.contents().flows.clear();
    let shown = printed(&fake, &["flow", "metric", "signup", "requests"]).await;
    assert!(shown.contains("of signup, by day\n2024-01-28 to 2024-01-29 in Asia/Kolkata\n"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hint_says_how_many_requests_are_missing() {
    let fake = with_signup(Contents { too_few: Some(40), ..Contents::default() }).await;
    for arguments in
        [&["flow", "metric", "signup"][..], &["flow", "metric", "signup", "latency", "-o", "json"]]
    {
        let ended = flowmeter(&fake, arguments).await;
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{arguments:?}");
        assert_eq!(
            ended.err,
            "FAILED_PRECONDITION: the flow has had 40 requests, and its metrics need 250\n  \
             reason: NOT_ENOUGH_DATA\n  have: 40\n  need: 250\n  \
             hint: its metrics can be read after 210 more requests; `flowmeter flow record` records them\n"
        );
    }
    fake.contents().too_few = Some(249);
    let ended = flowmeter(&fake, &["flow", "metric", "signup"]).await;
    assert!(ended.err.contains("can be read after 1 more request;"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misspelt_names_have_a_hint() {
    let fake = with_signup(Contents::default()).await;
    for arguments in [
        &["flow", "metric", "signp"][..],
        &["flow", "show", "signp"],
        &["flow", "delete", "signp"],
        &["flow", "update", "signp", "--name", "x"],
    ] {
        let ended = flowmeter(&fake, arguments).await;
        let said = "NOT_FOUND: there is no flow \"signp\"\n  \
            hint: did you mean signup? `flowmeter flow list` lists them all\n";
        assert_eq!((ended.code, ended.err.as_str()), (1, said), "{arguments:?}");
    }
    let metric = flowmeter(&fake, &["flow", "metric", "signup", "latensy"]).await;
    assert_eq!(metric.code, 2);
    insta::assert_snapshot!(metric.err, @r"
    error: invalid value 'latensy' for '[NAME]'
      [possible values: requests, errors, error-rate, latency, availability]

      tip: a similar value exists: 'latency'

    For more information, try '--help'.
    ");
    let outcome = flowmeter(&fake, &["flow", "record", "signup", "--outcome", "timeout_eror"]).await;
    assert_eq!(outcome.code, 2);
    insta::assert_snapshot!(outcome.err, @r"
    error: invalid value 'timeout_eror' for '--outcome <OUTCOME>'
      [possible values: succeeded, timeout_error, unexpected_http_status_code, cannot_be_served, no_http_response_error]

      tip: a similar value exists: 'timeout_error'

    For more information, try '--help'.
    ");
    let latency =
        flowmeter(&fake, &["flow", "record", "signup", "--outcome", "ok", "--latency", "slow"]).await;
    assert_eq!(latency.code, 2);
    assert!(latency.err.contains("expected a duration such as 10s, 500ms or 2m"), "{}", latency.err);
    assert!(fake.seen_now().is_empty());
}
