//! Asset metrics in files.

use flowmeter_fake::{Contents, Fake};
use flowmeter_proto::v1::{self as api, asset_metric::ValueType};
use prost_types::value::Kind;

use super::{CRM, ID, document, metric, number, text, with};
use crate::{failing_once, printed, program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_emitted_from_a_file() {
    let fake = Fake::start_strict(Contents::default()).await;
    let input = br#"{
        "metrics": [
            {"name": "isActiveInLast24Hours", "value": true, "valueType": "BOOLEAN"},
            {"name": "data", "value": 12345678901234567.89}
        ],
        "timestamp": "2026-11-22T00:30:00.000Z"
    }"#;
    let arguments = ["asset", "emit", CRM, "--file", "-", "--request-id", ID];
    let ended = program::flowmeter(&fake.url(), "good", &arguments, input).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(
        ended.out,
        format!("request             {ID}\ndocuments accepted  1\nmetrics accepted    2\n")
    );
    let active = metric("isActiveInLast24Hours", Kind::BoolValue(true), ValueType::Boolean);
    let exact = Kind::StringValue("12345678901234567.89".into());
    let expected = api::AssetDocument {
        asset_urn: CRM.into(),
        ..document(30, vec![active, metric("data", exact, ValueType::Number)])
    };
    assert_eq!(fake.seen_now()[0].documents, [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_documents_are_sent_in_few_requests() {
    let fake = failing_once().await;
    let line = |at: usize| {
        let value = if at == 1_200 { r#""fifty", "valueType": "NUMBER""# } else { "50" };
        format!("{{\"assetUrn\": \"urn:{at}\", \"metrics\": [{{\"name\": \"n\", \"value\": {value}}}]}}\n")
    };
    let input: String = (1..=2_500).map(line).collect();
    let arguments = ["asset", "emit", "--file", "-"];
    let ended = program::flowmeter(&fake.url(), "good", &arguments, input.as_bytes()).await;
    assert_eq!(ended.code, 3);
    insta::assert_snapshot!(ended.err, @r#"
    trying again: UNAVAILABLE: the broker is unavailable
    rejected: document 1200, urn:1200: INVALID_FIELD: metrics[0].value: expected a number in JSON's notation, such as -12.5 or 1e6, because value_type is NUMBER; found "fifty"
    "#);
    assert!(
        ended.out.ends_with(", the last of 3\ndocuments accepted  2 499\nmetrics accepted    2 499\n"),
        "{}",
        ended.out
    );
    {
        let batches = fake.seen_now();
        let sizes: Vec<_> = batches.iter().map(|batch| batch.documents.len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 1_000, 500]);
        assert_eq!(batches[0].documents, batches[1].documents, "a retry is the same request");
        assert_eq!(batches[0].request_id, batches[1].request_id);
        assert!(batches[1].request_id < batches[2].request_id);
    }
    let named = [&arguments[..], &["--request-id", ID]].concat();
    let ended = program::flowmeter(&fake.url(), "good", &named, input.as_bytes()).await;
    assert_eq!(
        ended.err,
        "error: --request-id: expected documents for one request, found 3 requests in standard input\n"
    );
    let none = program::flowmeter(&fake.url(), "good", &arguments, b"").await;
    assert_eq!(
        (none.code, none.err.as_str()),
        (1, "error: standard input: expected a document, found none\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_can_be_accepted_in_part() {
    let fake = Fake::start_strict(Contents::default()).await;
    let metric = |at: usize| format!("{{\"name\": \"m{at}\", \"value\": {at}}}");
    let metrics: Vec<_> = (0..1_000).map(metric).collect();
    let input = format!("[{{\"metrics\": [{}]}}, {{\"metrics\": []}}]", metrics.join(","));
    let arguments = ["asset", "emit", CRM, "--file", "-"];
    let whole = program::flowmeter(&fake.url(), "good", &arguments, input.as_bytes()).await;
    assert_eq!(whole.code, 1);
    insta::assert_snapshot!(whole.err, @r"
    error: the service accepted only 1 of 2 requests
    INVALID_ARGUMENT: documents[0].metrics: expected at least one item
    ");
    let cut = program::flowmeter(&fake.url(), "good", &arguments, &input.as_bytes()[..300]).await;
    assert_eq!(cut.code, 1);
    assert!(cut.err.starts_with("error: standard input: EOF while parsing"), "{}", cut.err);
    assert_eq!(fake.seen_now().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_output_can_be_emitted() {
    let exact = metric("total", Kind::StringValue("12345678901234567.89".into()), ValueType::Number);
    let fake =
        with(vec![document(0, vec![number("score", 0.93), exact]), document(60, vec![text("owner", "ada")])])
            .await;
    let shown = printed(&fake, &["asset", "show", CRM, "-o", "json"]).await;
    let emitted = printed(&fake, &["asset", "emit", CRM, "a=1", "b=007", "-o", "json"]).await;
    let single = printed(&fake, &["asset", "emit", CRM, "c=50", "--single", "-o", "json"]).await;
    let again = ["asset", "emit", "urn:b", "--file", "-"];
    let ended =
        program::flowmeter(&fake.url(), "good", &again, (shown + &emitted + &single).as_bytes()).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.ends_with("documents accepted  4\nmetrics accepted    6\n"), "{}", ended.out);
    let contents = fake.contents();
    let documents = &fake.seen_now()[2].documents;
    assert!(documents.iter().all(|document| document.asset_urn == "urn:b"));
    let sent: Vec<_> = documents.iter().map(|document| document.metrics.clone()).collect();
    let shown: Vec<_> = contents.assets.documents.iter().map(|document| document.metrics.clone()).collect();
    assert_eq!(sent[..2], shown);
    assert_eq!(sent[2], [number("a", 1.0), text("b", "007")]);
    assert_eq!(sent[3], [metric("c", Kind::StringValue("50".into()), ValueType::Number)]);
}
