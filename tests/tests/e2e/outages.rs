//! The broker and the database become unavailable and recover.

use std::time::Duration;

use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_proto::v1::{
    CreateFlowRequest, Flow, FlowOutcome, FlowRequest, GetFlowMetricRequest, RecordFlowRequestsRequest,
};
use flowmeter_tests::{Installation, Options, Proxy, event, eventually, request_id, servers};
use tonic::Code;
use tonic_types::StatusExt;

async fn proxy_to(url: &str) -> Proxy {
    Proxy::start(url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned()).await
}

/// An installation whose ingest service reaches the broker through a proxy, and waits at most a second for a
/// confirm.
async fn broker_behind_a_proxy(name: &str) -> (Installation, Proxy) {
    let (_, amqp_url) = servers();
    let proxy = proxy_to(&amqp_url).await;
    let options = Options {
        amqp_url: Some(("ingest", proxy.in_url(&amqp_url))),
        settings: vec![("FLOWMETER_CONFIRM_TIMEOUT".into(), "1s".into())],
        ..Options::default()
    };
    (Installation::start_with(name, options).await, proxy)
}

#[tokio::test]
async fn nothing_is_acknowledged_without_a_broker_and_a_retry_is_safe() {
    let (installation, proxy) = broker_behind_a_proxy("without-a-broker").await;
    let tenant = installation.tenant("acme").await;
    tenant.record(&request_id(), vec![event()]).await.unwrap();
    proxy.go_away();
    let request = request_id();
    let status = tenant.record(&request, vec![event(); 5]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "QUEUE_UNAVAILABLE");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    proxy.recover();
    eventually(true, async || tenant.record(&request, vec![event(); 5]).await.is_ok()).await;
    assert_eq!(tenant.settled(&request).await.accepted_count, 5);
    eventually(6, async || tenant.read_requests().await).await;
}

#[tokio::test]
async fn a_message_without_a_confirm_counts_once() {
    let (installation, proxy) = broker_behind_a_proxy("does-not-confirm").await;
    let tenant = installation.tenant("acme").await;
    tenant.record(&request_id(), vec![event()]).await.unwrap();
    // The connection is cut when the message may or may not have arrived, so the caller retries.
    let request = request_id();
    let (answer, ()) = tokio::join!(tenant.record(&request, vec![event(); 5]), async {
        tokio::time::sleep(Duration::from_millis(3)).await;
        proxy.go_away();
    });
    proxy.recover();
    if answer.is_err() {
        eventually(true, async || tenant.record(&request, vec![event(); 5]).await.is_ok()).await;
    }
    assert_eq!(tenant.settled(&request).await.accepted_count, 5);
    assert_eq!(tenant.read_requests().await, 6);
}

