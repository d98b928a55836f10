//! One call for each batch: what is sent, and when it is retried.

use std::time::Duration;

use flowmeter_client::{
    Client, ClientSettings, ExecutionMetrics, FieldViolation, FlowOutcome, FlowRequest, MetricType, Rejection,
};
use flowmeter_fake::{Fake, Plan, any_port, event, failure};
use tokio::io::AsyncReadExt;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use crate::connect::{client, settings_of};

#[tokio::test]
async fn a_batch_is_recorded() {
    let fake = Fake::start().await;
    let recorded = client(&fake).record_usage(&[event("a"), event("b")]).await.unwrap();
    assert_eq!((recorded.accepted_count, recorded.rejections.len()), (2, 0));
    assert_eq!(recorded.request_id.get_version_num(), 7);
    let seen = fake.seen_now();
    assert_eq!(seen[0].request_id, recorded.request_id.to_string());
    assert_eq!(seen[0].events, [event("a"), event("b")]);
    assert_eq!(seen[0].metadata["authorization"], "Bearer fm_secret");
    assert!(seen[0].metadata.contains_key("grpc-timeout"));
}

#[tokio::test]
async fn flow_requests_are_recorded_with_the_callers_id() {
    let fake = Fake::start().await;
    let request = FlowRequest {
        flow_id: "signup".into(),
        outcome: FlowOutcome::Succeeded.into(),
        ..FlowRequest::default()
    };
    let id = Uuid::now_v7();
    let recorded = client(&fake).record_flow_requests_as(id, std::slice::from_ref(&request)).await.unwrap();
    assert_eq!((recorded.request_id, recorded.accepted_count), (id, 1));
    assert_eq!(fake.seen_now()[0].flow_requests, [request]);
}

#[tokio::test]
async fn executions_are_reported_if_the_service_supports_them() {
    let fake = Fake::start().await;
    let mut metrics = ExecutionMetrics::new();
    assert_eq!(metrics.report("VirusTotal", "one", "url"), None);
    metrics.add_many(MetricType::Success, 3);
    metrics.add(MetricType::QuotaError);
    let report = metrics.report("VirusTotal", "one", "url").unwrap();
    let reports = std::slice::from_ref(&report);
    fake.plan([Plan::AcceptAndFail(failure(Code::Unavailable, "QUEUE_UNAVAILABLE", None))]);
    let recorded = client(&fake).report_executions(reports).await.unwrap().unwrap();
    assert_eq!(recorded.accepted_count, 1);
    let seen = fake.seen_now();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.request_id == recorded.request_id.to_string()));
    assert!(seen.iter().all(|seen| seen.executions == [report.clone()]));
    // A service of an earlier version.
    fake.plan([Plan::Refuse(Status::unimplemented(""))]);
    assert_eq!(client(&fake).report_executions(reports).await.unwrap(), None);
}

#[tokio::test]
async fn temporary_failures_are_retried_with_the_same_id() {
    let fake = Fake::start().await;
    let shortly = Some(Duration::from_millis(1));
    fake.plan([
        Plan::Refuse(failure(Code::Unavailable, "QUEUE_UNAVAILABLE", shortly)),
        Plan::AcceptAndFail(failure(Code::ResourceExhausted, "QUEUE_FULL", shortly)),
        Plan::AcceptAndFail(failure(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None)),
    ]);
    let recorded = client(&fake).record_usage(&[event("a")]).await.unwrap();
    let seen = fake.seen_now();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.request_id == recorded.request_id.to_string()));
    assert_eq!(fake.events(), [event("a")]);
}

#[tokio::test]
async fn a_call_without_an_answer_is_retried_after_its_deadline() {
    let fake = Fake::start().await;
    fake.plan([Plan::AcceptAndHang]);
    let settings =
        settings_of(&fake).call_timeout(Duration::from_millis(200)).patience(Duration::from_hours(1));
    let recorded = Client::new(settings).unwrap().record_usage(&[event("a")]).await.unwrap();
    let seen = fake.seen_now();
    assert!(seen.len() >= 2 && seen.iter().all(|seen| seen.request_id == recorded.request_id.to_string()));
}

