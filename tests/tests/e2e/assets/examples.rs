//! The examples of the Semarchy xDG API, in the JSON that a caller sends and receives.

use std::sync::LazyLock;

use flowmeter_core::ids::RequestId;
use flowmeter_core::timestamp::Timestamp as Time;
use flowmeter_proto::v1::asset_metric::ValueType;
use flowmeter_proto::v1::{
    AssetDocument, EmitAssetMetricsRequest, EmitAssetMetricsResponse, LatestAssetMetric,
    ListAssetMetricsRequest, ListAssetsRequest,
};
use flowmeter_tests::{Tenant, request_id};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{
    batch, document, emit, everything, latest, list_assets, list_latest, list_metrics, metric, of_any_age,
    typed,
};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(flowmeter_proto::FILE_DESCRIPTOR_SET).unwrap());

/// Parses a message from JSON.
fn from_json<M: Message + Default>(name: &str, json: &str) -> M {
    let descriptor = POOL.get_message_by_name(&format!("flowmeter.v1.{name}")).unwrap();
    let mut input = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(descriptor, &mut input).unwrap();
    input.end().unwrap();
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

/// Emits metrics of the asset `crm`, given as JSON, under a new request id. The asset is part of the path in
/// the reference, and a field here.
async fn emit_json(tenant: &Tenant, json: &str) -> EmitAssetMetricsResponse {
    let request: EmitAssetMetricsRequest = from_json("EmitAssetMetricsRequest", json);
    let request =
        EmitAssetMetricsRequest { asset_urn: "urn:crm".into(), request_id: request_id(), ..request };
    let answer = emit(tenant, request.clone()).await.unwrap();
    assert_eq!(answer.request_id, request.request_id);
    answer
}

/// Parses the expected answer to a request from JSON.
fn answer_json(request_id: &str, json: &str) -> EmitAssetMetricsResponse {
    let answer = from_json("EmitAssetMetricsResponse", json);
    EmitAssetMetricsResponse { request_id: request_id.into(), ..answer }
}

fn documents_json(json: &[&str]) -> Vec<AssetDocument> {
    json.iter().map(|json| from_json("AssetDocument", json)).collect()
}

/// The time of a request id.
fn time_of(request_id: &str) -> prost_types::Timestamp {
    let (seconds, nanos) = RequestId::parse(request_id).unwrap().timestamp().seconds_nanos();
    prost_types::Timestamp { seconds, nanos }
}

const EXAMPLE_4: &str = r#"{
    "metrics" : [
        {
            "name" : "thirdPartyAgentLastExecutionDate",
            "value" : "2024-03-02T17:44:00.000Z"
        },{
            "name" : "thirdPartyAgentNbProcessedRecords",
            "value" : 100,
            "valueType": "NUMBER"
        },{
            "name" : "isActiveInLast24Hours",
            "value" : true,
            "valueType": "BOOLEAN"
        }
    ]
}"#;

const EXAMPLE_5: &str = r#"{
    "metrics": [
        {
            "name" : "thirdPartyAgentLastExecutionDate",
            "value" : "2024-03-02T17:44:00.000Z",
            "valueType": "STRING"
        },{
            "name" : "thirdPartyAgentNbProcessedRecords",
            "value" : 100,
            "valueType": "NUMBER"
        },{
            "name" : "isActiveInLast24Hours",
            "value" : true,
            "valueType": "BOOLEAN"
        }
    ],
    "timestamp": "2024-03-04T17:44:00.000Z"
}"#;

const EXAMPLE_6: &str = r#"{
    "timestamp" : "2024-03-04T17:44:00.000Z",
    "name": "apiForConsumersNbApiDailyConsumptionCalls",
    "value" : "50"
}"#;

/// The reference has no type. Our answer also contains the type of the value.
const EXAMPLE_7: &str = r#"{
    "timestamp" : "2024-03-04T17:44:00.000Z",
    "name": "apiForConsumersNbApiDailyConsumptionCalls",
    "value" : "50",
    "valueType": "NUMBER"
}"#;

const EXAMPLE_8: &str = r#"{
    "from": "2024-03-04T17:43:00.000Z",
    "to": "2024-03-04T17:45:00.000Z"
}"#;

