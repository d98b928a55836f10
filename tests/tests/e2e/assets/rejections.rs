//! Invalid asset metrics, and valid ones at the limits.

use flowmeter_proto::v1::asset_metric::ValueType;
use flowmeter_proto::v1::{AssetMetric, EmitAssetMetricsRequest, ListAssetMetricsRequest, ListAssetsRequest};
use flowmeter_tests::{Installation, Tenant, request_id};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use tonic::{Code, Status};

use super::{
    batch, document, emit, everything, from_now, invalid, latest, list_assets, list_latest, list_metrics,
    metric, not_found, shown, typed,
};

const DAY: i64 = 86_400;

/// A valid request.
fn right() -> EmitAssetMetricsRequest {
    EmitAssetMetricsRequest {
        asset_urn: "urn:crm".into(),
        metrics: vec![metric("score", 1), metric("badge", "gold")],
        ..EmitAssetMetricsRequest::default()
    }
}

fn single(name: &str, value: impl Into<Value>) -> EmitAssetMetricsRequest {
    let value = Some(value.into());
    EmitAssetMetricsRequest { metrics: vec![], name: name.into(), value, ..right() }
}

/// Nested lists.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from(1), |inner, _| Value::from(vec![inner]))
}

/// Invalid metrics, and the field of the violation.
fn wrong_metrics() -> Vec<(AssetMetric, &'static str)> {
    let kind = |kind| AssetMetric { value: Some(Value { kind }), ..metric("a", 1) };
    vec![
        (typed("a", 18, ValueType::Boolean), "value_type"),
        (typed("a", 18, ValueType::String), "value_type"),
        (typed("a", true, ValueType::Number), "value_type"),
        (typed("a", true, ValueType::String), "value_type"),
        (typed("a", "true", ValueType::Boolean), "value_type"),
        (AssetMetric { value_type: 42, ..metric("a", 1) }, "value_type"),
        (typed("a", "fifty", ValueType::Number), "value"),
        (typed("a", "", ValueType::Number), "value"),
        (typed("a", "0x10", ValueType::Number), "value"),
        (typed("a", " 1", ValueType::Number), "value"),
        (typed("a", "12345678901234567890123456789", ValueType::Number), "value"),
        (typed("a", "1.0000000000000000000000000001", ValueType::Number), "value"),
        (typed("a", "1e309", ValueType::Number), "value"),
        (typed("a", "-9e-325", ValueType::Number), "value"),
        (metric("a", f64::NAN), "value"),
        (metric("a", f64::INFINITY), "value"),
        (AssetMetric { value: None, ..metric("a", 1) }, "value"),
        (kind(None), "value"),
        (kind(Some(Kind::NullValue(0))), "value"),
        (kind(Some(Kind::ListValue(ListValue::default()))), "value"),
        (kind(Some(Kind::StructValue(Struct::default()))), "value"),
        (metric("a", nested(300)), "value"),
        (metric("a", "x".repeat(65_537)), "value"),
        (metric("a", "a\0b"), "value"),
        (metric("", 1), "name"),
        (metric(&"n".repeat(513), 1), "name"),
        (metric("a\tb", 1), "name"),
        (metric("a\u{85}b", 1), "name"),
    ]
}

