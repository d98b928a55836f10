//! The program itself, as a process, against services that live in memory: what it
//! sends, what it prints and how it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
#[path = "../program/mod.rs"]
mod program;

use std::collections::HashSet;

use fake::Fake;
use program::Ended;

/// Runs the program against these services, with this input.
async fn flowmeter(fake: &Fake, token: &str, arguments: &[&str], input: &[u8]) -> Ended {
    program::flowmeter(fake.address, token, arguments, input).await
}

const REPLAY: [&str; 4] = ["replay", "-", "--format", "jsonl"];

async fn sample(fake: &Fake, events: &str) -> Vec<u8> {
    let sample = flowmeter(fake, "good", &["sample", "--events", events], b"").await;
    assert_eq!(sample.code, 0, "{}", sample.err);
    sample.out.into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_through_failures() {
    let fake = fake::start(7).await;
    let log = sample(&fake, "5000").await;
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--batch", "300", "--output", "json"]);
    let first = flowmeter(&fake, "good", &arguments, &log).await;
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.err.contains("trying again: UNAVAILABLE: the broker is away"), "{}", first.err);
    {
        let memory = fake.memory.lock().unwrap();
        assert_eq!(memory.events().count(), 5000);
        assert_eq!(memory.events().map(|event| &event.event_id).collect::<HashSet<_>>().len(), 5000);
        assert!(memory.requests.len() >= 17);
        assert_eq!(memory.calls, memory.requests.len() + 7);
    }
    let report: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!((report["accepted"].as_u64(), report["stored"].as_u64()), (Some(5000), Some(5000)));

    let second = flowmeter(&fake, "good", &REPLAY, &log).await;
    assert_eq!(second.code, 0, "{}", second.err);
    assert!(second.out.contains("0 new events, 5000 duplicates, 0 conflicts"), "{}", second.out);
    assert!(second.out.contains("flowmeter series ODSLRequest/ReadRequests --calendar '#PT1H'"));

    let series = flowmeter(&fake, "good", &["series", "ODSLRequest/ReadRequests", "--range", "2026"], b"");
    assert!(series.await.out.contains("TIME"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_recorded_is_told() {
    let fake = fake::start(0).await;
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
    assert!(ended.out.contains("accepted              1  events"), "{}", ended.out);
    assert!(ended.out.contains("malformed             2  lines"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_end_with_one_and_show_no_token() {
    let fake = fake::start(0).await;
    let log = sample(&fake, "10").await;
    let ended = flowmeter(&fake, "hunter2", &REPLAY, &log).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("UNAUTHENTICATED: the token is not known"), "{}", ended.err);
    assert!(ended.out.contains("not sent"), "{}", ended.out);
    assert!(!ended.err.contains("hunter2") && !ended.out.contains("hunter2"));

    let missing = flowmeter(&fake, "good", &["replay", "/nonexistent", "--format", "nova"], b"").await;
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("cannot read /nonexistent"), "{}", missing.err);

    fake.memory.lock().unwrap().failures = usize::MAX;
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--retry-for", "300ms"]);
    let ended = flowmeter(&fake, "good", &arguments, &log).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("the replay stopped; run it again"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_event_is_moved_to_a_time() {
    let fake = fake::start(0).await;
    let log = b"{\"timestamp\":\"2017-05-16T00:00:00Z\"}\n{\"timestamp\":\"2017-05-16T00:00:09Z\"}\n";
    let mut arguments = REPLAY.to_vec();
    arguments.extend(["--shift-to", "1970-01-01T00:01:00Z"]);
    let ended = flowmeter(&fake, "good", &arguments, log).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let memory = fake.memory.lock().unwrap();
    let seconds: Vec<_> = memory.events().map(|event| event.timestamp.as_ref().unwrap().seconds).collect();
    assert_eq!(seconds, [51, 60]);
}