const EXAMPLE_9: &str = r#"{
    "metrics": [
        {
            "name" : "thirdPartyAgentLastExecutionDate",
            "value" : "2024-03-02T17:44:00.000Z",
            "valueType" : "STRING"
        },{
            "name" : "thirdPartyAgentNbProcessedRecords",
            "value" : 100,
            "valueType" : "NUMBER"
        },{
            "name" : "apiForConsumersNbApiDailyConsumptionCalls",
            "value" : 50,
            "valueType" : "NUMBER"
        }
    ],
    "timestamp": "2024-03-04T17:44:00.000Z"
}"#;

/// The template of example 1, filled in with the full data structure from the text.
const EXAMPLE_1: &str = r#"{
    "metrics": [
        {
            "name": "isActiveInLast24Hours",
            "value": true,
            "valueType": "BOOLEAN"
        },
        {
            "name": "data",
            "value": 18
        }
    ],
    "timestamp": "2024-03-02T17:44:00.000Z"
}"#;

/// The template of example 2, filled in with a name and a badge code as in its notes.
const EXAMPLE_2: &str = r#"{
    "timestamp" : "2024-03-02T17:44:00.000Z",
    "name": "QualityScore",
    "value" : "gold"
}"#;

/// The template of example 3, filled in with the time of these two.
const EXAMPLE_3: &str = r#"{
    "from": "2024-03-02T17:44:00.000Z",
    "to": "2024-03-02T17:44:00.000Z"
}"#;

