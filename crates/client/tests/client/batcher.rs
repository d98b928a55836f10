//! Reporting in the background: when batches are sent, what happens when the buffer is full, and how losses are reported.

use std::sync::mpsc;
use std::time::Duration;

use flowmeter_client::{
    Batcher, BatcherSettings, FlowOutcome, FlowRequest, Incident, IncidentItems, RecordError, Rejection,
    UsageEvent,
};
use flowmeter_fake::{Fake, Plan, Seen, event, failure};
use tonic::Code;

use crate::connect::client;

/// Longer than any test runs.
const NEVER: Duration = Duration::from_hours(1);

/// Batches that are sent only when they are full or flushed.
fn settings() -> BatcherSettings {
    BatcherSettings::new().max_age(NEVER)
}

fn batch_sizes(seen: &[Seen]) -> Vec<usize> {
    seen.iter().map(|seen| seen.events.len()).collect()
}

async fn record_all(batcher: &Batcher, count: usize) {
    for number in 0..count {
        batcher.record(event(number)).await.unwrap();
    }
}

fn incidents(settings: BatcherSettings) -> (BatcherSettings, mpsc::Receiver<Incident>) {
    let (sender, receiver) = mpsc::channel();
    (settings.on_incident(move |incident| sender.send(incident).unwrap()), receiver)
}

#[tokio::test]
async fn a_batch_is_sent_when_it_is_full() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_items(3).in_flight(1));
    record_all(&batcher, 7).await;
    assert_eq!(batch_sizes(&fake.seen(2).await), [3, 3]);
    batcher.flush().await;
    assert_eq!(batch_sizes(&fake.seen_now()), [3, 3, 1]);

    let size = prost::Message::encoded_len(&UsageEvent {
        timestamp: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 999_999_999 }),
        ..event("0")
    });
    let batcher = client(&fake).batcher(settings().batch_bytes(size * 2).in_flight(1));
    record_all(&batcher, 4).await;
    assert_eq!(batch_sizes(&fake.seen(4).await)[3], 2);
}

#[tokio::test]
async fn a_batch_is_sent_when_it_is_old() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().max_age(Duration::from_millis(5)));
    for number in 0..3 {
        batcher.record(event(number)).await.unwrap();
        fake.seen(number + 1).await;
    }
    let seen = fake.seen_now();
    assert_eq!(batch_sizes(&seen), [1, 1, 1]);
    // An event that waits happened when it was given, but a name needs a time of its own.
    assert!(seen[0].events[0].timestamp.is_some());
    batcher.record(UsageEvent { event_id: "a".into(), ..event(3) }).await.unwrap();
    assert!(fake.seen(4).await[3].events[0].timestamp.is_none());
}

#[tokio::test]
async fn requests_in_flight_are_limited() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_items(1).in_flight(2));
    fake.hold();
    record_all(&batcher, 20).await;
    fake.seen(2).await;
    fake.release();
    batcher.flush().await;
    assert_eq!((fake.most_active(), fake.events().len()), (2, 20));
}

#[tokio::test]
async fn an_event_waits_or_is_dropped_when_the_buffer_is_full() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_items(100).buffer_items(2));
    fake.hold();
    record_all(&batcher, 2).await;
    assert_eq!(batcher.try_record(event("dropped")), Err(RecordError::Full));
    let request = FlowRequest { flow_id: "a".into(), ..FlowRequest::default() };
    assert_eq!(batcher.try_record_flow_request(request), Err(RecordError::Full));
    let waiting = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.record(event("waited")).await }
    });
    // Waiting for room sends what is there, although it is neither full nor old.
    fake.seen(1).await;
    assert!(!waiting.is_finished());
    assert_eq!(batcher.stats().usage.unsettled(), 2);
    fake.release();
    waiting.await.unwrap().unwrap();
    batcher.flush().await;
    let stats = batcher.stats();
    assert_eq!((stats.usage.recorded, stats.usage.accepted, stats.usage.dropped), (3, 3, 1));
    assert_eq!((stats.usage.unsettled(), stats.flow_requests.dropped), (0, 1));
}

#[tokio::test]
async fn the_first_drop_is_reported_immediately_and_the_rest_at_shutdown() {
    let fake = Fake::start().await;
    let (sender, mut incidents) = tokio::sync::mpsc::unbounded_channel();
    let observed = move |incident| sender.send(incident).unwrap();
    let settings = settings().batch_items(100).batch_bytes(1000).buffer_items(2).on_incident(observed);
    let batcher = client(&fake).batcher(settings);
    record_all(&batcher, 2).await;
    assert_eq!(batcher.try_record(event("dropped")), Err(RecordError::Full));
    match incidents.recv().await.unwrap() {
        Incident::Dropped { count: 1, error: RecordError::Full } => {}
        other => panic!("{other:?}"),
    }
    // Of all kinds together, by their counts.
    drop(batcher.start(event("dropped")));
    let request = FlowRequest { flow_id: "a".into(), count: Some(20), ..FlowRequest::default() };
    assert_eq!(batcher.try_record_flow_request(request), Err(RecordError::Full));
    let error = batcher.try_record(event("x".repeat(2000))).unwrap_err();
    assert!(batcher.shutdown(NEVER).await.is_none());
    match incidents.recv().await.unwrap() {
        Incident::Dropped { count: 22, error: last } => assert_eq!(last, error),
        other => panic!("{other:?}"),
    }
    assert_eq!(batcher.try_record(event("late")), Err(RecordError::Closed));
    let stats = batcher.stats();
    assert_eq!((stats.usage.dropped, stats.flow_requests.dropped), (4, 20));
    drop(batcher);
    assert!(incidents.recv().await.is_none(), "drops after the shutdown are only counted");
}

