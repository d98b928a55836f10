//! Runs `flowmeter replay` as a process against fake services. Tests what it sends, what it prints, and its
//! exit code.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../program/mod.rs"]
mod program;

use std::{collections::HashSet, time::Duration};

use flowmeter_fake::{Contents, Fake, Plan};
use flowmeter_proto::v1::UsageEvent;
use program::Ended;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Services whose first `failures` responses to ingest requests are failures.
async fn failing(failures: usize) -> Fake {
    let fake = Fake::start_strict(Contents::default()).await;
    let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(20)));
    let status = Status::with_error_details(Code::Unavailable, "the broker is unavailable", details);
    fake.plan(vec![Plan::Refuse(status); failures]);
    fake
}

/// The events that are recorded, in order of arrival.
fn recorded(fake: &Fake) -> Vec<UsageEvent> {
    fake.accepted_events().into_iter().flat_map(|(_, events)| events).collect()
}

/// Runs the program against these services, with this input.
async fn flowmeter(fake: &Fake, token: &str, arguments: &[&str], input: &[u8]) -> Ended {
    program::flowmeter(&fake.url(), token, arguments, input).await
}

const REPLAY: [&str; 4] = ["replay", "-", "--format", "jsonl"];

async fn sample(fake: &Fake, events: &str) -> Vec<u8> {
    let sample = flowmeter(fake, "good", &["sample", "--events", events], b"").await;
    assert_eq!(sample.code, 0, "{}", sample.err);
    sample.out.into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_through_failures() {
    let fake = failing(7).await;
    let log = sample(&fake, "5000").await;
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--batch", "300", "--output", "json"]);
    let first = flowmeter(&fake, "good", &arguments, &log).await;
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.err.contains("trying again: UNAVAILABLE: the broker is unavailable"), "{}", first.err);
    let events = recorded(&fake);
    assert_eq!(events.len(), 5000);
    assert_eq!(events.iter().map(|event| &event.event_id).collect::<HashSet<_>>().len(), 5000);
    let requests = fake.accepted_events().len();
    assert!(requests >= 17);
    assert_eq!(fake.seen_now().len(), requests + 7);
    let report: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!((report["accepted"].as_u64(), report["stored"].as_u64()), (Some(5000), Some(5000)));

    let second = flowmeter(&fake, "good", &REPLAY, &log).await;
    assert_eq!(second.code, 0, "{}", second.err);
    assert!(second.out.contains("0 new events, 5 000 duplicates, 0 conflicts"), "{}", second.out);
    assert!(second.out.contains("flowmeter series ODSLRequest/ReadRequests --calendar '#PT1H'"));

    let series = flowmeter(&fake, "good", &["series", "ODSLRequest/ReadRequests", "--range", "2026"], b"");
    assert!(series.await.out.contains("TIME"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_and_rejected_lines_are_reported() {
    let fake = failing(0).await;
    let log = b"{\"timestamp\":\"2026-11-20T10:00:00Z\"}\n\
        nonsense\n\
        {\"timestamp\":\"2026-11-20T10:00:00Z\",\"user\":\"refused\"}\n\
        {\"timestamp\":\"2026-11-20T10:00:00Z\",\"user\":\"\xff\"}\n";
    let ended = flowmeter(&fake, "good", &REPLAY, log).await;
    assert_eq!(ended.code, 3);
    assert_eq!(
        ended.err,
        "line 2: malformed: expected a JSON object\n\
         line 4: malformed: not valid UTF-8 at byte 45\n\
         line 3: rejected: INVALID_FIELD: user: is refused\n"
    );
    assert!(ended.out.contains("accepted              1  event,"), "{}", ended.out);
    assert!(ended.out.contains("malformed             2  lines"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_exits_with_1_and_shows_no_token() {
    let fake = failing(0).await;
    let log = sample(&fake, "10").await;
    let ended = flowmeter(&fake, "hunter2", &REPLAY, &log).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("UNAUTHENTICATED: the token is not known"), "{}", ended.err);
    assert!(ended.out.contains("not sent"), "{}", ended.out);
    assert!(!ended.err.contains("hunter2") && !ended.out.contains("hunter2"));

    let missing = flowmeter(&fake, "good", &["replay", "/nonexistent", "--format", "nova"], b"").await;
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("cannot read /nonexistent"), "{}", missing.err);

    let fake = failing(1000).await;
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--retry-for", "300ms"]);
    let ended = flowmeter(&fake, "good", &arguments, &log).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("the replay stopped; run it again"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_event_is_shifted_to_a_time() {
    let fake = failing(0).await;
    let log = b"{\"timestamp\":\"2017-05-16T00:00:00Z\"}\n{\"timestamp\":\"2017-05-16T00:00:09Z\"}\n";
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--shift-to", "1970-01-01T00:01:00Z"]);
    let ended = flowmeter(&fake, "good", &arguments, log).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let seconds: Vec<_> =
        recorded(&fake).iter().map(|event| event.timestamp.as_ref().unwrap().seconds).collect();
    assert_eq!(seconds, [51, 60]);
}