#[tokio::test]
async fn nothing_is_acknowledged_for_a_deleted_queue() {
    let settings = vec![("FLOWMETER_CONFIRM_TIMEOUT".into(), "2s".into())];
    let mut installation =
        Installation::start_with("queue-gone", Options { settings, ..Options::default() }).await;
    let tenant = installation.tenant("acme").await;
    let first = request_id();
    tenant.record(&first, vec![event()]).await.unwrap();
    tenant.settled(&first).await;
    // Without a worker only the ingest service can declare the queue again.
    installation.worker.kill9().unwrap();
    let (_, amqp_url) = servers();
    let connection =
        lapin::Connection::connect(&amqp_url, lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete("queue-gone.requests.0".into(), lapin::options::QueueDeleteOptions::default())
        .await
        .unwrap();
    let request = request_id();
    // Unless the ingest service has noticed by a message without requests, and declared the queue again already.
    if let Err(status) = tenant.record(&request, vec![event(); 3]).await {
        assert_eq!(status.code(), Code::Unavailable);
    }
    // It declares the queue again, and a retry succeeds.
    eventually(true, async || tenant.record(&request, vec![event(); 3]).await.is_ok()).await;
    installation.worker.start_again().unwrap();
    assert_eq!(tenant.settled(&request).await.accepted_count, 3);
    assert_eq!(tenant.read_requests().await, 4);
}

#[tokio::test]
async fn a_dropped_week_accepts_late_events_again() {
    let installation = Installation::start("late-week").await;
    let tenant = installation.tenant("acme").await;
    let now: prost_types::Timestamp = std::time::SystemTime::now().into();
    let old = flowmeter_proto::v1::UsageEvent {
        timestamp: Some(prost_types::Timestamp { seconds: now.seconds - 100 * 86_400, nanos: 0 }),
        ..event()
    };
    let first = request_id();
    tenant.record(&first, vec![old.clone()]).await.unwrap();
    tenant.settled(&first).await;
    let client = installation.store.client().await.unwrap();
    let partitions =
        "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'event_segment'::regclass";
    let name: String = client.query_one(partitions, &[]).await.unwrap().get(0);
    client.batch_execute(&format!("DROP TABLE {name}")).await.unwrap();
    let late = request_id();
    tenant.record(&late, vec![old]).await.unwrap();
    assert_eq!(tenant.settled(&late).await.state(), State::Applied);
    assert_eq!(tenant.settled(&late).await.accepted_count, 1);
}

#[tokio::test]
async fn ingest_continues_while_the_database_is_unavailable() {
    let (database_url, _) = servers();
    let proxy = proxy_to(&database_url).await;
    // The harness creates a database for each test under this name.
    let direct = database_url.rsplit_once('/').unwrap().0;
    let own = format!("{direct}/test_database_away");
    let options = Options { database_url: Some(("ingest", proxy.in_url(&own))), ..Options::default() };
    let installation = Installation::start_with("database-away", options).await;
    let tenant = installation.tenant("acme").await;
    tenant.record(&request_id(), vec![event()]).await.unwrap();
    let flow = Flow { id: "flow".into(), ..Flow::default() };
    tenant.catalog.clone().create_flow(CreateFlowRequest { flow: Some(flow) }).await.unwrap();
    let record_flow = async |flow: &str| {
        let item = FlowRequest {
            flow_id: flow.into(),
            outcome: FlowOutcome::Succeeded.into(),
            count: Some(100),
            ..FlowRequest::default()
        };
        let request = RecordFlowRequestsRequest { requests: vec![item], request_id: request_id() };
        tenant.ingest.clone().record_flow_requests(request).await
    };
    assert_eq!(record_flow("flow").await.unwrap().into_inner().accepted_count, 1);
    proxy.go_away();
    // Wait until the cached tokens and flows have expired.
    let begin = std::time::Instant::now();
    let mut sent = 1;
    while begin.elapsed() < Duration::from_secs(12) {
        tenant.record(&request_id(), vec![event()]).await.unwrap();
        assert_eq!(record_flow("flow").await.unwrap().into_inner().accepted_count, 1);
        sent += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // The service cannot find out whether this flow is registered.
    assert_eq!(record_flow("other").await.unwrap_err().code(), Code::Unavailable);
    eventually(sent, async || tenant.read_requests().await).await;
    let question = GetFlowMetricRequest {
        flow_id: "flow".into(),
        name: "ENDPOINT_REQUEST_COUNT".into(),
        granularity: "LIFETIME".into(),
        ..GetFlowMetricRequest::default()
    };
    let counted = async || {
        let answer = tenant.query.clone().get_flow_metric(question.clone()).await.unwrap().into_inner();
        answer.metric.unwrap().data_points[0].data[0].value().to_string()
    };
    eventually((100 * sent).to_string(), counted).await;
}

#[tokio::test]
async fn a_worker_applies_everything_after_an_outage_of_its_database() {
    let (database_url, _) = servers();
    let proxy = proxy_to(&database_url).await;
    let direct = database_url.rsplit_once('/').unwrap().0;
    let own = format!("{direct}/test_applies_later");
    let options = Options { database_url: Some(("worker", proxy.in_url(&own))), ..Options::default() };
    let installation = Installation::start_with("applies-later", options).await;
    let tenant = installation.tenant("acme").await;
    let first = request_id();
    tenant.record(&first, vec![event()]).await.unwrap();
    tenant.settled(&first).await;
    proxy.go_away();
    let mut last = String::new();
    for _ in 0..10 {
        last = request_id();
        tenant.record(&last, vec![event(); 10]).await.unwrap();
    }
    assert_eq!(tenant.read_requests().await, 1);
    proxy.recover();
    eventually(State::Applied, async || tenant.settled(&last).await.state()).await;
    assert_eq!(tenant.read_requests().await, 101);
}