/// Examples 1 to 3.
#[tokio::test]
async fn templates_of_the_reference_work() {
    let installation = of_any_age("asset-templates").await;
    let tenant = installation.tenant("acme").await;
    let array = emit_json(&tenant, EXAMPLE_1).await;
    let guessed = EXAMPLE_1.replacen(r#""value": 18"#, r#""value": 18, "valueType": "NUMBER""#, 1);
    assert_eq!(array, answer_json(&array.request_id, &guessed));
    let single = emit_json(&tenant, EXAMPLE_2).await;
    let guessed = EXAMPLE_2.replacen(r#""gold""#, r#""gold", "valueType": "STRING""#, 1);
    assert_eq!(single, answer_json(&single.request_id, &guessed));
    for answer in [&array, &single] {
        tenant.settled(&answer.request_id).await;
    }
    let expected = r#"{
        "metrics": [
            { "name": "isActiveInLast24Hours", "value": true, "valueType": "BOOLEAN" },
            { "name": "data", "value": 18, "valueType": "NUMBER" },
            { "name": "QualityScore", "value": "gold", "valueType": "STRING" }
        ],
        "timestamp": "2024-03-02T17:44:00.000Z"
    }"#;
    let question: ListAssetMetricsRequest = from_json("ListAssetMetricsRequest", EXAMPLE_3);
    let question = ListAssetMetricsRequest { asset_urn: "urn:crm".into(), ..question };
    assert_eq!(list_metrics(&tenant, question).await.unwrap(), documents_json(&[expected]));
}

/// Examples 4 to 9.
#[tokio::test]
async fn examples_of_the_reference_work() {
    let installation = of_any_age("asset-examples").await;
    let tenant = installation.tenant("acme").await;

    // Without a timestamp, the document has the time of the request.
    let answer = emit_json(&tenant, EXAMPLE_4).await;
    let now = answer_json(&answer.request_id, EXAMPLE_5);
    let now = EmitAssetMetricsResponse { timestamp: Some(time_of(&answer.request_id)), ..now };
    assert_eq!(answer, now);
    let (first, sent_at) = (answer.request_id, answer.timestamp);

    let then = EXAMPLE_4.replacen('{', r#"{ "timestamp": "2024-03-04T17:44:00.000Z","#, 1);
    let answer = emit_json(&tenant, &then).await;
    assert_eq!(answer, answer_json(&answer.request_id, EXAMPLE_5));
    let second = answer.request_id;

    let answer = emit_json(&tenant, EXAMPLE_6).await;
    assert_eq!(answer, answer_json(&answer.request_id, EXAMPLE_7));
    for id in [&first, &second, &answer.request_id] {
        assert_eq!(tenant.settled(id).await.state, 2, "the request is applied");
    }

    let question: ListAssetMetricsRequest = from_json("ListAssetMetricsRequest", EXAMPLE_8);
    let question = ListAssetMetricsRequest { asset_urn: "urn:crm".into(), ..question };
    // The answer of the reference leaves out one metric of its own example.
    let whole = EXAMPLE_9.replacen(
        r#"{
            "name" : "apiForConsumers"#,
        r#"{ "name": "isActiveInLast24Hours", "value": true, "valueType": "BOOLEAN" },
           { "name" : "apiForConsumers"#,
        1,
    );
    assert_eq!(list_metrics(&tenant, question.clone()).await.unwrap(), documents_json(&[&whole]));
    let names = [
        "apiForConsumersNbApiDailyConsumptionCalls",
        "thirdPartyAgentNbProcessedRecords",
        "thirdPartyAgentLastExecutionDate",
    ];
    let names = names.map(str::to_owned).to_vec();
    let named = ListAssetMetricsRequest { names, ..question.clone() };
    assert_eq!(list_metrics(&tenant, named).await.unwrap(), documents_json(&[EXAMPLE_9]));

    // By default from the epoch up to now.
    let all = list_metrics(&tenant, everything("urn:crm")).await.unwrap();
    let times: Vec<_> = all.iter().map(|document| document.timestamp).collect();
    let at = documents_json(&[EXAMPLE_9])[0].timestamp;
    assert_eq!(times, [at, sent_at]);
    // Both ends of the range are inclusive.
    let instant = ListAssetMetricsRequest { from: at, to: at, ..question };
    assert_eq!(list_metrics(&tenant, instant).await.unwrap(), documents_json(&[&whole]));

    let current = list_latest(&tenant, latest("urn:crm")).await.unwrap();
    let current: Vec<_> = current.iter().map(|metric| (metric.name.as_str(), metric.timestamp)).collect();
    let expected = [
        ("apiForConsumersNbApiDailyConsumptionCalls", at),
        ("isActiveInLast24Hours", sent_at),
        ("thirdPartyAgentLastExecutionDate", sent_at),
        ("thirdPartyAgentNbProcessedRecords", sent_at),
    ];
    assert_eq!(current, expected);
    let assets = list_assets(&tenant, ListAssetsRequest::default()).await.unwrap();
    let urns: Vec<_> = assets.iter().map(|asset| asset.urn.as_str()).collect();
    assert_eq!(urns, ["urn:crm"]);
    assert!(assets[0].create_time.is_some());
}

/// In the reference, the answer to an array has nulls in place of the fields of a single value.
#[tokio::test]
async fn an_answer_of_the_reference_can_be_sent() {
    let installation = of_any_age("asset-answer").await;
    let tenant = installation.tenant("acme").await;
    let sent = EXAMPLE_5.replacen('{', r#"{ "name": null, "value": null, "valueType": null,"#, 1);
    let answer = emit_json(&tenant, &sent).await;
    assert_eq!(answer, answer_json(&answer.request_id, EXAMPLE_5));
}

/// `[A, B, C]` and then `[B, C, D]` at one time.
#[tokio::test]
async fn metrics_of_one_time_are_concatenated() {
    let installation = of_any_age("asset-concatenation").await;
    let tenant = installation.tenant("acme").await;
    let at = prost_types::Timestamp { seconds: 1_709_574_240, nanos: 0 };
    let send = async |time, names: [&str; 3], value: &str| {
        let request = EmitAssetMetricsRequest {
            asset_urn: "urn:crm".into(),
            timestamp: Some(time),
            metrics: names.map(|name| metric(name, value)).to_vec(),
            ..EmitAssetMetricsRequest::default()
        };
        let answer = emit(&tenant, request).await.unwrap();
        tenant.settled(&answer.request_id).await;
    };
    send(at, ["A", "B", "C"], "old").await;
    send(at, ["B", "C", "D"], "new").await;
    let merged = [("A", "old"), ("B", "new"), ("C", "new"), ("D", "new")]
        .map(|(name, value)| (name, value.to_owned()));
    let settled = merged.map(|(name, value)| typed(name, value, ValueType::String)).to_vec();
    let found = list_metrics(&tenant, everything("urn:crm")).await.unwrap();
    assert_eq!(found, [document("", Some(at), settled.clone())]);

    // Another time is another document.
    let later = prost_types::Timestamp { nanos: 1_000, ..at };
    send(later, ["D", "A", "E"], "later").await;
    let other = ["D", "A", "E"].map(|name| typed(name, "later", ValueType::String)).to_vec();
    let found = list_metrics(&tenant, everything("urn:crm")).await.unwrap();
    assert_eq!(found, [document("", Some(at), settled), document("", Some(later), other)]);

    let text = |name: &str, value: &str, timestamp| LatestAssetMetric {
        name: name.into(),
        value: Some(value.into()),
        value_type: ValueType::String.into(),
        timestamp: Some(timestamp),
    };
    let expected = [
        text("A", "later", later),
        text("B", "new", at),
        text("C", "new", at),
        text("D", "later", later),
        text("E", "later", later),
    ];
    assert_eq!(list_latest(&tenant, latest("urn:crm")).await.unwrap(), expected);
}

/// An older request that arrives after a newer one still adds the metrics that the newer one does not contain.
#[tokio::test]
async fn the_newest_request_wins_whichever_comes_first() {
    let installation = of_any_age("asset-newest").await;
    let tenant = installation.tenant("acme").await;
    let at = Some(prost_types::Timestamp { seconds: 1_709_574_240, nanos: 0 });
    let (old, new) = (request_id(), request_id());
    let metrics_of = |names: &[&str], value: &str| names.iter().map(|name| metric(name, value)).collect();
    let send = async |id: &str, names: &[&str], value: &str| {
        let documents = vec![document("urn:crm", at, metrics_of(names, value))];
        let answer = batch(&tenant, id, documents).await.unwrap();
        assert_eq!((usize::try_from(answer.accepted_count), answer.rejections.len()), (Ok(names.len()), 0));
        tenant.settled(id).await;
    };
    send(&new, &["C", "A", "D"], "new").await;
    send(&old, &["A", "B", "C"], "old").await;
    // A retry changes nothing.
    send(&new, &["C", "A", "D"], "new").await;
    let merged = [("A", "new"), ("B", "old"), ("C", "new"), ("D", "new")];
    let merged = merged.map(|(name, value)| typed(name, value, ValueType::String)).to_vec();
    let found = list_metrics(&tenant, everything("urn:crm")).await.unwrap();
    assert_eq!(found, [document("", at, merged)], "the names are in the order of the older request");
}

/// A request without an id or a timestamp gets them from the server.
#[tokio::test]
async fn the_server_fills_in_defaults() {
    let installation = of_any_age("asset-defaults").await;
    let tenant = installation.tenant("acme").await;
    let before = Time::now().micros() / 1_000 * 1_000;
    let request = EmitAssetMetricsRequest {
        asset_urn: "urn:crm".into(),
        name: "score".into(),
        value: Some(1.10.into()),
        ..EmitAssetMetricsRequest::default()
    };
    let answer = emit(&tenant, request).await.unwrap();
    let documents = vec![document("urn:crm", None, vec![metric("other", true)])];
    let batched = batch(&tenant, "", documents).await.unwrap();
    let after = Time::now().micros();
    for (id, timestamp) in [(&answer.request_id, answer.timestamp), (&batched.request_id, batched.timestamp)]
    {
        assert_eq!(timestamp, Some(time_of(id)));
        let made = RequestId::parse(id).unwrap().timestamp().micros();
        assert!((before..=after).contains(&made), "{made}");
        tenant.settled(id).await;
    }
    let found = list_latest(&tenant, latest("urn:crm")).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|it| (it.name, it.value.unwrap(), it.timestamp)).collect();
    let expected = [
        ("other".to_owned(), true.into(), batched.timestamp),
        ("score".to_owned(), 1.1.into(), answer.timestamp),
    ];
    assert_eq!(found, expected);
}
