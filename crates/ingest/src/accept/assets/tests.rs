use super::*;
use crate::accept::BatchLimits;
use crate::accept::tests::{self, request_at};
use crate::accept::total_bytes;
use bytes::Bytes;
use flowmeter_proto::v1::{AssetDocument, AssetMetric, asset_metric::ValueType};
use prost_types::value::Kind;

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const LIMITS: Limits = Limits { batch: BatchLimits { max_items: 20, max_bytes: 1_000 }, ..tests::LIMITS };
/// The default limits of the service.
const WIDE: Limits =
    Limits { batch: BatchLimits { max_items: 10_000, max_bytes: 4 * 1024 * 1024 }, ..tests::LIMITS };

fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

fn value(kind: Kind) -> Bytes {
    prost_types::Value { kind: Some(kind) }.encode_to_vec().into()
}

fn typed(name: &str, kind: Kind, value_type: ValueType) -> AssetMetric {
    let value = Some(prost_types::Value { kind: Some(kind) });
    AssetMetric { name: name.into(), value, value_type: value_type.into() }
}

fn metric(name: &str, kind: Kind) -> AssetMetric {
    typed(name, kind, ValueType::Unspecified)
}

fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 1_500 }
}

/// The array form, sent at [`NOW`].
fn array(metrics: &[AssetMetric]) -> EmitAssetMetricsRequest {
    EmitAssetMetricsRequest {
        asset_urn: "urn:a".into(),
        metrics: metrics.iter().map(|metric| metric.encode_to_vec().into()).collect(),
        request_id: request_at(1_800_000_000),
        ..EmitAssetMetricsRequest::default()
    }
}

/// The single form.
fn single(kind: Kind) -> EmitAssetMetricsRequest {
    EmitAssetMetricsRequest { name: "a".into(), value: Some(value(kind)), ..array(&[]) }
}

fn decided(request: &EmitAssetMetricsRequest) -> Result<(Decision, Document<'_>), String> {
    decide_document(TENANT, request, &LIMITS, NOW)
        .map_err(|error| tonic::Status::from(error).message().to_owned())
}

/// The error message of a request that is rejected.
fn refused(request: &EmitAssetMetricsRequest) -> String {
    decided(request).expect_err("the request is refused")
}

fn document(urn: &str, seconds: Option<i64>, metrics: Vec<AssetMetric>) -> AssetDocument {
    AssetDocument { asset_urn: urn.into(), timestamp: seconds.map(time), metrics }
}

fn batch(documents: &[AssetDocument]) -> BatchEmitAssetMetricsRequest {
    let documents = documents.iter().map(|document| document.encode_to_vec().into()).collect();
    BatchEmitAssetMetricsRequest { documents, request_id: request_at(1_800_000_000) }
}

fn decided_batch(documents: &[AssetDocument]) -> Result<Decision, String> {
    decide_batch(TENANT, &batch(documents), &LIMITS, NOW)
        .map_err(|error| tonic::Status::from(error).message().to_owned())
}

/// The published values of an asset and time: its URN, the microseconds, and each name with its value.
type Published<'a> = (&'a str, i64, Vec<(&'a str, String)>);

fn published(decision: &Decision) -> Vec<Published<'_>> {
    let shown = |value: &queue::AssetValue| match value.value.as_ref().unwrap() {
        asset_value::Value::Text(text) => format!("text {text}"),
        asset_value::Value::Number(number) => format!("number {number}"),
        asset_value::Value::Boolean(boolean) => format!("boolean {boolean}"),
    };
    let of_one = decision.request.asset_values.iter().map(|values| {
        let shown = values.values.iter().map(|one| (one.name.as_str(), shown(one)));
        (values.asset_urn.as_str(), values.timestamp_micros, shown.collect())
    });
    of_one.collect()
}

/// The index of each rejected document with its violations.
fn rejected(decision: &Decision) -> Vec<(i32, Vec<String>)> {
    let of_one = |rejection: &Rejection| {
        assert_eq!(rejection.reason, "INVALID_FIELD");
        let fields = rejection.field_violations.iter();
        fields.map(|violation| format!("{}: {}", violation.field, violation.description)).collect()
    };
    decision.rejections.iter().map(|rejection| (rejection.index, of_one(rejection))).collect()
}

