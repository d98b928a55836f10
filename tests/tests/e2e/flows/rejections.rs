//! Requests and queries that are rejected.

use std::time::Duration;

use flowmeter_proto::v1::{DeleteFlowRequest, FlowOutcome, FlowRequest, GetFlowMetricRequest};
use flowmeter_tests::{Installation, eventually, request_id};
use jiff::Timestamp;
use tonic::Code;
use tonic_types::StatusExt;

use super::{ask, points, query, record, register, requests};

#[tokio::test]
async fn wrong_items_are_rejected_and_the_others_counted() {
    let installation = Installation::start("flow-rejections").await;
    let tenant = installation.tenant("acme").await;
    register(&tenant, "flow", "UTC").await;
    let now = Timestamp::now().as_second();
    let right = || requests("flow", now, FlowOutcome::Succeeded, 200);
    let latency = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let all = vec![
        right(),
        FlowRequest { flow_id: "other".into(), ..right() },
        FlowRequest { flow_id: String::new(), ..right() },
        FlowRequest { outcome: FlowOutcome::Unspecified.into(), ..right() },
        FlowRequest { outcome: 17, ..right() },
        FlowRequest { latency: latency(-1, 0), ..right() },
        FlowRequest { count: Some(0), ..right() },
        FlowRequest { count: Some(i32::MAX), ..right() },
        FlowRequest {
            timestamp: Some(prost_types::Timestamp { seconds: now - 91 * 86_400, nanos: 0 }),
            ..right()
        },
        FlowRequest { timestamp: Some(prost_types::Timestamp { seconds: now + 7_200, nanos: 0 }), ..right() },
        FlowRequest { flow_id: "f\0".into(), count: Some(-1), ..right() },
        FlowRequest { timestamp: None, latency: None, count: None, ..right() },
        FlowRequest { count: Some(99), ..right() },
    ];
    let id = request_id();
    let answer = record(&tenant, &id, all.clone()).await.unwrap();
    assert_eq!(answer.accepted_count, 3);
    let found: Vec<_> = answer
        .rejections
        .iter()
        .map(|rejection| {
            let fields: Vec<_> = rejection
                .field_violations
                .iter()
                .map(|violation| violation.field.rsplit('.').next().unwrap().to_owned())
                .collect();
            (rejection.index, rejection.reason.clone(), fields.join(" "))
        })
        .collect();
    let invalid = |index: i32, field: &str| (index, "INVALID_FIELD".to_owned(), field.to_owned());
    assert_eq!(
        found,
        [
            (1, "UNKNOWN_FLOW".to_owned(), "flow_id".to_owned()),
            invalid(2, "flow_id"),
            invalid(3, "outcome"),
            invalid(4, "outcome"),
            invalid(5, "latency"),
            invalid(6, "count"),
            invalid(7, "count"),
            invalid(8, "timestamp"),
            invalid(9, "timestamp"),
            invalid(10, "flow_id count"),
        ]
    );
    let description = &answer.rejections[0].field_violations[0].description;
    assert_eq!(description, "expected a registered flow, found \"other\"");

    // A retry is not counted again, and has the receipt of the first attempt.
    record(&tenant, &id, all).await.unwrap();
    let receipt = tenant.settled(&id).await;
    assert_eq!((receipt.accepted_count, receipt.duplicate_count), (3, 0));
    let probe = request_id();
    record(&tenant, &probe, vec![FlowRequest { count: Some(1), ..right() }]).await.unwrap();
    let answer = ask(&tenant, query("flow", "ENDPOINT_REQUEST_COUNT", "LIFETIME", &probe)).await.unwrap();
    assert_eq!(points(answer)[0].1, [("value".to_owned(), 301.0)]);

    for (requests, expected) in [
        (vec![], "requests: expected at least one item"),
        (vec![right(); 10_001], "expected at most 10000 requests, found 10001"),
    ] {
        let error = record(&tenant, "", requests).await.unwrap_err();
        assert_eq!(error.message(), expected);
    }
    let error = record(&tenant, "x", vec![right()]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().starts_with("request_id: expected a UUID"), "{}", error.message());
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_whatever_was_registered_meanwhile() {
    let installation = Installation::start("flow-repeated").await;
    let tenant = installation.tenant("acme").await;
    register(&tenant, "first", "UTC").await;
    let now = Timestamp::now().as_second();
    let both = || ["first", "second"].map(|flow| requests(flow, now, FlowOutcome::Succeeded, 250)).to_vec();
    let early = request_id();
    assert_eq!(record(&tenant, &early, both()).await.unwrap().accepted_count, 1);
    register(&tenant, "second", "UTC").await;
    let again = record(&tenant, &early, both()).await.unwrap();
    assert_eq!(again.accepted_count, 1, "an item that is not counted is not accepted");
    let description = &again.rejections[0].field_violations[0].description;
    assert!(description.contains("report it with a new request_id"), "{description}");
    let late = request_id();
    assert_eq!(record(&tenant, &late, both()).await.unwrap().accepted_count, 2);
    for (flow, expected) in [("first", 500.0), ("second", 250.0)] {
        let answer = ask(&tenant, query(flow, "ENDPOINT_REQUEST_COUNT", "LIFETIME", &late)).await.unwrap();
        assert_eq!(points(answer)[0].1, [("value".to_owned(), expected)], "{flow}");
    }
}

#[tokio::test]
async fn a_flow_counts_from_its_registration_to_its_deletion() {
    let installation = Installation::start("flow-registered").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now().as_second();
    let send = async |flow: &str| {
        let answer = record(&tenant, "", vec![requests(flow, now, FlowOutcome::Succeeded, 1)]).await;
        answer.unwrap().accepted_count
    };
    assert_eq!(send("a").await, 0);
    register(&tenant, "a", "UTC").await;
    assert_eq!(send("a").await, 1, "the new flow is accepted at once");
    assert_eq!(send("b").await, 0);
    register(&tenant, "b", "UTC").await;
    assert_eq!(send("b").await, 1, "even after it was looked up before");
    let stranger = installation.tenant("other").await;
    let answer = record(&stranger, "", vec![requests("a", now, FlowOutcome::Succeeded, 1)]).await.unwrap();
    assert_eq!(answer.rejections[0].reason, "UNKNOWN_FLOW");

    let request = DeleteFlowRequest { id: "a".into(), version: 0 };
    tenant.catalog.clone().delete_flow(request).await.unwrap();
    eventually(0, async || send("a").await).await;
    assert_eq!(send("b").await, 1);
}

type Change = fn(&mut GetFlowMetricRequest);

#[tokio::test]
async fn errors_of_queries_say_what_was_expected() {
    let installation = Installation::start("flow-questions").await;
    let tenant = installation.tenant("acme").await;
    register(&tenant, "flow", "Asia/Kolkata").await;
    let id = request_id();
    let now = Timestamp::now().as_second();
    record(&tenant, &id, vec![requests("flow", now, FlowOutcome::Succeeded, 300)]).await.unwrap();
    tenant.settled(&id).await;
    let right = query("flow", "ENDPOINT_REQUEST_COUNT", "DAY", "");
    let cases: [(Change, &str, &str); 12] = [
        (|q| q.flow_id = String::new(), "flow_id", "expected 1 to 128 bytes"),
        (|q| q.name = String::new(), "name", "ENDPOINT_REQUEST_COUNT, ENDPOINT_REQUEST_ERROR"),
        (|q| q.name = "endpoint_request_count".into(), "name", "expected one of"),
        (|q| q.granularity = String::new(), "granularity", "DAY, HOUR, LIFETIME"),
        (|q| q.granularity = "WEEK".into(), "granularity", "DAY, HOUR, LIFETIME"),
        (|q| q.since = "28.01.2024".into(), "since", "at character 1: expected a year of four digits"),
        (|q| q.until = "2024-02-30".into(), "until", "February 2024 has 29 days, found 30"),
        (|q| q.since = "2024-01-28".into(), "since", "90 days before today in Asia/Kolkata"),
        (
            |q| {
                q.since = "2024-01-28".into();
                q.granularity = "hour".into();
            },
            "since",
            "30 days before today",
        ),
        (|q| q.until = "2024-01-28".into(), "until", "expected a day after since"),
        (|q| q.since = "9999-12-31".into(), "since", "which is today in"),
        (|q| q.after_request_id = "x".into(), "after_request_id", "expected a request id"),
    ];
    for (change, field, expected) in cases {
        let mut wrong = right.clone();
        change(&mut wrong);
        let error = ask(&tenant, wrong.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong:?}");
        let bad = error.get_details_bad_request().unwrap();
        let violation = &bad.field_violations[0];
        assert_eq!(violation.field, field, "{wrong:?}");
        assert!(violation.description.contains(expected), "{}", violation.description);
    }
    let mut request = tonic::Request::new(query("flow", "ENDPOINT_REQUEST_COUNT", "DAY", &request_id()));
    request.set_timeout(Duration::from_millis(300));
    let error = tenant.query.clone().get_flow_metric(request).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}
