//! The examples of the reference with the client library and the real services: a run that reports, and a run that
//! schedules rate-limited items and polls until the deadline. And many runs while the ingest service is killed.

use std::time::{Duration, SystemTime};

use flowmeter_client::{
    BatcherSettings, Client, ClientSettings, ExecutionMetrics, ExecutionSchedule, MetricType,
};
use flowmeter_proto::v1::QueryExecutionsRequest;
use flowmeter_tests::{Installation, Tenant, eventually};

use super::{ask, grouped, totals};

fn client(installation: &Installation, tenant: &Tenant) -> Client {
    let settings = ClientSettings::new(installation.ingest.url())
        .query_url(installation.query.url())
        .token(&tenant.token);
    Client::new(settings).unwrap()
}

/// The number of calls by type.
async fn by_type(tenant: &Tenant, after: &str) -> Vec<(String, i64)> {
    let question = QueryExecutionsRequest { after_request_id: after.into(), ..grouped(&["type"]) };
    let answer = ask(tenant, question).await.unwrap();
    totals(&answer, &["type"]).into_iter().map(|(mut labels, count)| (labels.remove(0), count)).collect()
}

fn own(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_run_reports_the_results_of_its_calls() {
    let installation = Installation::start("client-executions").await;
    let tenant = installation.tenant("acme").await;
    let client = client(&installation, &tenant);
    assert!(client.is_supported("executions").await);
    assert!(!client.is_supported("teleportation").await);
    let mut metrics = ExecutionMetrics::new();
    for status in [200, 404, 429] {
        metrics.add(MetricType::of_http_status(status));
    }
    let report = metrics.report("Sample", "Sample_instance_1", "url").unwrap();
    let recorded = client.report_executions(&[report]).await.unwrap().unwrap();
    assert_eq!((recorded.accepted_count, recorded.rejections.len()), (1, 0));
    let expected = own(&[("GeneralError", 1), ("OutOfQuota", 1), ("Successful", 1)]);
    assert_eq!(by_type(&tenant, &recorded.request_id.to_string()).await, expected);
}

#[tokio::test]
async fn scheduled_items_count_once_however_often_they_are_polled() {
    let installation = Installation::start("client-polling").await;
    let tenant = installation.tenant("acme").await;
    let client = client(&installation, &tenant);
    let deadline = SystemTime::now() + Duration::from_secs(3);
    let schedule = |items| ExecutionSchedule {
        id: "run-1".into(),
        items_remaining: items,
        deadline: Some(deadline.into()),
    };
    // Ten URLs: five succeed, one fails, and four are rate-limited, which is counted, and retried.
    let mut first = ExecutionMetrics::new();
    first.add_many(MetricType::Success, 5);
    first.add(MetricType::GeneralError);
    first.add_many(MetricType::QuotaError, 4);
    let mut report = first.report_or_empty("Sample", "Sample_instance_1", "url");
    report.schedule = Some(schedule(4));
    let recorded = client.report_executions(&[report]).await.unwrap().unwrap();
    let counted = own(&[("GeneralError", 1), ("OutOfQuota", 4), ("Successful", 5)]);
    assert_eq!(by_type(&tenant, &recorded.request_id.to_string()).await, counted);

    // One of the four succeeds when it is polled; the others are rate-limited again.
    let mut polling = ExecutionMetrics::polling();
    polling.add(MetricType::Success);
    polling.add_many(MetricType::QuotaError, 3);
    assert_eq!(polling.metrics(), None, "a single attempt is not counted");
    let mut report = polling.report_or_empty("Sample", "Sample_instance_1", "url");
    report.schedule = Some(schedule(3));
    client.report_executions(&[report]).await.unwrap().unwrap();

    let expected = own(&[("GeneralError", 1), ("OutOfQuota", 4), ("RetryTimeout", 3), ("Successful", 5)]);
    eventually(expected, async || by_type(&tenant, "").await).await;
}

#[tokio::test]
async fn a_batcher_counts_every_execution_once_while_the_service_is_killed() {
    const EXECUTIONS: i64 = 3_000;
    let mut installation = Installation::start("client-execution-batcher").await;
    let tenant = installation.tenant("acme").await;
    let settings = ClientSettings::new(installation.ingest.url()).token(&tenant.token);
    let settings = settings.call_timeout(Duration::from_secs(5));
    let batching = BatcherSettings::default().batch_items(50).max_age(Duration::from_millis(20));
    let batcher = Client::new(settings).unwrap().batcher(batching);
    for number in 0..EXECUTIONS {
        if number % 2 == 0 {
            let mut metrics = ExecutionMetrics::new();
            metrics.add_many(MetricType::Success, 3);
            metrics.add(MetricType::AuthError);
            let report = metrics.report("Sample", "Sample_instance_1", "url").unwrap();
            batcher.report_execution(report).await.unwrap();
        } else {
            // The execution is reported when the guard is dropped.
            let mut execution = batcher.start_execution("Sample", "Sample_instance_2", "url");
            execution.metrics_mut().add(MetricType::QuotaError);
        }
        if number % 1_000 == 500 {
            installation.ingest.kill9().unwrap();
        }
        if number % 1_000 == 700 {
            installation.ingest.start_again().unwrap();
        }
        tokio::task::yield_now().await;
    }
    let lost = batcher.shutdown(Duration::from_mins(1)).await;
    assert!(lost.is_none(), "{lost:?}");
    let tally = batcher.stats().executions;
    assert_eq!(i64::try_from(tally.accepted).unwrap(), EXECUTIONS, "{tally:?}");
    let half = EXECUTIONS / 2;
    let expected = own(&[("AuthError", half), ("OutOfQuota", half), ("Successful", 3 * half)]);
    eventually(expected, async || by_type(&tenant, "").await).await;
}