#[test]
fn metrics_get_their_types_and_are_published() {
    let request = EmitAssetMetricsRequest {
        timestamp: Some(time(1_799_999_999).encode_to_vec().into()),
        ..array(&[
            metric("text", text("50")),
            metric("number", Kind::NumberValue(1.10)),
            typed("exact", text("12345678901234567.890"), ValueType::Number),
            typed("boolean", Kind::BoolValue(false), ValueType::Boolean),
        ])
    };
    let (decision, document) = decided(&request).unwrap();
    let expected = [
        ("text", "text 50".to_owned()),
        ("number", "number 1.1".to_owned()),
        ("exact", "number 12345678901234567.89".to_owned()),
        ("boolean", "boolean false".to_owned()),
    ];
    assert_eq!(published(&decision), [("urn:a", 1_799_999_999_000_001, expected.to_vec())]);
    assert_eq!((decision.accepted, decision.rejections.len()), (4, 0));
    assert_eq!((document.asset_urn, document.timestamp.micros()), ("urn:a", 1_799_999_999_000_001));
    assert_eq!(document.values[0], ("text", Value::Text("50")));
}

#[test]
fn a_retry_has_the_same_time() {
    let request = array(&[metric("a", Kind::BoolValue(true))]);
    let later = Timestamp::from_micros(NOW.micros() + 5_000_000);
    let (first, document) = decide_document(TENANT, &request, &LIMITS, NOW).unwrap();
    let (again, _) = decide_document(TENANT, &request, &LIMITS, later).unwrap();
    assert_eq!(first.request, again.request);
    assert_eq!(document.timestamp, NOW, "the time in its id");
}

#[test]
fn the_single_form_infers_the_type_from_the_text() {
    for (kind, expected) in [
        (text("50"), "number 50"),
        (text("true"), "boolean true"),
        (text("fifty"), "text fifty"),
        (text(""), "text "),
        (Kind::NumberValue(0.5), "number 0.5"),
    ] {
        let request = single(kind);
        let (decision, document) = decided(&request).unwrap();
        assert_eq!(published(&decision), [("urn:a", NOW.micros(), vec![("a", expected.to_owned())])]);
        assert_eq!(document.values.len(), 1);
    }
}

#[test]
fn a_request_has_one_of_two_forms() {
    let one = [metric("a", Kind::BoolValue(true))];
    let form = "metrics: expected either metrics, or name and value, found";
    assert_eq!(refused(&array(&[])), format!("{form} neither"));
    for both in [
        EmitAssetMetricsRequest { name: "a".into(), ..array(&one) },
        EmitAssetMetricsRequest { value: Some(value(text("a"))), ..array(&one) },
    ] {
        assert_eq!(refused(&both), format!("{form} both"));
    }
    // A null next to metrics is not a value, because a response in the array form has one, and can be sent
    // back.
    for value in [value(Kind::NullValue(0)), Bytes::new()] {
        let (decision, _) = decided(&EmitAssetMetricsRequest { value: Some(value), ..array(&one) }).unwrap();
        assert_eq!(decision.accepted, 1);
    }
    assert_eq!(
        refused(&single(Kind::NullValue(0))),
        "value: expected a string, a number or a boolean, found null"
    );
    let name = "name: expected 1 to 512 bytes without control characters, found none";
    assert_eq!(refused(&EmitAssetMetricsRequest { name: String::new(), ..single(text("a")) }), name);
    let no_value = "value: expected a string, a number or a boolean, found none";
    for value in [None, Some(Bytes::new())] {
        assert_eq!(refused(&EmitAssetMetricsRequest { value, ..single(text("a")) }), no_value);
    }
    let no_type =
        "value_type: expected none: each of metrics has its own type, and the single form infers it";
    assert_eq!(refused(&EmitAssetMetricsRequest { value_type: 1, ..single(text("a")) }), no_type);
    assert_eq!(refused(&EmitAssetMetricsRequest { value_type: 7, ..array(&one) }), no_type);
}

#[test]
fn an_error_names_all_violations() {
    let request = EmitAssetMetricsRequest {
        asset_urn: "a\tb".into(),
        timestamp: Some(time(0).encode_to_vec().into()),
        ..array(&[
            metric("a", Kind::BoolValue(true)),
            typed("", Kind::NullValue(0), ValueType::String),
            typed("b", Kind::NumberValue(18.0), ValueType::Boolean),
            AssetMetric { value_type: 9, value: None, ..metric("a", text("")) },
        ])
    };
    let expected = [
        "asset_urn: expected 1 to 512 bytes without control characters, found a control character",
        "timestamp: too old: expected 2025-12-11T08:00:00Z or later, found 1970-01-01T00:00:00.000001Z",
        "metrics[1].name: expected 1 to 512 bytes without control characters, found none",
        "metrics[1].value: expected a string, a number or a boolean, found null",
        "metrics[2].value_type: expected the type of the value, which is NUMBER, found BOOLEAN",
        "metrics[3].value_type: expected STRING (1), NUMBER (2), BOOLEAN (3) or none, found 9",
        "metrics[3].value: expected a string, a number or a boolean, found none",
        "metrics[3].name: expected each name once, found it in metrics[0] as well",
    ];
    assert_eq!(refused(&request), expected.join("; "));
}

