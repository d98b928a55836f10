//! Executions reported in the background.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use flowmeter_client::{
    Batcher, BatcherSettings, Client, ExecutionMetric, ExecutionReport, ExecutionSchedule, Incident,
    IncidentItems, MetricType, RecordError, Rejection, Tally,
};
use flowmeter_fake::{Fake, Plan, event, failure};
use tonic::{Code, Status};

use crate::connect::{client, client_of_a_service_with};

/// Batches that are sent only when they are full or flushed.
fn settings() -> BatcherSettings {
    BatcherSettings::new().max_age(Duration::from_hours(1)).in_flight(1)
}

/// A report with a command of its own.
fn report(command: usize, metrics: usize) -> ExecutionReport {
    ExecutionReport {
        integration: "VirusTotal".into(),
        command: command.to_string(),
        metrics: vec![ExecutionMetric { r#type: "Successful".into(), count: 1 }; metrics],
        ..ExecutionReport::default()
    }
}

fn reports(fake: &Fake) -> Vec<ExecutionReport> {
    fake.seen_now().into_iter().flat_map(|seen| seen.executions).collect()
}

fn batch_sizes(fake: &Fake) -> Vec<usize> {
    fake.seen_now().iter().map(|seen| seen.executions.len()).collect()
}

async fn report_all(batcher: &Batcher, count: usize) {
    for number in 0..count {
        batcher.report_execution(report(number, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_guard_reports_its_metrics_also_in_a_panic() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings());
    let mut execution = batcher.start_execution("VirusTotal", "one", "url");
    execution.metrics_mut().add_many(MetricType::Success, 3);
    execution.metrics_mut().add(MetricType::QuotaError);
    drop(execution);
    drop(batcher.start_execution("VirusTotal", "one", "nothing"));
    let mut discarded = batcher.start_execution("VirusTotal", "one", "discarded");
    discarded.metrics_mut().add(MetricType::Success);
    discarded.discard();
    let mut panics = batcher.start_execution("VirusTotal", "one", "panicked");
    let result = tokio::spawn(async move {
        panics.metrics_mut().add(MetricType::ServiceError);
        panic!("as planned");
    });
    assert!(result.await.unwrap_err().is_panic());
    let mut polling = batcher.start_execution("VirusTotal", "one", "polled").polling();
    polling.metrics_mut().add(MetricType::QuotaError);
    polling.set_schedule(ExecutionSchedule { id: "run-1".into(), ..ExecutionSchedule::default() });
    drop(polling);
    batcher.flush().await;

    let reports = reports(&fake);
    let reported: Vec<_> = reports
        .iter()
        .map(|report| (report.command.as_str(), report.metrics.len(), report.schedule.is_some()))
        .collect();
    assert_eq!(reported, [("url", 2, false), ("panicked", 1, false), ("polled", 0, true)]);
    assert!(reports.iter().all(|report| report.timestamp.is_some()), "it happened before it was sent");
    assert_eq!((reports[0].integration.as_str(), reports[0].instance.as_str()), ("VirusTotal", "one"));
    let tally = batcher.stats().executions;
    assert_eq!((tally.recorded, tally.accepted, tally.unsettled()), (3, 3, 0));
}

#[tokio::test]
async fn a_failed_batch_is_retried_with_the_same_id() {
    let fake = Fake::start().await;
    let again = || failure(Code::Unavailable, "QUEUE_UNAVAILABLE", Some(Duration::from_millis(1)));
    fake.plan([Plan::AcceptAndFail(again()), Plan::Refuse(again())]);
    let batcher = client(&fake).batcher(settings());
    report_all(&batcher, 3).await;
    assert!(batcher.shutdown(Duration::from_hours(1)).await.is_none());
    let seen = fake.seen_now();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|attempt| attempt.executions == seen[0].executions));
    assert_eq!(seen.iter().map(|seen| &seen.request_id).collect::<HashSet<_>>().len(), 1);
    assert_eq!(batcher.try_report_execution(report(4, 1)), Err(RecordError::Closed));
    let tally = batcher.stats().executions;
    assert_eq!((tally.recorded, tally.accepted, tally.dropped), (3, 3, 1));
}

#[tokio::test]
async fn a_batch_has_no_more_metrics_than_the_service_allows() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_bytes(4 << 20));
    for number in 0..101 {
        batcher.report_execution(report(number, 100)).await.unwrap();
    }
    batcher.flush().await;
    assert_eq!(batch_sizes(&fake), [100, 1]);
}

#[tokio::test]
async fn a_report_uses_the_room_of_its_events() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_bytes(100_000));
    let mut large = report(0, 50);
    large.integration = "x".repeat(1_000);
    for _ in 0..2 {
        batcher.report_execution(large.clone()).await.unwrap();
    }
    batcher.flush().await;
    assert_eq!(batch_sizes(&fake), [1, 1]);
    large.metrics.extend(large.metrics.clone());
    let error = batcher.report_execution(large).await.unwrap_err();
    assert!(matches!(error, RecordError::TooLarge { max_bytes: 100_000, .. }), "{error}");
    assert_eq!(batcher.stats().executions.dropped, 1);
}

