//! Every acknowledged event is counted exactly once, despite retries, redeliveries and killed workers.

use std::time::Duration;

use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_proto::v1::{QueryTimeSeriesRequest, UsageEvent};
use flowmeter_tests::{Installation, Options, Proxy, event, eventually, request_id, servers};
use futures::future::join_all;
use prost_types::Timestamp;

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

#[tokio::test]
async fn five_concurrent_retries_of_a_request_count_once() {
    let installation = Installation::start("five-times").await;
    let tenant = installation.tenant("acme").await;
    let request = request_id();
    let events = vec![event(); 100];
    let answers = join_all((0..5).map(|_| tenant.record(&request, events.clone()))).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().event_ids).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "a retry returns the same ids");
    assert_eq!(tenant.settled(&request).await.accepted_count, 100);
    // When this later request is applied, the earlier ones have been applied too.
    let behind = request_id();
    tenant.record(&behind, vec![event()]).await.unwrap();
    tenant.settled(&behind).await;
    assert_eq!(tenant.read_requests().await, 101);
}

#[tokio::test]
async fn the_same_event_in_different_requests_counts_once() {
    let installation = Installation::start("same-event").await;
    let tenant = installation.tenant("acme").await;
    let named = |id: &str, duration| UsageEvent {
        event_id: id.into(),
        timestamp: Some(now()),
        duration: Some(duration),
        ..event()
    };
    let (first, second) = (named("a", 1), named("b", 2));
    let request = request_id();
    // One event occurs twice within the batch.
    tenant.record(&request, vec![first.clone(), second.clone(), first.clone()]).await.unwrap();
    let receipt = tenant.settled(&request).await;
    assert_eq!((receipt.accepted_count, receipt.duplicate_count, receipt.conflict_count), (2, 1, 0));

    let third = named("c", 3);
    let changed = UsageEvent { duration: Some(99), ..second.clone() };
    let request = request_id();
    tenant.record(&request, vec![first, changed, third]).await.unwrap();
    let receipt = tenant.settled(&request).await;
    assert_eq!(receipt.state(), State::Applied);
    assert_eq!((receipt.accepted_count, receipt.duplicate_count, receipt.conflict_count), (1, 1, 1));

    assert_eq!(tenant.read_requests().await, 3);
    let durations = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequestDuration".into(),
        calendar: "#P1Y".into(),
        observed: flowmeter_proto::v1::Observed::Summed.into(),
        range: "from(2000)".into(),
        ..QueryTimeSeriesRequest::default()
    };
    let points = tenant.series(durations).await.unwrap();
    assert_eq!(
        points.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["6"],
        "the first event is kept"
    );
}

#[tokio::test]
async fn a_worker_killed_between_commit_and_ack_counts_once() {
    let (_, amqp_url) = servers();
    let host = amqp_url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let proxy = Proxy::start(host).await;
    let options = Options { amqp_url: Some(("worker", proxy.in_url(&amqp_url))), ..Options::default() };
    let mut installation = Installation::start_with("commit-and-ack", options).await;
    let tenant = installation.tenant("acme").await;
    let before = request_id();
    tenant.record(&before, vec![event(); 10]).await.unwrap();
    tenant.settled(&before).await;

    // From now on no acknowledgement reaches the broker, while commits succeed.
    proxy.discard_requests();
    let lost = request_id();
    tenant.record(&lost, vec![event(); 10]).await.unwrap();
    assert_eq!(tenant.settled(&lost).await.state(), State::Applied);
    installation.worker.kill9().unwrap();
    proxy.go_away();
    proxy.recover();
    installation.worker.start_again().unwrap();

    // The broker delivers the request again. Once a later request is applied, it has been processed.
    let behind = request_id();
    tenant.record(&behind, vec![event(); 10]).await.unwrap();
    assert_eq!(tenant.settled(&behind).await.state(), State::Applied);
    assert_eq!(tenant.read_requests().await, 30);
    assert_eq!(tenant.settled(&lost).await.duplicate_count, 0);
}

#[tokio::test]
async fn repeatedly_killed_workers_lose_and_duplicate_nothing() {
    let mut installation = Installation::start("killed-over-and-over").await;
    let tenant = installation.tenant("acme").await;
    let mut sent = 0;
    let mut last = String::new();
    for round in 0..4 {
        for _ in 0..20 {
            last = request_id();
            let answer = tenant.record(&last, vec![event(); 50]).await.unwrap();
            sent += i64::from(answer.accepted_count);
        }
        // Kill the worker at a different moment each time.
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        installation.worker.kill9().unwrap();
        installation.worker.start_again().unwrap();
    }
    assert_eq!(tenant.settled(&last).await.state(), State::Applied);
    eventually(sent, async || tenant.read_requests().await).await;
}

/// The number of orders. Several senders report each of them.
const ORDERS: usize = 300;

#[tokio::test]
async fn several_workers_and_shards_count_once() {
    let settings = vec![("FLOWMETER_SHARDS".to_owned(), "2".to_owned())];
    let options = Options { settings, ..Options::default() };
    let installation = Installation::start_with("several-workers", options).await;
    let mut another = installation.start_another_worker();
    let tenant = installation.tenant("acme").await;
    let time = now();
    let named =
        |number: usize| UsageEvent { event_id: format!("order-{number}"), timestamp: Some(time), ..event() };
    // Each sender reports the same orders in a different sequence, and some events of its own, so that
    // concurrent transactions of both workers contain the same keys.
    let senders = (0..8_usize).map(|sender| {
        let tenant = tenant.clone();
        async move {
            let mut requests = Vec::new();
            for start in (0..ORDERS).step_by(30) {
                let place = |step| ((start + step) * (2 * sender + 1)) % ORDERS;
                let mut events: Vec<_> = (0..30).map(|step| named(place(step))).collect();
                events.push(event());
                let request = request_id();
                tenant.record(&request, events).await.unwrap();
                requests.push(request);
            }
            requests
        }
    });
    let requests: Vec<_> = join_all(senders).await.into_iter().flatten().collect();
    another.kill9().unwrap();
    let mut accepted = 0;
    for request in &requests {
        let receipt = tenant.settled(request).await;
        assert_eq!((receipt.state(), receipt.conflict_count), (State::Applied, 0));
        accepted += i64::from(receipt.accepted_count);
    }
    assert_eq!(accepted, tenant.read_requests().await);
    let orders: std::collections::HashSet<_> = (0..8_usize)
        .flat_map(|sender| (0..ORDERS).map(move |step| (step * (2 * sender + 1)) % ORDERS))
        .collect();
    assert_eq!(accepted, i64::try_from(orders.len() + requests.len()).unwrap());
}