#[test]
fn an_undecodable_field_is_one_violation() {
    let metric = |bytes: &'static [u8]| Bytes::from_static(bytes);
    for (bytes, expected) in [
        (metric(b"\xff"), "metrics[0]: expected an encoded message of this kind"),
        (metric(b"\x0a\x01\xff\x12\x02\x20\x01"), "metrics[0].name: expected UTF-8, found another byte at 0"),
        (
            metric(b"\x0a\x01a\x12\x03\x1a\x01\xff"),
            "metrics[0].value: expected UTF-8, found another byte at 0",
        ),
    ] {
        assert_eq!(refused(&EmitAssetMetricsRequest { metrics: vec![bytes], ..array(&[]) }), expected);
    }
    let broken = Some(Bytes::from_static(b"\xff"));
    let timestamp = EmitAssetMetricsRequest { timestamp: broken.clone(), ..single(text("a")) };
    assert_eq!(refused(&timestamp), "timestamp: expected an encoded message of this kind");
    let value = EmitAssetMetricsRequest { value: broken, ..single(text("a")) };
    assert_eq!(refused(&value), "value: expected an encoded message of this kind");
    let mut documents = batch(&[]);
    documents.documents = vec![Bytes::from_static(b"\xff")];
    let decision = decide_batch(TENANT, &documents, &LIMITS, NOW).unwrap();
    let expected = "documents[0]: expected an encoded message of this kind".to_owned();
    assert_eq!(rejected(&decision), [(0, vec![expected])]);
}

#[test]
fn an_error_lists_no_more_than_headers_hold() {
    let wrong: Vec<_> = (0..100).map(|n| metric(&format!("{n}"), Kind::NullValue(0))).collect();
    let request = array(&wrong);
    let status = tonic::Status::from(decide_document(TENANT, &request, &WIDE, NOW).unwrap_err());
    let listed = status.message().matches("found null").count();
    assert!((10..20).contains(&listed), "{listed}");
    let more = format!("; {} more violations are not listed", 100 - listed);
    assert!(status.message().ends_with(&more), "{}", status.message());
}

#[test]
fn texts_that_are_not_numbers_fit_into_an_error() {
    for character in ["漢", "\u{1f600}", "\u{7f}"] {
        let wrong = |at: usize| typed(&at.to_string(), text(&character.repeat(40)), ValueType::Number);
        let request = array(&(0..12).map(wrong).collect::<Vec<_>>());
        let status = tonic::Status::from(decide_document(TENANT, &request, &WIDE, NOW).unwrap_err());
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        // Percent-encoded, and in base64.
        let bytes = 3 * status.message().len() + status.details().len().div_ceil(3) * 4;
        assert!(bytes < 8 * 1024, "{bytes}");
        assert!(status.message().starts_with("metrics[0].value: expected a number"), "{}", status.message());
    }
}

#[test]
fn a_repeated_violation_is_listed_once() {
    let not_utf_8 = b"\x0a\x01\xff".repeat(1_390_000);
    let documents = BatchEmitAssetMetricsRequest { documents: vec![not_utf_8.clone().into()], ..batch(&[]) };
    let decision = decide_batch(TENANT, &documents, &WIDE, NOW).unwrap();
    let wrong = [
        "documents[0].asset_urn: expected UTF-8, found another byte at 0",
        "documents[0]: expected fewer than 10 wrong fields: the others are not read",
    ];
    assert_eq!(rejected(&decision), [(0, wrong.map(str::to_owned).to_vec())]);
    let request = EmitAssetMetricsRequest { metrics: vec![not_utf_8.into()], ..array(&[]) };
    let status = tonic::Status::from(decide_document(TENANT, &request, &WIDE, NOW).unwrap_err());
    let wrong = "metrics[0].name: expected UTF-8, found another byte at 0; \
        metrics[0]: expected fewer than 10 wrong fields: the others are not read";
    assert_eq!(status.message(), wrong);
}

