//! Asset metrics: emitted from arguments and files, and read back.

mod files;
mod help;
mod pages;

use flowmeter_fake::{Assets, Contents, Fake, Seen};
use flowmeter_proto::v1::{self as api, asset_metric::ValueType};
use prost_types::{Value, value::Kind};

use crate::{failing_once, flowmeter, printed};

const CRM: &str = "urn:xdg:database:crm";
const ID: &str = "01a2020a-88ae-72aa-8b67-c6e73fa3b004";

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: i64 = 1_795_305_600;

fn time(minutes: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: MIDNIGHT + minutes * 60, nanos: 0 }
}

fn metric(name: &str, kind: Kind, value_type: ValueType) -> api::AssetMetric {
    let value = Some(Value { kind: Some(kind) });
    api::AssetMetric { name: name.into(), value, value_type: value_type.into() }
}

fn number(name: &str, value: f64) -> api::AssetMetric {
    metric(name, Kind::NumberValue(value), ValueType::Number)
}

fn text(name: &str, value: &str) -> api::AssetMetric {
    metric(name, Kind::StringValue(value.into()), ValueType::String)
}

fn document(minutes: i64, metrics: Vec<api::AssetMetric>) -> api::AssetDocument {
    api::AssetDocument { timestamp: Some(time(minutes)), metrics, ..api::AssetDocument::default() }
}

fn known(urns: &[&str]) -> Vec<api::Asset> {
    let asset = |urn: &&str| api::Asset { urn: (*urn).into(), create_time: Some(time(0)) };
    urns.iter().map(asset).collect()
}