/// Invalid requests, and the field of the violation.
fn wrong_requests() -> Vec<(EmitAssetMetricsRequest, &'static str)> {
    let at = |seconds, nanos| EmitAssetMetricsRequest {
        timestamp: Some(Timestamp { nanos, ..from_now(seconds) }),
        ..right()
    };
    let urn = |urn: &str| EmitAssetMetricsRequest { asset_urn: urn.into(), ..right() };
    let metrics = |metrics| EmitAssetMetricsRequest { metrics, ..right() };
    vec![
        (urn(""), "asset_urn"),
        (urn(&"u".repeat(513)), "asset_urn"),
        (urn("urn:crm\n"), "asset_urn"),
        (urn("urn:\0"), "asset_urn"),
        (metrics(vec![]), "metrics"),
        (metrics(vec![metric("a", 1), metric("b", 1), metric("a", 2)]), "metrics[2].name"),
        (at(-401 * DAY, 0), "timestamp"),
        (at(2 * 3_600, 0), "timestamp"),
        (at(0, -1), "timestamp"),
        (at(0, 1_000_000_000), "timestamp"),
        (EmitAssetMetricsRequest { request_id: "x".into(), ..right() }, "request_id"),
        (
            EmitAssetMetricsRequest { request_id: "00000000-0000-7000-8000-000000000000".into(), ..right() },
            "request_id",
        ),
        // A single value.
        (single("", 1), "name"),
        (single("a\0", 1), "name"),
        (EmitAssetMetricsRequest { value: None, ..single("a", 1) }, "value"),
        (single("a", Value { kind: Some(Kind::NullValue(0)) }), "value"),
        (single("a", nested(1)), "value"),
        (single("a", f64::NAN), "value"),
        (single("a", "12345678901234567890123456789"), "value"),
        (single("a", "x".repeat(65_537)), "value"),
        (EmitAssetMetricsRequest { value_type: ValueType::Number.into(), ..single("a", "50") }, "value_type"),
    ]
}