#[tokio::test]
async fn an_item_larger_than_a_batch_is_dropped() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_bytes(1000).buffer_bytes(500));
    let error = batcher.record(event("x".repeat(600))).await.unwrap_err();
    assert!(matches!(error, RecordError::TooLarge { max_bytes: 500, .. }), "{error}");
    assert_eq!(batcher.stats().usage.dropped, 1);
    batcher.record(event("x".repeat(400))).await.unwrap();
    batcher.flush().await;
    assert_eq!(fake.events().len(), 1);
}

#[tokio::test]
async fn a_flush_waits_for_all_earlier_items() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings().batch_items(2));
    batcher.flush().await;
    let refused = Plan::Refuse(failure(Code::Unavailable, "QUEUE_UNAVAILABLE", None));
    fake.plan(vec![refused; 3]);
    record_all(&batcher, 5).await;
    batcher.flush().await;
    assert_eq!(batcher.stats().usage.accepted, 5);
}

#[tokio::test]
async fn a_shutdown_sends_waiting_items_and_closes_the_batcher() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings());
    record_all(&batcher, 3).await;
    assert!(batcher.shutdown(NEVER).await.is_none());
    assert_eq!(fake.events().len(), 3);
    assert_eq!(batcher.try_record(event("late")), Err(RecordError::Closed));
    assert_eq!(batcher.record(event("late")).await, Err(RecordError::Closed));
    assert_eq!(batcher.stats().usage.dropped, 2);
    batcher.flush().await;
    assert!(batcher.shutdown(NEVER).await.is_none());
}

#[tokio::test]
async fn a_shutdown_that_runs_out_of_time_returns_what_was_lost() {
    let fake = Fake::start().await;
    let (settings, incidents) = incidents(settings().batch_items(2).in_flight(1).buffer_items(5));
    let batcher = client(&fake).batcher(settings);
    fake.hold();
    record_all(&batcher, 5).await;
    let waiting = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.record(event("waited")).await }
    });
    fake.seen(1).await;
    let lost = batcher.shutdown(Duration::ZERO).await;
    assert_eq!((lost.usage, lost.flow_requests), (5, 0));
    assert_eq!(waiting.await.unwrap(), Err(RecordError::Closed));
    let mut given_up: Vec<_> = incidents
        .try_iter()
        .map(|incident| match incident {
            Incident::GivenUp { items: IncidentItems::Usage(events), error: None, .. } => events.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    given_up.sort_unstable();
    assert_eq!(given_up, [1, 2, 2]);
    batcher.flush().await;
}

#[tokio::test]
async fn waiting_items_are_sent_when_the_last_clone_is_dropped() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings());
    record_all(&batcher.clone(), 2).await;
    drop(batcher);
    assert_eq!(batch_sizes(&fake.seen(1).await), [2]);
}