/// Services that store these documents of one asset.
async fn with(documents: Vec<api::AssetDocument>) -> Fake {
    let assets = Assets { documents, known: known(&[CRM]), ..Assets::default() };
    Fake::start_strict(Contents { assets, ..Contents::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_emitted_once_through_failures() {
    let fake = failing_once().await;
    let arguments = ["asset", "emit", CRM, "qualityScore=0.93", "isActive=true", "owner=ada", "badge=007"];
    let more = ["total=12345678901234567.89", "release=1.10", "--type", "release=string", "--request-id", ID];
    let ended = flowmeter(&fake, &[&arguments[..], &more].concat()).await;
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (0, "trying again: UNAVAILABLE: the broker is unavailable\n")
    );
    insta::assert_snapshot!(ended.out, @r"
    asset    urn:xdg:database:crm
    time     2026-11-22T10:00:00Z
    request  01a2020a-88ae-72aa-8b67-c6e73fa3b004

    NAME          VALUE                 TYPE
    qualityScore  0.93                  number
    isActive      true                  boolean
    owner         ada                   string
    badge         007                   string
    total         12345678901234567.89  number
    release       1.10                  string
    ");
    let later = ["asset", "emit", CRM, "rowCount=1200", "--timestamp", "2026-11-22T09:30:00Z", "-o", "json"];
    let json: serde_json::Value = serde_json::from_str(&printed(&fake, &later).await).unwrap();
    let expected = serde_json::json!([{"name": "rowCount", "value": 1200, "valueType": "NUMBER"}]);
    assert_eq!((&json["metrics"], &json["timestamp"]), (&expected, &"2026-11-22T09:30:00Z".into()));

    let [first, second, third] = &fake.seen_now()[..] else { panic!("{:?}", fake.seen_now()) };
    let sent = |seen: &Seen| (seen.request_id.clone(), seen.documents.clone());
    assert_eq!(sent(first), sent(second), "a retry is the same request");
    let untyped = |name: &str, kind| metric(name, kind, ValueType::Unspecified);
    let expected = api::AssetDocument {
        asset_urn: CRM.into(),
        timestamp: None,
        metrics: vec![
            untyped("qualityScore", Kind::NumberValue(0.93)),
            untyped("isActive", Kind::BoolValue(true)),
            untyped("owner", Kind::StringValue("ada".into())),
            untyped("badge", Kind::StringValue("007".into())),
            metric("total", Kind::StringValue("12345678901234567.89".into()), ValueType::Number),
            text("release", "1.10"),
        ],
    };
    assert_eq!(sent(first), (ID.to_owned(), vec![expected]));
    assert_eq!((third.documents[0].timestamp, third.request_id.len()), (Some(time(570)), 36));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_single_form_sends_one_metric() {
    let fake = Fake::start_strict(Contents::default()).await;
    let single = ["asset", "emit", CRM, "dailyCalls=50", "--single", "--request-id", ID];
    insta::assert_snapshot!(printed(&fake, &single).await, @r"
    asset    urn:xdg:database:crm
    time     2026-11-22T10:00:00Z
    request  01a2020a-88ae-72aa-8b67-c6e73fa3b004

    NAME        VALUE  TYPE
    dailyCalls  50     number
    ");
    let two = flowmeter(&fake, &["asset", "emit", CRM, "a=1", "b=2", "--single"]).await;
    assert_eq!((two.code, two.err.as_str()), (1, "error: --single: expected one metric, found 2\n"));
    let typed = flowmeter(&fake, &["asset", "emit", CRM, "a=1", "--single", "--type", "a=string"]).await;
    assert_eq!(typed.code, 2);
    let [sent] = &fake.seen_now()[..] else { panic!("{:?}", fake.seen_now()) };
    assert!(sent.documents[0].metrics.is_empty());
    let single = sent.single.as_ref().unwrap();
    let fifty = Some(Value { kind: Some(Kind::StringValue("50".into())) });
    assert_eq!((single.name.as_str(), &single.value), ("dailyCalls", &fifty));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_arguments_are_refused() {
    let fake = Fake::start_strict(Contents::default()).await;
    for (arguments, code, said) in [
        (&["qualityScore"][..], 2, "expected a name and a value, such as qualityScore=0.93"),
        (&[], 2, "<NAME=VALUE>..."),
        (&["a=1", "--type", "a=int"], 2, "expected a name and string, number or boolean"),
        (&["a=1", "--file", "-"], 2, "cannot be used with"),
        (&["a=1", "--type", "b=string"], 1, "error: --type b: expected an argument b=VALUE\n"),
        (&["a=yes", "--type", "a=boolean"], 1, "error: a: expected true or false, found \"yes\"\n"),
        (&["a=1e400"], 1, "of that size; use --type a=string to send it as a string\n"),
    ] {
        let ended = flowmeter(&fake, &[&["asset", "emit", CRM], arguments].concat()).await;
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{arguments:?}: {}", ended.err);
    }
    assert!(fake.seen_now().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_an_asset_is_listed() {
    let exact = metric("total", Kind::StringValue("12345678901234567.89".into()), ValueType::Number);
    let active = metric("isActive", Kind::BoolValue(true), ValueType::Boolean);
    let fake = with(vec![
        document(0, vec![number("qualityScore", 0.93), active, text("note\u{7}", &"long ".repeat(20))]),
        document(60, vec![number("qualityScore", 1.0)]),
        document(90, vec![exact]),
    ])
    .await;
    let shown = printed(&fake, &["asset", "show", CRM]).await;
    insta::assert_snapshot!(shown, @r"
    urn:xdg:database:crm, 3 times
    fresh through 2026-11-22T10:00:00Z

    TIME                  NAME          VALUE                                                         TYPE
    2026-11-22T00:00:00Z  qualityScore  0.93                                                          number
                          isActive      true                                                          boolean
                          note\u{7}     long long long long long long long long long long long long…  string
    2026-11-22T01:00:00Z  qualityScore  1                                                             number
    2026-11-22T01:30:00Z  total         12345678901234567.89                                          number
    ");
    let limited = flowmeter(&fake, &["asset", "show", CRM, "--limit", "2"]).await;
    assert_eq!(limited.err, "There is more: use --all, a --limit above 2, or a later --from\n");
    assert!(limited.out.starts_with("urn:xdg:database:crm, the first 2 times\n"), "{}", limited.out);
    let json = printed(&fake, &["asset", "show", CRM, "--all", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["documents"].as_array().unwrap().len(), 3);
    assert_eq!(json["documents"][1]["metrics"][0]["value"], 1);
    assert_eq!(json["documents"][2]["metrics"][0]["value"], "12345678901234567.89");

    let range = ["--from", "2026-11-22", "--to", "2026-11-22T01:00:00Z", "--after", "r"];
    let names = ["--name", "a", "--name", "b"];
    printed(&fake, &[&["asset", "show", CRM][..], &range, &names].concat()).await;
    let contents = fake.contents();
    assert_eq!(contents.assets.page_sizes, [100, 98, 2, 1000, 1000, 100, 98]);
    let asked = contents.assets.document_requests.last().unwrap();
    assert_eq!((asked.from, asked.to, asked.after_request_id.as_str()), (Some(time(0)), Some(time(60)), "r"));
    assert_eq!(asked.names, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numeric_metric_is_drawn() {
    let scores = [(0, 0.5), (7, 0.93), (60, 0.905), (75, 0.25)];
    let fake = with(scores.map(|(at, score)| document(at, vec![number("qualityScore", score)])).into()).await;
    let arguments = ["asset", "show", CRM, "--name", "qualityScore"];
    let drawn = printed(&fake, &[&arguments[..], &["-o", "chart"]].concat()).await;
    insta::assert_snapshot!(drawn, @r"
    urn:xdg:database:crm, 4 times
    fresh through 2026-11-22T10:00:00Z

    TIME                  qualityScore
    2026-11-22T00:00:00Z           0.5  ███████████████████████▋
    2026-11-22T00:07:00Z          0.93  ████████████████████████████████████████████
    2026-11-22T01:00:00Z         0.905  ██████████████████████████████████████████▉
    2026-11-22T01:15:00Z          0.25  ███████████▉
    ");
    let listed = printed(&fake, &arguments).await;
    assert!(listed.contains("qualityScore  0.5    number"), "{listed}");
    let all = printed(&fake, &["asset", "show", CRM, "-o", "chart"]).await;
    assert_eq!(all, listed, "only a metric that is selected by its name is drawn");

    let wave =
        (0..60).map(|at| document(i64::from(at) * 7, vec![number("qualityScore", f64::from(at % 20))]));
    let fake = with(wave.collect()).await;
    let drawn = printed(&fake, &[&arguments[..], &["-o", "chart"]].concat()).await;
    insta::assert_snapshot!(drawn, @r"
    urn:xdg:database:crm, 60 times
    fresh through 2026-11-22T10:00:00Z

    qualityScore, highest value per 15 minutes
    20 ┤                  ▃▃                ▃▃                  ▃▃
       │                ▆▆██              ▂▂██                ▆▆██
       │              ▅▅████              ████              ▅▅████
    15 ┤              ██████            ██████            ▃▃██████
       │            ▆▆██████          ▆▆██████          ▂▂████████
       │          ▅▅████████        ▅▅████████          ██████████
    10 ┤        ▃▃██████████        ██████████        ████████████
       │      ▂▂████████████      ▆▆██████████      ▆▆████████████
       │      ██████████████    ▅▅████████████    ▅▅██████████████
     5 ┤    ████████████████  ▃▃██████████████    ████████████████
       │  ▆▆████████████████▂▂████████████████  ▆▆████████████████
       │▅▅████████████████████████████████████▅▅██████████████████
     0 └┬───────────────┬───────────────┬───────────────┬─────────
        2026-11-22      02:00           04:00           06:00
    60 values; --output table lists them.
    ");
    let first = flowmeter(&fake, &[&arguments[..], &["-o", "chart", "--limit", "50"]].concat()).await;
    assert!(first.out.starts_with("urn:xdg:database:crm, the first 50 times\n"), "{}", first.out);
    assert!(first.out.ends_with("\nThe first 50 values; --output table lists them.\n"), "{}", first.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_large_and_small_values_keep_a_table_readable() {
    let extremes = [("large", 1e300), ("small", 5e-324), ("usual", 0.1)];
    let extremes = extremes.map(|(name, value)| number(name, value));
    let fake = with(vec![document(0, extremes.into())]).await;
    let shown = printed(&fake, &["asset", "show", CRM]).await;
    insta::assert_snapshot!(shown.split_once("\n\n").unwrap().1, @r"
    TIME                  NAME   VALUE   TYPE
    2026-11-22T00:00:00Z  large  1e300   number
                          small  5e-324  number
                          usual  0.1     number
    ");
    let json = printed(&fake, &["asset", "show", CRM, "-o", "json"]).await;
    assert!(json.contains("1e+300") && json.contains("5e-324"), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_metrics_or_assets_is_a_sentence() {
    let fake = with(Vec::new()).await;
    let none = printed(&fake, &["asset", "show", CRM]).await;
    assert_eq!(none, format!("{CRM}, no metrics in this time range\nfresh through 2026-11-22T10:00:00Z\n"));
    let unnamed = printed(&fake, &["asset", "latest", CRM, "--name", "x"]).await;
    assert!(unnamed.starts_with(&format!("{CRM}, no matching metrics\n")), "{unnamed}");
    let unknown = flowmeter(&fake, &["asset", "latest", "urn:xdg:database:cmr"]).await;
    assert_eq!(unknown.code, 1);
    insta::assert_snapshot!(unknown.err, @r#"
    NOT_FOUND: there is no asset "urn:xdg:database:cmr"
      hint: did you mean urn:xdg:database:crm? `flowmeter asset list` lists them all
    "#);
    let prefix = printed(&fake, &["asset", "list", "urn:other"]).await;
    assert_eq!(prefix, "No assets have a URN with this prefix.\n");
    let fake = Fake::start_strict(Contents::default()).await;
    let nothing = printed(&fake, &["asset", "list"]).await;
    assert_eq!(nothing, "No assets. `flowmeter asset emit URN NAME=VALUE` creates one.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn current_values_are_listed() {
    let latest = |metric: api::AssetMetric, minutes| api::LatestAssetMetric {
        name: metric.name,
        value: metric.value,
        value_type: metric.value_type,
        timestamp: Some(time(minutes)),
    };
    let assets = Assets {
        latest: vec![
            latest(metric("isActive", Kind::BoolValue(false), ValueType::Boolean), 0),
            latest(text("owner", "ada"), 60),
            latest(number("qualityScore", 0.93), 30),
        ],
        known: known(&[CRM]),
        ..Assets::default()
    };
    let fake = Fake::start_strict(Contents { assets, ..Contents::default() }).await;
    let shown = printed(&fake, &["asset", "latest", CRM]).await;
    insta::assert_snapshot!(shown, @r"
    urn:xdg:database:crm, 3 metrics
    fresh through 2026-11-22T10:00:00Z

    NAME          VALUE  TYPE     TIME
    isActive      false  boolean  2026-11-22T00:00:00Z
    owner         ada    string   2026-11-22T01:00:00Z
    qualityScore  0.93   number   2026-11-22T00:30:00Z
    ");
    let one = printed(&fake, &["asset", "latest", CRM, "--name", "owner", "-o", "json"]).await;
    insta::assert_snapshot!(one, @r#"
    {
      "metrics": [
        {
          "name": "owner",
          "value": "ada",
          "valueType": "STRING",
          "timestamp": "2026-11-22T01:00:00Z"
        }
      ],
      "freshThrough": "2026-11-22T10:00:00Z"
    }
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assets_are_listed_by_urn() {
    let known = known(&["urn:a", "urn:b", "urn:c", "urn:d", "urn:e", "url:f"]);
    let fake =
        Fake::start_strict(Contents { assets: Assets { known, ..Assets::default() }, ..Contents::default() })
            .await;
    let listed = flowmeter(&fake, &["asset", "list", "urn:", "--limit", "3"]).await;
    assert_eq!(listed.err, "There is more: use --all, a --limit above 3, or a longer prefix\n");
    insta::assert_snapshot!(listed.out, @r"
    URN    CREATED
    urn:a  2026-11-22T00:00:00Z
    urn:b  2026-11-22T00:00:00Z
    urn:c  2026-11-22T00:00:00Z
    ");
    let all = printed(&fake, &["asset", "list", "--all"]).await;
    assert_eq!(all.lines().count(), 7);
    assert_eq!(fake.contents().assets.page_sizes, [3, 1, 1000, 1000, 1000]);
    let both = flowmeter(&fake, &["asset", "list", "--all", "--limit", "3"]).await;
    assert_eq!(both.code, 2);
}
