//! Panics. A panic in a background task ends the service, and nothing is lost. A panic in a method is an
//! error for the caller, and the service continues.
//!
//! The panics are real. Code panics when it reads a column of another type, as after a wrong migration.

use std::path::Path;
use std::time::Duration;

use flowmeter_proto::v1::GetReceiptRequest;
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_stack::Service;
use flowmeter_tests::{Installation, event, eventually, request_id};
use futures::future::join_all;
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;

/// Changes the type of a column.
async fn change_type(installation: &Installation, table: &str, column: &str, to: &str) {
    let statement = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {to}");
    installation.store.client().await.unwrap().batch_execute(&statement).await.unwrap();
}

/// The entries of a log with this message.
fn entries(log: &Path, message: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(log).unwrap();
    let entries = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    entries.filter(|entry: &Value| entry["fields"]["message"] == message).collect()
}

/// Waits for a service to end, and describes how it ended.
async fn ended(service: &mut Service) -> String {
    let mut failure = None;
    eventually(true, async || {
        failure = service.failure().unwrap();
        failure.is_some()
    })
    .await;
    failure.unwrap()
}

#[tokio::test]
async fn a_worker_ends_with_an_error_and_loses_nothing_when_its_shard_panics() {
    let mut installation = Installation::start("shard-panics").await;
    let tenant = installation.tenant("acme").await;
    let first = request_id();
    tenant.record(&first, vec![event()]).await.unwrap();
    assert_eq!(tenant.settled(&first).await.state(), State::Applied);
    installation.worker.kill9().unwrap();

    // A worker reads the generation of a tenant's metrics in each transaction.
    let generation = "INSERT INTO tenant_catalog SELECT tenant_id, 1 FROM tenant";
    installation.store.client().await.unwrap().batch_execute(generation).await.unwrap();
    change_type(&installation, "tenant_catalog", "generation", "bigint").await;
    let requests: Vec<_> = (0..5).map(|_| request_id()).collect();
    let recorded = join_all(requests.iter().map(|request| tenant.record(request, vec![event(); 3]))).await;
    assert!(recorded.iter().all(Result::is_ok), "acknowledged: {recorded:?}");
    let log = installation.worker.log().with_file_name("another-worker.log");
    let _ = std::fs::remove_file(&log);
    let mut worker = installation.start_another_worker();
    let begun = std::time::Instant::now();
    let failure = ended(&mut worker).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
    assert!(failure.contains("ended with exit code 1"), "{failure}");
    let [failed] = &entries(&log, "a background task failed")[..] else { panic!("{failure}") };
    assert_eq!(failed["fields"]["task"], "shard 0");
    let cause = failed["fields"]["cause"].as_str().unwrap();
    assert!(cause.starts_with("it panicked: ") && cause.contains("column 1"), "{cause}");
    let [panicked] = &entries(&log, "panicked")[..] else { panic!("{failure}") };
    assert_eq!(panicked["spans"][0]["task"], "shard 0", "{panicked}");
    assert!(panicked["fields"]["location"].as_str().unwrap().contains(".rs:"), "{panicked}");
    assert_eq!(tenant.read_requests().await, 1, "no event of the later requests is applied");

    change_type(&installation, "tenant_catalog", "generation", "integer").await;
    let _worker = installation.start_another_worker();
    for request in &requests {
        let receipt = tenant.settled(request).await;
        assert_eq!((receipt.state(), receipt.accepted_count), (State::Applied, 3));
    }
    assert_eq!(tenant.read_requests().await, 16);
}

#[tokio::test]
async fn a_panic_in_a_method_is_an_internal_error_and_the_service_continues() {
    let mut installation = Installation::start("method-panics").await;
    let tenant = installation.tenant("acme").await;
    let request = request_id();
    tenant.record(&request, vec![event()]).await.unwrap();
    assert_eq!(tenant.settled(&request).await.state(), State::Applied);
    let log = installation.query.log();
    let earlier = entries(&log, "panicked").len();

    change_type(&installation, "ingest_request", "accepted", "bigint").await;
    let ask = GetReceiptRequest { request_id: request.clone(), wait: false };
    let status = tenant.query.clone().get_receipt(ask).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "INTERNAL");
    assert_eq!(entries(&log, "panicked").len(), earlier + 1);
    let defects = entries(&log, "internal error");
    let incident = defects.last().unwrap()["fields"]["incident_id"].as_str().unwrap();
    assert!(status.message().ends_with(incident), "{}: {incident}", status.message());
    assert_eq!(status.get_error_details().error_info().unwrap().metadata["incident_id"], incident);

    change_type(&installation, "ingest_request", "accepted", "integer").await;
    assert_eq!(tenant.settled(&request).await.accepted_count, 1);
    assert_eq!(installation.query.failure().unwrap(), None);
}
