//! Executions: reported and shown in four views, and the tenant's setting that says which types of calls are
//! kept.

mod help;

use flowmeter_fake::{Contents, Fake, Seen};
use flowmeter_proto::v1 as api;

use crate::{failing_once, flowmeter, printed};

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: i64 = 1_795_305_600;

fn time(hours: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: MIDNIGHT + hours * 3600, nanos: 0 }
}

fn series(labels: &[(&str, &str)], total: i64, points: &[(i64, i64)]) -> api::ExecutionSeries {
    let point =
        |(hours, count): &(i64, i64)| api::ExecutionPoint { timestamp: Some(time(*hours)), count: *count };
    api::ExecutionSeries {
        labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        total,
        points: points.iter().map(point).collect(),
    }
}

fn counted(series: Vec<api::ExecutionSeries>) -> Contents {
    let calls = api::QueryExecutionsResponse {
        series,
        start_time: Some(time(8)),
        end_time: Some(time(11)),
        time_zone: "UTC".into(),
        fresh_through: Some(time(11)),
        ..api::QueryExecutionsResponse::default()
    };
    Contents { execution_calls: calls, ..Contents::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_reported_once_through_failures() {
    let fake = failing_once().await;
    let id = "01a2020a-88ae-72aa-8b67-c6e73fa3b004";
    let arguments = ["executions", "report", "--integration", "VirusTotal", "--instance", "vt-prod"];
    let more = ["--command", "ip", "--timestamp", "2026-11-22T10:00:00Z", "--request-id", id];
    let metrics = ["Successful=1200", "QuotaError=3", "a=b=0"];
    let ended = flowmeter(&fake, &[&arguments[..], &more, &metrics].concat()).await;
    assert_eq!((ended.code, ended.out), (0, format!("request   {id}\naccepted  1 report, 1 203 calls\n")));
    assert_eq!(ended.err, "trying again: UNAVAILABLE: the broker is unavailable\n");
    let again = ["executions", "report", "--integration", "Slack", "AuthError=1", "-o", "json"];
    let json = printed(&fake, &again).await;
    assert!(json.contains("\"acceptedCount\": 1"), "{json}");

    let [first, second, third] = &fake.seen_now()[..] else { panic!("{:?}", fake.seen_now()) };
    let sent = |seen: &Seen| (seen.request_id.clone(), seen.executions.clone());
    assert_eq!(sent(first), sent(second), "a retry is the same request");
    let metric = |kind: &str, count| api::ExecutionMetric { r#type: kind.into(), count };
    let expected = api::ExecutionReport {
        integration: "VirusTotal".into(),
        instance: "vt-prod".into(),
        command: "ip".into(),
        timestamp: Some(time(10)),
        metrics: vec![metric("Successful", 1200), metric("QuotaError", 3), metric("a=b", 0)],
        schedule: None,
    };
    assert_eq!(first.executions, [expected]);
    assert_eq!((third.executions[0].timestamp, third.request_id.len()), (None, 36));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_opened_and_closed() {
    let fake = Fake::start_strict(Contents::default()).await;
    let id = "01a2020a-88ae-72aa-8b67-c6e73fa3b004";
    let other_id = "01a2020a-88ae-72aa-8b67-c6e73fa3b005";
    let report = ["executions", "report", "--integration", "VirusTotal", "--schedule", "run-17"];
    let open = ["--items-remaining", "3", "--deadline", "2026-11-22T10:00:00Z", "--request-id", id];
    insta::assert_snapshot!(printed(&fake, &[&report[..], &open].concat()).await, @r"
    request   01a2020a-88ae-72aa-8b67-c6e73fa3b004
    accepted  1 report, 0 calls
    schedule  run-17, 3 items until 2026-11-22T10:00:00Z
    ");
    let close = ["--items-remaining", "0", "Successful=1", "--request-id", other_id];
    insta::assert_snapshot!(printed(&fake, &[&report[..], &close].concat()).await, @r"
    request   01a2020a-88ae-72aa-8b67-c6e73fa3b005
    accepted  1 report, 1 call
    schedule  run-17, closed
    ");
    let negative = flowmeter(&fake, &[&report[..], &["--items-remaining", "-3"]].concat()).await;
    assert_eq!(negative.code, 2);
    assert!(negative.err.contains("-3 is not in 0.."), "{}", negative.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_reports_are_refused() {
    let fake = Fake::start_strict(Contents::default()).await;
    let ended = flowmeter(&fake, &["executions", "report", "--integration", "", "Successful=1"]).await;
    assert_eq!(ended.code, 3);
    assert!(ended.out.ends_with("accepted  0 reports, 0 calls\n"), "{}", ended.out);
    assert_eq!(ended.err, "rejected: INVALID_FIELD: integration: expected the name of an integration\n");
    let report = ["executions", "report", "--integration", "Slack"];
    for wrong in
        ["Successful", "=1", "Successful=", "Successful=-1", "Successful=1.5", "Successful=1000000000001"]
    {
        let ended = flowmeter(&fake, &[&report[..], &[wrong]].concat()).await;
        assert_eq!(ended.code, 2, "{wrong}");
        let said = "expected a type and a count from 0 to 1000000000000, such as Successful=12";
        assert!(ended.err.contains(said), "{wrong}: {}", ended.err);
    }
    let none = flowmeter(&fake, &report).await;
    assert_eq!(none.code, 2);
    insta::assert_snapshot!(none.err, @r"
        error: the following required arguments were not provided:
          <TYPE=COUNT>...

        Usage: flowmeter executions report [OPTIONS] --integration <NAME> [TYPE=COUNT]...

        For more information, try '--help'.
        ");
    assert_eq!(fake.seen_now().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_view_sends_one_query() {
    let fake = Fake::start_strict(Contents::default()).await;
    let filters = ["type != \"x\"", "{\"integration\":\"Slack\"}"];
    for arguments in [
        &["types"][..],
        &["types", "--range", "T-1D", "--filter", filters[0], "--time-zone", "Europe/Berlin", "--after", "r"],
        &["limited", "--filter", filters[0]],
        &["commands"],
        &["commands", "ip", "a \"b\"", "--filter", filters[1]],
        &["timeline", "--instance", "vt-prod"],
        &["timeline", "--instance", "", "--by", "day"],
        &["timeline", "--instance", "vt-prod", "--by", "DAY", "--range", "last(30)"],
    ] {
        printed(&fake, &[&["executions"], arguments].concat()).await;
    }
    let contents = fake.contents();
    let line = |asked: &api::QueryExecutionsRequest| {
        let group_by = asked.group_by.join(",");
        let parts = [
            ("by", group_by.as_str()),
            ("on", &asked.calendar),
            ("in", &asked.range),
            ("zone", &asked.time_zone),
            ("after", &asked.after_request_id),
            ("where", &asked.filter),
        ];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    let lines: Vec<_> = contents.execution_queries.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    by integration,type
    by integration,type, in T-1D, zone Europe/Berlin, after r, where type != "x"
    where type != "x" AND type = "OutOfQuota"
    by command,type
    by command,type, where {"integration":"Slack","command":{"$in":["ip","a \"b\""]}}
    by type, on #PT1H, in last(3), where instance = "vt-prod"
    by type, on #P1D, in last(7), where instance = ""
    by type, on #P1D, in last(30), where instance = "vt-prod"
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integrations_and_commands_are_drawn_or_listed() {
    let by = |field: &str| {
        vec![
            series(&[(field, "one"), ("type", "Successful")], 1200, &[]),
            series(&[(field, "one"), ("type", "OutOfQuota")], 300, &[]),
            series(&[(field, "two\u{7}"), ("type", "Successful")], 80, &[]),
        ]
    };
    let fake = Fake::start_strict(counted(by("integration"))).await;
    let drawn = printed(&fake, &["executions", "types", "--output", "chart"]).await;
    insta::assert_snapshot!(drawn, @r"
    1 580 calls by integration and type
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    fresh through 2026-11-22T11:00:00Z

    INTEGRATION  CALLS
    one          1 500  ████████████████████████████████████████████████░░░░░░░░░░░░
    two\u{7}        80  ███

       TYPE        CALLS   SHARE
    █  Successful  1 280  81.0 %
    ░  OutOfQuota    300  19.0 %
    ");
    let listed = printed(&fake, &["executions", "types"]).await;
    insta::assert_snapshot!(listed, @r"
    1 580 calls by integration and type
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    fresh through 2026-11-22T11:00:00Z

    INTEGRATION  Successful  OutOfQuota  CALLS
    one                1200         300   1500
    two\u{7}             80                 80
    ");
    let fake = Fake::start_strict(counted(by("command"))).await;
    let drawn = printed(&fake, &["executions", "commands", "one", "three", "-o", "chart"]).await;
    insta::assert_snapshot!(drawn, @r#"
    1 580 calls by command and type
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    where command IN ("one", "three")
    fresh through 2026-11-22T11:00:00Z

    COMMAND   TYPE        CALLS
    one       Successful  1 200  ███████████████████████████████████████████████████
              OutOfQuota    300  ████████████▊
    two\u{7}  Successful     80  ███▍
    No calls of three.
    "#);
    let json = printed(&fake, &["executions", "commands", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["series"][0]["total"], "1200");
    assert_eq!(json["series"][0]["labels"]["command"], "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_calls_are_one_number() {
    let fake = Fake::start_strict(counted(vec![series(&[], 1237, &[])])).await;
    let shown = printed(&fake, &["executions", "limited"]).await;
    insta::assert_snapshot!(shown, @r#"
    1 237 rate-limited calls
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    where type = "OutOfQuota"
    fresh through 2026-11-22T11:00:00Z
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_shows_an_instance_over_time() {
    let calls = vec![
        series(&[("type", "Successful")], 180, &[(8, 120), (9, 60)]),
        series(&[("type", "OutOfQuota")], 4, &[(9, 4)]),
    ];
    let fake = Fake::start_strict(counted(calls)).await;
    let timeline = ["executions", "timeline", "--instance", "vt-prod"];
    let drawn = printed(&fake, &[&timeline[..], &["--output", "chart"]].concat()).await;
    insta::assert_snapshot!(drawn, @r#"
    184 calls by hour and type
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    where instance = "vt-prod"
    fresh through 2026-11-22T11:00:00Z

    type        TOTAL  LAST  MIN  MAX
    Successful    180     0    0  120  ████▄▄▄▄▁▁▁▁
    OutOfQuota      4     0    0    4  ▁▁▁▁████▁▁▁▁
                                       08:00
    Buckets from 2026-11-22T08:00:00Z to 2026-11-22T10:00:00Z.
    Each line has its own scale, up to its MAX.
    "#);
    let listed = printed(&fake, &timeline).await;
    insta::assert_snapshot!(listed, @r#"
    184 calls by hour and type
    2026-11-22T08:00:00Z to 2026-11-22T11:00:00Z
    where instance = "vt-prod"
    fresh through 2026-11-22T11:00:00Z

    by type
    TIME                  Successful  OutOfQuota
    2026-11-22T08:00:00Z         120
    2026-11-22T09:00:00Z          60           4
    "#);
    let none = flowmeter(&fake, &["executions", "timeline"]).await;
    assert_eq!(none.code, 2);
    assert!(none.err.contains("--instance <NAME>"), "{}", none.err);
    let wrong = flowmeter(&fake, &[&timeline[..], &["--by", "hours"]].concat()).await;
    assert!(wrong.err.contains("tip: a similar value exists: 'hour'"), "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_can_keep_all_types() {
    let tenant =
        api::Tenant { name: "tenants/acme".into(), create_time: Some(time(0)), ..api::Tenant::default() };
    let fake = Fake::start_strict(Contents { tenant, ..Contents::default() }).await;
    insta::assert_snapshot!(printed(&fake, &["tenant", "get", "acme"]).await, @r"
    created           2026-11-22T00:00:00Z
    name              tenants/acme
    all metric types  no
    ");
    let update = ["tenant", "update", "acme", "--allow-all-metric-types"];
    let shown = printed(&fake, &[&update[..], &["true"]].concat()).await;
    assert_eq!(shown, "name              tenants/acme\nall metric types  yes\n");
    insta::assert_snapshot!(printed(&fake, &["tenant", "list"]).await, @r"
    NAME          CREATED  ALL METRIC TYPES
    tenants/acme           yes
    ");
    let shown = printed(&fake, &[&update[..], &["false"]].concat()).await;
    assert!(shown.ends_with("all metric types  no\n"), "{shown}");
    for wrong in [&update[..], &update[..3], &[&update[..], &["yes"]].concat()] {
        assert_eq!(flowmeter(&fake, wrong).await.code, 2, "{wrong:?}");
    }
    let paths = "allow_all_metric_types";
    assert_eq!(fake.contents().masks, [[paths], [paths]]);
}