#[tokio::test]
async fn a_retry_respects_retry_info_or_does_not_happen() {
    let fake = Fake::start().await;
    let later = Duration::from_hours(2);
    fake.plan([Plan::Refuse(failure(Code::ResourceExhausted, "QUEUE_FULL", Some(later)))]);
    let error = client(&fake).record_usage(&[event("a")]).await.unwrap_err();
    assert_eq!((error.attempts(), error.retry_delay()), (1, Some(later)));
    assert!(error.is_repeatable());
    assert_eq!(fake.seen_now()[0].request_id, error.request_id().to_string());
}

#[tokio::test]
async fn other_failures_are_final() {
    let fake = Fake::start().await;
    for (code, reason) in [
        (Code::ResourceExhausted, "BATCH_TOO_LARGE"),
        (Code::Unauthenticated, "TOKEN_INVALID"),
        (Code::PermissionDenied, "SCOPE_MISSING"),
        (Code::Internal, "INTERNAL"),
    ] {
        fake.plan([Plan::Refuse(failure(code, reason, None))]);
        let error = client(&fake).record_usage(&[event("a")]).await.unwrap_err();
        assert_eq!((error.code(), error.reason(), error.attempts()), (code, Some(reason), 1));
        assert!(!error.is_repeatable());
    }
    assert_eq!(fake.seen_now().len(), 4);
}

#[tokio::test]
async fn invalid_fields_are_in_the_error() {
    let fake = Fake::start().await;
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("events", "expected at least one item");
    let status = Status::with_error_details(Code::InvalidArgument, "no events", details);
    let violation = |field: &str| FieldViolation { field: field.into(), description: "is wrong".into() };
    let rejection = Rejection {
        index: 1,
        reason: "INVALID_FIELD".into(),
        field_violations: vec![violation("events[1].duration")],
    };
    fake.plan([Plan::Refuse(status), Plan::Reject(vec![rejection.clone()])]);

    let error = client(&fake).record_usage(&[]).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "events");
    assert_eq!(error.to_string(), "INVALID_ARGUMENT: no events");
    let recorded = client(&fake).record_usage(&[event("a"), event("b")]).await.unwrap();
    assert_eq!((recorded.accepted_count, recorded.rejections), (1, vec![rejection]));
}

#[tokio::test]
async fn a_failed_or_broken_connection_is_unavailable() {
    let listener = any_port().await;
    let settings = ClientSettings::new(format!("http://{}", listener.local_addr().unwrap()));
    let client = Client::new(settings.patience(Duration::ZERO)).unwrap();

    let breaks = async {
        let mut connection = listener.accept().await.unwrap().0;
        connection.read_exact(&mut [0; 24]).await.unwrap();
    };
    let events = [event("a")];
    let (answer, ()) = tokio::join!(client.record_usage(&events), breaks);
    let error = answer.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");

    drop(listener);
    let error = client.record_usage(&events).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, None));
    assert!(error.message().contains("refused"), "{error}");
}

#[tokio::test]
async fn the_client_reconnects_after_its_connection_breaks() {
    let listener = any_port().await;
    let settings = ClientSettings::new(format!("http://{}", listener.local_addr().unwrap()));
    let client = Client::new(settings.patience(Duration::from_hours(1))).unwrap();
    let comes_back = async {
        let mut connection = listener.accept().await.unwrap().0;
        connection.read_exact(&mut [0; 24]).await.unwrap();
        drop(connection);
        Fake::listen(Server::builder(), listener)
    };
    let events = [event("a")];
    let (answer, fake) = tokio::join!(client.record_usage(&events), comes_back);
    assert_eq!(answer.unwrap().accepted_count, 1);
    assert_eq!(fake.events(), events);
}