#[tokio::test]
async fn a_report_waits_or_is_dropped_when_the_buffer_is_full() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().buffer_items(2));
    fake.hold();
    report_all(&batcher, 2).await;
    assert_eq!(batcher.try_report_execution(report(2, 1)), Err(RecordError::Full));
    let waiting = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.report_execution(report(3, 1)).await }
    });
    fake.seen(1).await;
    fake.release();
    waiting.await.unwrap().unwrap();
    batcher.flush().await;
    let tally = batcher.stats().executions;
    assert_eq!((tally.recorded, tally.accepted, tally.dropped), (3, 3, 1));
}

#[tokio::test]
async fn losses_are_reported() {
    let fake = Fake::start().await;
    let rejection = Rejection { index: 1, reason: "INVALID_FIELD".into(), ..Rejection::default() };
    let too_large = || Plan::Refuse(failure(Code::ResourceExhausted, "BATCH_TOO_LARGE", None));
    let (sender, incidents) = mpsc::channel();
    let batcher =
        client(&fake).batcher(settings().on_incident(move |incident| sender.send(incident).unwrap()));

    // In halves, of which the second has a wrong report, which is the last.
    fake.plan([too_large(), Plan::Accept, Plan::Reject(vec![rejection.clone()])]);
    report_all(&batcher, 4).await;
    batcher.flush().await;
    assert_eq!(batch_sizes(&fake), [4, 2, 2]);
    match incidents.recv().unwrap() {
        Incident::Rejected { items: IncidentItems::Executions(reports), rejections, .. } => {
            assert_eq!((reports[0].command.as_str(), rejections), ("3", vec![rejection]));
        }
        other => panic!("{other:?}"),
    }

    fake.plan([Plan::Refuse(failure(Code::Unauthenticated, "TOKEN_EXPIRED", None))]);
    report_all(&batcher, 1).await;
    let lost = batcher.shutdown(Duration::from_hours(1)).await;
    assert_eq!((lost.executions, lost.usage), (1, 0));
    match incidents.recv().unwrap() {
        Incident::GivenUp { items: IncidentItems::Executions(reports), error: Some(error), .. } => {
            assert_eq!((reports.len(), error.code()), (1, Code::Unauthenticated));
        }
        other => panic!("{other:?}"),
    }
    let tally = batcher.stats().executions;
    assert_eq!((tally.accepted, tally.rejected, tally.given_up), (3, 1, 1));
}

/// Reports three executions in the background, and returns their results.
async fn in_the_background(client: &Client) -> Tally {
    let observed = |incident| panic!("{incident:?}");
    let batcher = client.batcher(settings().on_incident(observed));
    report_all(&batcher, 2).await;
    let mut execution = batcher.start_execution("VirusTotal", "one", "url");
    execution.metrics_mut().add(MetricType::Success);
    drop(execution);
    assert!(batcher.shutdown(Duration::from_hours(1)).await.is_none());
    batcher.stats().executions
}

#[tokio::test]
async fn nothing_is_sent_to_a_service_without_executions() {
    let fake = Fake::start().await;
    let client = client_of_a_service_with(&fake, &["teleportation"]);
    assert!(client.report_executions(&[report(0, 1)]).await.unwrap().is_none());
    let tally = in_the_background(&client).await;
    assert_eq!((tally.recorded, tally.unsupported, tally.given_up, tally.unsettled()), (3, 3, 0, 0));
    assert_eq!(fake.seen_now(), []);
    assert_eq!(*fake.build_info_calls.lock().unwrap(), 1, "the answer is cached");
    client.record_usage(&[event(0)]).await.unwrap();
    assert_eq!(fake.seen_now().len(), 1, "other reports need no feature");

    let fake = Fake::start().await;
    let client = client_of_a_service_with(&fake, &["teleportation", "executions"]);
    assert_eq!(client.report_executions(&[report(0, 1)]).await.unwrap().unwrap().accepted_count, 1);
    let tally = in_the_background(&client).await;
    assert_eq!((tally.accepted, tally.unsupported, fake.executions().len()), (3, 0, 4));
}

#[tokio::test]
async fn executions_are_unsupported_if_the_service_refuses_them() {
    let fake = Fake::start().await;
    fake.plan([Plan::Refuse(Status::unimplemented("")), Plan::Refuse(Status::unimplemented(""))]);
    assert!(client(&fake).report_executions(&[report(0, 1)]).await.unwrap().is_none());
    let tally = in_the_background(&client(&fake)).await;
    assert_eq!((tally.recorded, tally.unsupported, tally.given_up), (3, 3, 0));
}