#[test]
fn a_response_is_no_larger_than_clients_accept() {
    let decided = |value: &str, count: usize| {
        let metric = |at| typed(&format!("{at:0375}"), text(value), ValueType::Number);
        let request = array(&(0..count).map(metric).collect::<Vec<_>>());
        assert!(total_bytes(&request.metrics) < WIDE.batch.max_bytes);
        let decided = decide_document(TENANT, &request, &WIDE, NOW);
        decided.map(|_| ()).map_err(|error| tonic::Status::from(error).message().to_owned())
    };
    // The response has the number with 40 digits.
    let error = decided("9007199254740993e24", 10_000).unwrap_err();
    assert!(error.starts_with("expected metrics that take at most 4194304 bytes in the response"), "{error}");
    assert_eq!(decided("9007199254740993e24", 9_000), Ok(()));
}

#[test]
fn requests_have_limits() {
    let many: Vec<_> = (0..21).map(|n| metric(&format!("{n}"), Kind::BoolValue(true))).collect();
    assert_eq!(refused(&array(&many)), "expected at most 20 metrics, found 21");
    let of_two = [document("a", None, many[..11].to_vec()), document("b", None, many[11..].to_vec())];
    assert_eq!(decided_batch(&of_two).unwrap_err(), "expected at most 20 metrics in all documents, found 21");
    let long = metric("a", text(&"x".repeat(1_000)));
    assert!(
        refused(&array(slice::from_ref(&long))).starts_with("expected metrics of at most 1000 bytes, found")
    );
    let documents = [document("a", None, vec![long])];
    assert!(decided_batch(&documents).unwrap_err().starts_with("expected documents of at most 1000 bytes"));
    let single = single(text(&"x".repeat(1_000)));
    assert!(refused(&single).starts_with("expected value of at most 1000 bytes"));
    assert_eq!(decided_batch(&[]).unwrap_err(), "documents: expected at least one item");
}

#[test]
fn documents_of_one_asset_and_time_are_published_together() {
    let of = |name: &str| vec![metric(name, Kind::BoolValue(true))];
    let second = 1_799_999_999;
    let decision = decided_batch(&[
        document("urn:a", Some(second), of("a")),
        document("urn:b", Some(second), of("a")),
        document("urn:a", Some(second), of("b")),
        document("urn:a", None, of("a")),
    ]);
    let decision = decision.unwrap();
    let (micros, value) = (second * 1_000_000 + 1, "boolean true".to_owned());
    let expected = [
        ("urn:a", micros, vec![("a", value.clone()), ("b", value.clone())]),
        ("urn:b", micros, vec![("a", value.clone())]),
        ("urn:a", NOW.micros(), vec![("a", value)]),
    ];
    assert_eq!(published(&decision), expected);
    assert_eq!((decision.accepted, decision.rejections.len()), (4, 0));
}

#[test]
fn invalid_documents_are_rejected_and_the_others_accepted() {
    let of = |name: &str| metric(name, Kind::BoolValue(true));
    let decision = decided_batch(&[
        document("urn:a", None, vec![of("a"), metric("b", Kind::NullValue(0))]),
        document("urn:a", None, vec![of("a")]),
        document("urn:a", None, vec![of("b"), of("a")]),
        document("urn:a", None, vec![]),
        document("urn:a", None, vec![of("b")]),
        document("", Some(0), vec![of("c"), of("c")]),
    ]);
    let decision = decision.unwrap();
    let rejected = rejected(&decision);
    let fields: Vec<_> = rejected
        .iter()
        .map(|(index, violations)| {
            let fields = violations.iter().map(|text| text.split_once(": ").unwrap().0);
            (*index, fields.collect::<Vec<_>>())
        })
        .collect();
    let expected = [
        (0, vec!["documents[0].metrics[1].value"]),
        (2, vec!["documents[2].metrics[1].name"]),
        (3, vec!["documents[3].metrics"]),
        (5, vec!["documents[5].asset_urn", "documents[5].timestamp", "documents[5].metrics[1].name"]),
    ];
    assert_eq!(fields, expected);
    let again = "expected each metric of an asset and time once, found it in documents[1] as well";
    assert!(rejected[1].1[0].ends_with(again), "the rejected document gave no values: {}", rejected[1].1[0]);
    let value = "boolean true".to_owned();
    assert_eq!(published(&decision), [("urn:a", NOW.micros(), vec![("a", value.clone()), ("b", value)])]);
    assert_eq!(decision.accepted, 2);
}

#[test]
fn a_batch_without_accepted_documents_is_published_too() {
    let decision = decided_batch(&[document("urn:a", None, vec![])]).unwrap();
    assert_eq!((decision.accepted, decision.request.asset_values.len()), (0, 0));
    assert_eq!(decision.request.request_id, decision.request_id.0.as_bytes().as_slice());
}
