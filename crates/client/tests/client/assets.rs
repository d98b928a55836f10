//! Asset metrics: what is sent, and when it is retried.

use std::time::Duration;

use flowmeter_client::{AssetDocument, AssetValue, FieldViolation, Rejection, asset_metric};
use flowmeter_fake::{Fake, NOW, Plan, failure};
use prost_types::value::Kind;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use crate::connect::client;

fn document(urn: &str, count: i32) -> AssetDocument {
    AssetDocument {
        asset_urn: urn.into(),
        metrics: (0..count).map(|number| asset_metric(format!("m{number}"), number)).collect(),
        ..AssetDocument::default()
    }
}

#[tokio::test]
async fn values_arrive_with_their_types() {
    let fake = Fake::start().await;
    let metrics = vec![
        asset_metric("steward", "7"),
        asset_metric("score", 97.5),
        asset_metric("rows", i64::MAX),
        asset_metric("revenue", AssetValue::decimal("12345678901234567.89")),
        asset_metric("certified", false),
    ];
    let timestamp = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000 });
    let sent = AssetDocument { asset_urn: "urn:a".into(), timestamp, metrics };
    let emitted = client(&fake).emit_asset_metrics(&sent).await.unwrap();
    assert_eq!((Some(emitted.timestamp), &emitted.metrics), (timestamp, &sent.metrics));
    let seen = fake.seen_now();
    assert_eq!(seen[0].request_id, emitted.request_id.to_string());
    assert_eq!(seen[0].documents, [sent]);
    assert_eq!(seen[0].metadata["authorization"], "Bearer fm_secret");

    let values = seen[0].documents[0].metrics.iter().map(|metric| {
        let value = metric.value.clone().unwrap().kind.unwrap();
        (value, metric.value_type().as_str_name())
    });
    let text = |text: &str| Kind::StringValue(text.into());
    assert_eq!(
        values.collect::<Vec<_>>(),
        [
            (text("7"), "STRING"),
            (Kind::NumberValue(97.5), "NUMBER"),
            (text("9223372036854775807"), "NUMBER"),
            (text("12345678901234567.89"), "NUMBER"),
            (Kind::BoolValue(false), "BOOLEAN"),
        ]
    );
}

#[tokio::test]
async fn a_document_is_retried_with_the_same_id() {
    let fake = Fake::start().await;
    let shortly = Some(Duration::from_millis(1));
    let fails = || Plan::AcceptAndFail(failure(Code::Unavailable, "QUEUE_UNAVAILABLE", shortly));
    fake.plan([fails(), Plan::Refuse(failure(Code::ResourceExhausted, "QUEUE_FULL", shortly))]);
    let emitted = client(&fake).emit_asset_metrics(&document("urn:a", 2)).await.unwrap();
    assert_eq!(emitted.timestamp, NOW);
    fake.plan([fails()]);
    let id = Uuid::now_v7();
    let documents = [document("urn:a", 1), document("urn:b", 2)];
    let batch = client(&fake).batch_emit_asset_metrics_as(id, &documents).await.unwrap();
    assert_eq!((batch.request_id, batch.accepted_count, batch.timestamp), (id, 3, NOW));

    let ids: Vec<_> = fake.seen_now().into_iter().map(|seen| seen.request_id).collect();
    let (first, second) = (emitted.request_id.to_string(), id.to_string());
    assert_eq!(ids, [&first, &first, &first, &second, &second].map(String::clone));
    assert_eq!(fake.recorded.lock().unwrap()[&second].documents, documents);
}

#[tokio::test]
async fn invalid_documents_are_rejected() {
    let fake = Fake::start().await;
    let violation = |field: &str| FieldViolation { field: field.into(), description: "is wrong".into() };
    let rejection = Rejection {
        index: 1,
        reason: "INVALID_FIELD".into(),
        field_violations: vec![violation("documents[1].asset_urn")],
    };
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("metrics[0].value", "is wrong");
    let status = Status::with_error_details(Code::InvalidArgument, "no", details);
    fake.plan([Plan::Reject(vec![rejection.clone()]), Plan::Refuse(status)]);

    let documents = [document("urn:a", 1), document("", 2), document("urn:b", 3)];
    let batch = client(&fake).batch_emit_asset_metrics(&documents).await.unwrap();
    assert_eq!((batch.accepted_count, batch.rejections), (4, vec![rejection]));
    let error = client(&fake).emit_asset_metrics(&document("urn:a", 1)).await.unwrap_err();
    assert_eq!(error.field_violations(), [violation("metrics[0].value")]);
    assert_eq!(error.request_id().to_string(), fake.seen_now()[1].request_id);
}