#[tokio::test]
async fn nothing_of_an_invalid_request_is_stored() {
    let installation = Installation::start("asset-wrong-requests").await;
    let tenant = installation.tenant("acme").await;
    for (wrong, field) in wrong_metrics() {
        let metrics = vec![metric("score", 1), wrong];
        let field = format!("metrics[1].{field}");
        let status = emit(&tenant, EmitAssetMetricsRequest { metrics, ..right() }).await.unwrap_err();
        assert_eq!(shown(&status), invalid("INVALID_FIELD", &field), "{}", status.message());
    }
    for (wrong, field) in wrong_requests() {
        let status = emit(&tenant, wrong).await.unwrap_err();
        assert_eq!(shown(&status), invalid("INVALID_FIELD", field), "{}", status.message());
    }
    // A list together with any field of a single value.
    for (name, value, value_type) in
        [("a", Some(1.into()), 0), ("a", None, 0), ("", Some(1.into()), 0), ("", None, 2)]
    {
        let both = EmitAssetMetricsRequest { name: name.into(), value, value_type, ..right() };
        let status = emit(&tenant, both.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{both:?}");
    }
    // Several violations at once are all reported.
    let several = EmitAssetMetricsRequest {
        asset_urn: String::new(),
        timestamp: Some(from_now(2 * 3_600)),
        metrics: vec![metric("", 1), typed("a", 18, ValueType::Boolean)],
        ..right()
    };
    let (code, _, fields) = shown(&emit(&tenant, several).await.unwrap_err());
    let expected = ["asset_urn", "timestamp", "metrics[0].name", "metrics[1].value_type"];
    assert_eq!((code, fields), (Code::InvalidArgument, expected.map(str::to_owned).to_vec()));

    let exhausted = (Code::ResourceExhausted, "BATCH_TOO_LARGE".to_owned(), vec![]);
    let many = (0..10_001).map(|number| metric(&format!("m{number}"), 1)).collect();
    let many = EmitAssetMetricsRequest { metrics: many, ..right() };
    assert_eq!(shown(&emit(&tenant, many).await.unwrap_err()), exhausted);
    let large = (0..65).map(|number| metric(&format!("m{number}"), "x".repeat(65_000))).collect();
    let large = EmitAssetMetricsRequest { metrics: large, ..right() };
    assert_eq!(shown(&emit(&tenant, large).await.unwrap_err()), exhausted);

    nothing_was_emitted(&tenant, "urn:crm").await;
}

/// Asserts that nothing was ever emitted for an asset, even after all earlier requests are applied.
async fn nothing_was_emitted(tenant: &Tenant, urn: &str) {
    let probe = EmitAssetMetricsRequest { asset_urn: "urn:probe".into(), ..right() };
    let answer = emit(tenant, probe).await.unwrap();
    tenant.settled(&answer.request_id).await;
    let assets = list_assets(tenant, ListAssetsRequest::default()).await.unwrap();
    assert_eq!(assets.iter().map(|asset| asset.urn.as_str()).collect::<Vec<_>>(), ["urn:probe"]);
    assert_eq!(shown(&list_metrics(tenant, everything(urn)).await.unwrap_err()), not_found());
    assert_eq!(shown(&list_latest(tenant, latest(urn)).await.unwrap_err()), not_found());
}

#[tokio::test]
async fn invalid_documents_are_rejected_and_the_others_stored() {
    let installation = Installation::start("asset-wrong-documents").await;
    let tenant = installation.tenant("acme").await;
    let at = Some(from_now(-60));
    let of = |urn: &str, metrics| document(urn, at, metrics);
    let now = |value| document("urn:now", None, vec![metric("a", value)]);
    let documents = [
        (of("urn:crm", vec![metric("a", 1), metric("b", true)]), ""),
        (of("", vec![metric("a", 1)]), "asset_urn"),
        (of("urn:wrong", vec![]), "metrics"),
        (of("urn:wrong", vec![metric("a", 1), metric("b", 1), metric("a", 1)]), "metrics[2].name"),
        (document("urn:wrong", Some(from_now(-401 * DAY)), vec![metric("a", 1)]), "timestamp"),
        (document("urn:wrong", Some(from_now(7_200)), vec![metric("a", 1)]), "timestamp"),
        // The time and the asset of the first document: other names are valid, the same names are not.
        (of("urn:crm", vec![metric("c", "x")]), ""),
        (of("urn:crm", vec![metric("d", 1), metric("b", false)]), "metrics[1].name"),
        (of("urn:other", vec![metric("a", 2)]), ""),
        // Both have the time of the request.
        (now(1), ""),
        (now(2), "metrics[0].name"),
        (of("\n", vec![metric("", 1), typed("b", 1, ValueType::String)]), "asset_urn"),
    ];
    let mut documents: Vec<_> = documents.into_iter().map(|(it, field)| (it, field.to_owned())).collect();
    documents.extend(wrong_metrics().into_iter().map(|(wrong, field)| {
        let document = of("urn:wrong", vec![metric("x", 1), wrong]);
        (document, format!("metrics[1].{field}"))
    }));
    let id = request_id();
    let answer = batch(&tenant, &id, documents.iter().map(|(it, _)| it.clone()).collect()).await.unwrap();
    let expected: Vec<_> = documents
        .iter()
        .enumerate()
        .filter(|(_, (_, field))| !field.is_empty())
        .map(|(index, (_, field))| (index, format!("documents[{index}].{field}")))
        .collect();
    let found: Vec<_> = answer
        .rejections
        .iter()
        .map(|rejection| {
            assert_eq!(rejection.reason, "INVALID_FIELD");
            let field = rejection.field_violations[0].field.clone();
            (usize::try_from(rejection.index).unwrap(), field)
        })
        .collect();
    assert_eq!(found, expected);
    let several = &answer.rejections.iter().find(|rejection| rejection.index == 11).unwrap().field_violations;
    assert_eq!(several.len(), 3, "all violations are reported: {several:?}");
    assert_eq!(answer.accepted_count, 5);
    let receipt = tenant.settled(&id).await;
    assert_eq!((receipt.state, receipt.accepted_count), (2, 5));

    let names_of = async |urn: &str| -> Result<Vec<String>, Status> {
        let documents = list_metrics(&tenant, everything(urn)).await?;
        Ok(documents.into_iter().flat_map(|it| it.metrics).map(|metric| metric.name).collect())
    };
    assert_eq!(names_of("urn:crm").await.unwrap(), ["a", "b", "c"]);
    assert_eq!(names_of("urn:other").await.unwrap(), ["a"]);
    assert_eq!(shown(&names_of("urn:wrong").await.unwrap_err()), not_found());
    let now = list_latest(&tenant, latest("urn:now")).await.unwrap();
    assert_eq!((now.len(), now[0].value.clone()), (1, Some(1.into())));

    // A request is accepted even if all of its documents are invalid.
    let id = request_id();
    let answer = batch(&tenant, &id, vec![of("", vec![metric("a", 1)])]).await.unwrap();
    assert_eq!((answer.accepted_count, answer.rejections.len()), (0, 1));
    assert_eq!(tenant.settled(&id).await.accepted_count, 0);

    let refused = async |documents| shown(&batch(&tenant, "", documents).await.unwrap_err());
    assert_eq!(refused(vec![]).await, invalid("INVALID_FIELD", "documents"));
    let exhausted = (Code::ResourceExhausted, "BATCH_TOO_LARGE".to_owned(), vec![]);
    let many = |urn: &str, most| {
        let metrics = (0..most).map(|number| metric(&format!("m{number}"), 1)).collect();
        document(urn, at, metrics)
    };
    assert_eq!(refused(vec![many("urn:a", 5_000), many("urn:b", 5_001)]).await, exhausted);
    let status = batch(&tenant, "x", vec![now_of("urn:crm")]).await.unwrap_err();
    assert_eq!(shown(&status), invalid("INVALID_FIELD", "request_id"));
}

fn now_of(urn: &str) -> flowmeter_proto::v1::AssetDocument {
    document(urn, None, vec![metric("a", 1)])
}

/// An error is sent in headers, of which clients accept 8 KiB.
#[tokio::test]
async fn errors_with_many_violations_fit_into_headers() {
    let installation = Installation::start("asset-all-wrong").await;
    let tenant = installation.tenant("acme").await;
    for text in ["fifty", "漢", "\u{1f600}", "\u{7f}"] {
        let wrong = typed("", text.repeat(40), ValueType::Number);
        let request = EmitAssetMetricsRequest { metrics: vec![wrong; 10_000], ..right() };
        let status = emit(&tenant, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(shown(&status).2[..2], ["metrics[0].name", "metrics[0].value"].map(str::to_owned));
        assert!(status.message().ends_with(" more violations are not listed"), "{}", status.message());
    }
    // A rejection is part of an answer, of which clients accept 4 MiB.
    let documents = vec![
        document("urn:crm", None, vec![metric("a", 1)]),
        document("urn:crm", None, vec![typed("\n", "x".repeat(40), ValueType::Number); 9_999]),
    ];
    let answer = batch(&tenant, "", documents).await.unwrap();
    let [rejection] = &answer.rejections[..] else { panic!("one of them is wrong") };
    let violations = &rejection.field_violations;
    assert_eq!((answer.accepted_count, rejection.index, violations.len()), (1, 1, 11));
    assert_eq!(violations[10].field, "documents[1]");
    assert_eq!(violations[10].description, "19988 more violations are not listed");
}

/// Documents that cannot be decoded are rejected individually if possible.
#[tokio::test]
async fn undecodable_bytes_are_rejected_with_their_field() {
    use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
    use flowmeter_proto::raw::{BatchEmitAssetMetricsRequest, EmitAssetMetricsRequest};
    use prost::Message;

    let installation = Installation::start("asset-bytes").await;
    let tenant = installation.tenant("acme").await;
    let channel =
        tonic::transport::Endpoint::from_shared(installation.ingest.url()).unwrap().connect().await.unwrap();
    let mut client = IngestServiceClient::new(channel);
    let authorization: tonic::metadata::MetadataValue<_> =
        format!("Bearer {}", tenant.token).parse().unwrap();
    // A name (field 1) that is not UTF-8, and bytes that are not a message.
    let not_utf8 = vec![1 << 3 | 2, 2, 0xc3, 0x28];
    let cut_off = vec![1 << 3 | 2, 9, 1];
    for (wrong, field) in [(&not_utf8, "metrics[1].name"), (&cut_off, "metrics[1]")] {
        let metrics = vec![metric("a", 1).encode_to_vec().into(), wrong.clone().into()];
        let mut request = tonic::Request::new(EmitAssetMetricsRequest {
            asset_urn: "urn:crm".into(),
            metrics,
            ..EmitAssetMetricsRequest::default()
        });
        request.metadata_mut().insert("authorization", authorization.clone());
        let status = client.emit_asset_metrics(request).await.unwrap_err();
        let (code, _, fields) = shown(&status);
        assert_eq!((code, &fields[0][..]), (Code::InvalidArgument, field), "{}", status.message());
    }
    // A document, whose metrics are field 3.
    let mut within = vec![3 << 3 | 2, 4];
    within.extend(&not_utf8);
    let mut whole = now_of("urn:crm").encode_to_vec();
    let right = whole.clone();
    whole.extend(&within);
    // The same wrong field repeatedly.
    let again = not_utf8.repeat(500_000);
    let documents = vec![whole.into(), right.into(), not_utf8.into(), cut_off.into(), again.into()];
    let request = BatchEmitAssetMetricsRequest { documents, request_id: String::new() };
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("authorization", authorization);
    let answer = client.batch_emit_asset_metrics(request).await.unwrap().into_inner();
    assert_eq!(answer.accepted_count, 1);
    let fields: Vec<_> =
        answer.rejections.iter().map(|rejection| rejection.field_violations[0].field.as_str()).collect();
    let expected =
        ["documents[0].metrics[1].name", "documents[2].asset_urn", "documents[3]", "documents[4].asset_urn"];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn values_at_the_limits_are_returned_as_they_were_sent() {
    let installation = Installation::start("asset-bounds").await;
    let tenant = installation.tenant("acme").await;
    let (urn, name) = ("ü".repeat(256), "n".repeat(512));
    let settled = vec![
        typed(&name, "x".repeat(65_536), ValueType::String),
        typed("empty", "", ValueType::String),
        typed("lines", "a\r\n\tb \u{feff}\u{1f600}", ValueType::String),
        typed("whole", "9999999999999999999999999999", ValueType::Number),
        typed("fraction", "0.1234567890123456789012345678", ValueType::Number),
        typed("least", 1e-28, ValueType::Number),
        typed("mixed", "-12345678901234567.89", ValueType::Number),
        typed("large", 1e27, ValueType::Number),
        typed("tenth", 0.1, ValueType::Number),
        typed("sum", 0.1 + 0.2, ValueType::Number),
        typed("difference", 0.1 + 0.2 - 0.3, ValueType::Number),
        typed("greatest", f64::MAX, ValueType::Number),
        typed("smallest", -f64::from_bits(1), ValueType::Number),
        typed("furthest", "-9.999999999999999999999999999e308", ValueType::Number),
        typed("finest", "1.234567890123456789012345678e-324", ValueType::Number),
        typed("%_\\'\"", false, ValueType::Boolean),
    ];
    let old = Some(from_now(-400 * DAY + 60));
    let ahead = Some(from_now(3_540));
    let documents = vec![document(&urn, old, settled.clone()), document(&urn, ahead, settled.clone())];
    let answer = batch(&tenant, "", documents).await.unwrap();
    assert_eq!((answer.accepted_count, answer.rejections), (32, vec![]));
    tenant.settled(&answer.request_id).await;
    // Up to now, and up to a time in the future.
    let old = document("", old, settled.clone());
    assert_eq!(list_metrics(&tenant, everything(&urn)).await.unwrap(), std::slice::from_ref(&old));
    let further = ListAssetMetricsRequest { to: ahead, ..everything(&urn) };
    let found = list_metrics(&tenant, further).await.unwrap();
    assert_eq!(found, [old, document("", ahead, settled)]);

    // The same numbers in another notation.
    let written = vec![
        typed("a", "1.10", ValueType::Number),
        typed("b", "-0.0", ValueType::Number),
        typed("c", "1e3", ValueType::Number),
        typed("d", "1234567890123456789000e-2", ValueType::Number),
        typed("e", "50", ValueType::Unspecified),
    ];
    let request = EmitAssetMetricsRequest { metrics: written, ..right() };
    let answer = emit(&tenant, request).await.unwrap();
    let settled = [
        typed("a", 1.1, ValueType::Number),
        typed("b", 0, ValueType::Number),
        typed("c", 1_000, ValueType::Number),
        typed("d", "12345678901234567890", ValueType::Number),
        typed("e", "50", ValueType::String),
    ];
    assert_eq!(answer.metrics, settled);
    tenant.settled(&answer.request_id).await;
    assert_eq!(list_metrics(&tenant, everything("urn:crm")).await.unwrap()[0].metrics, settled);
}