#[tokio::test]
async fn rejections_and_given_up_batches_are_reported() {
    let fake = Fake::start().await;
    let rejection = Rejection { index: 1, reason: "INVALID_FIELD".into(), ..Rejection::default() };
    fake.plan([
        Plan::Reject(vec![rejection.clone()]),
        Plan::Refuse(failure(Code::Unauthenticated, "TOKEN_EXPIRED", None)),
    ]);
    let (settings, incidents) = incidents(settings());
    let batcher = client(&fake).batcher(settings);
    record_all(&batcher, 3).await;
    batcher.flush().await;
    match incidents.recv().unwrap() {
        Incident::Rejected { items: IncidentItems::Usage(events), rejections, .. } => {
            assert_eq!((events[0].detail.as_str(), events.len()), ("1", 1));
            assert_eq!(rejections, [rejection]);
        }
        other => panic!("{other:?}"),
    }
    record_all(&batcher, 2).await;
    batcher.flush().await;
    match incidents.recv().unwrap() {
        Incident::GivenUp { request_id, items: IncidentItems::Usage(events), error: Some(error) } => {
            assert_eq!((error.reason(), events.len()), (Some("TOKEN_EXPIRED"), 2));
            assert_eq!(fake.seen_now()[1].request_id, request_id.to_string());
        }
        other => panic!("{other:?}"),
    }
    let usage = batcher.stats().usage;
    assert_eq!((usage.recorded, usage.accepted, usage.rejected, usage.given_up), (5, 2, 1, 2));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_sent_in_halves() {
    let fake = Fake::start().await;
    let too_large = || Plan::Refuse(failure(Code::ResourceExhausted, "BATCH_TOO_LARGE", None));
    // All five, the first two, the first alone, which no half is smaller than.
    fake.plan([too_large(), too_large(), too_large()]);
    let (settings, incidents) = incidents(settings());
    let batcher = client(&fake).batcher(settings);
    record_all(&batcher, 5).await;
    batcher.flush().await;
    let seen = fake.seen_now();
    assert_eq!(batch_sizes(&seen), [5, 2, 1, 1, 3]);
    let ids: std::collections::HashSet<_> = seen.iter().map(|seen| &seen.request_id).collect();
    assert_eq!(ids.len(), 5, "a request id means the same items always");
    match incidents.recv().unwrap() {
        Incident::GivenUp { request_id, items: IncidentItems::Usage(events), error: Some(error) } => {
            assert_eq!((error.reason(), events[0].detail.as_str()), (Some("BATCH_TOO_LARGE"), "0"));
            assert_eq!((seen[2].request_id.clone(), events.len()), (request_id.to_string(), 1));
        }
        other => panic!("{other:?}"),
    }
    let usage = batcher.stats().usage;
    assert_eq!((usage.recorded, usage.accepted, usage.rejected, usage.given_up), (5, 4, 0, 1));
}

#[tokio::test]
async fn a_batch_that_may_have_been_recorded_is_not_sent_in_halves() {
    let fake = Fake::start().await;
    fake.plan([
        Plan::AcceptAndFail(failure(Code::Unavailable, "QUEUE_UNAVAILABLE", None)),
        Plan::Refuse(failure(Code::ResourceExhausted, "BATCH_TOO_LARGE", None)),
    ]);
    let (settings, incidents) = incidents(settings());
    let batcher = client(&fake).batcher(settings);
    record_all(&batcher, 4).await;
    batcher.flush().await;
    assert_eq!(batch_sizes(&fake.seen_now()), [4, 4]);
    assert_eq!(fake.events().len(), 4);
    assert!(matches!(incidents.recv().unwrap(), Incident::GivenUp { error: Some(_), .. }));
}

#[tokio::test]
async fn similar_flow_requests_are_merged() {
    let fake = Fake::start().await;
    let unknown = Rejection { index: 1, reason: "UNKNOWN_FLOW".into(), ..Rejection::default() };
    fake.plan([Plan::Accept, Plan::Reject(vec![unknown])]);
    let batcher = client(&fake).batcher(settings().buffer_items(3).in_flight(1));
    let request = |flow: &str, millis: u64| FlowRequest {
        flow_id: flow.into(),
        timestamp: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        latency: Duration::from_millis(millis).try_into().ok(),
        outcome: FlowOutcome::Succeeded.into(),
        count: None,
    };
    for millis in 300..400 {
        batcher.record_flow_request(request("a", millis)).await.unwrap();
    }
    batcher.record_flow_request(request("b", 1)).await.unwrap();
    batcher.record(event("fills the buffer")).await.unwrap();
    // There is no room, but what is like another one takes no room.
    batcher.try_record_flow_request(FlowRequest { count: Some(20), ..request("b", 2) }).unwrap();
    batcher.flush().await;
    let recorded = fake.recorded.lock().unwrap();
    let items = recorded.values().flat_map(|seen| &seen.flow_requests);
    let counts: Vec<_> = items.map(FlowRequest::count).collect();
    assert_eq!(counts, [100, 21]);
    let tally = batcher.stats().flow_requests;
    assert_eq!((tally.recorded, tally.accepted, tally.rejected), (121, 100, 21));
}

#[tokio::test]
async fn a_dropped_guard_records_also_in_a_panic() {
    let fake = Fake::start().await;
    let batcher = client(&fake).batcher(settings());
    let mut call = batcher.start(event("done"));
    call.set_httpstatus(204);
    drop(call);
    batcher.start(event("discarded")).discard();
    let panics = batcher.clone();
    let result = tokio::spawn(async move {
        let _call = panics.start(event("panicked"));
        panic!("as planned");
    });
    assert!(result.await.unwrap_err().is_panic());
    batcher.start_flow_request("a").answered(503);
    batcher.start_flow_request("a").cannot_be_served();
    drop(batcher.start_flow_request("a"));
    batcher.flush().await;

    let events = fake.events();
    let statuses: Vec<_> = events.iter().map(|event| (event.detail.as_str(), event.httpstatus)).collect();
    assert_eq!(statuses, [("done", Some(204)), ("panicked", Some(500))]);
    assert!(events.iter().all(|event| event.duration.is_some() && event.timestamp.is_some()));
    let recorded = fake.recorded.lock().unwrap();
    let flows: Vec<_> = recorded
        .values()
        .flat_map(|seen| &seen.flow_requests)
        .map(|request| (request.outcome(), request.latency.is_some()))
        .collect();
    assert_eq!(
        flows,
        [
            (FlowOutcome::UnexpectedHttpStatusCode, true),
            (FlowOutcome::CannotBeServed, false),
            (FlowOutcome::NoHttpResponseError, true)
        ]
    );
}
