//! Decides what of a batch is accepted, and gives it its ids. Pure: the same batch at
//! the same time always gives the same answer.

use std::time::Duration;

use bytes::Bytes;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Limits;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::{Request, Usage};
use flowmeter_proto::raw::{FieldViolation, Rejection};
use flowmeter_proto::wire::read_usage_event;
use flowmeter_service::error::{ApiError, Reason};

/// A batch as it came.
pub struct Batch {
    pub events: Vec<Bytes>,
    pub request_id: String,
    pub return_ids: bool,
}

/// What is accepted.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub event: Limits,
    pub max_events: usize,
    pub max_bytes: usize,
}

/// What became of a batch, and what is to be queued of it.
pub struct Decision {
    pub request: Request,
    pub request_id: RequestId,
    pub rejections: Vec<Rejection>,
    pub event_ids: Vec<String>,
}

/// How old a request id may be. The ledger remembers requests for longer, so that a
/// repetition is always found there.
const MAX_REQUEST_AGE: Duration = Duration::from_hours(7 * 24);
/// How far ahead of our clock a request id may be.
const MAX_REQUEST_AHEAD: Duration = Duration::from_hours(1);

/// Decides about a batch of `tenant` at the time `now`.
pub fn decide(
    tenant: TenantId,
    batch: Batch,
    limits: &BatchLimits,
    now: Timestamp,
) -> Result<Decision, ApiError> {
    check_size(&batch.events, limits)?;
    let request_id = request_id(&batch.request_id, now)?;
    // The time of the request rather than of its receipt, so that a repetition gives the
    // same events. A server's own id may be a little older than `now`.
    let request_time = request_id.timestamp();
    let ids = RequestEventIds::new(tenant, request_id);

    let mut usage = Vec::with_capacity(batch.events.len());
    let mut event_ids = Vec::new();
    let mut rejections = Vec::new();
    let mut violations = Vec::new();
    for (index, bytes) in batch.events.into_iter().enumerate() {
        let event = read_usage_event(&bytes, &mut violations);
        let timestamp = event.timestamp.unwrap_or(request_time);
        limits.event.check(&event, timestamp, now, &mut violations);
        if !violations.is_empty() {
            rejections.push(rejection(index, &mut violations));
            if batch.return_ids {
                event_ids.push(String::new());
            }
            continue;
        }
        let keyed = !event.event_id.is_empty();
        let id =
            if keyed { EventId::keyed(tenant, event.event_id, timestamp) } else { ids.at(index, timestamp) };
        if batch.return_ids {
            event_ids.push(id.to_string());
        }
        usage.push(Usage { id: Bytes::copy_from_slice(id.0.as_bytes()), keyed, event: bytes });
    }
    let request = Request {
        tenant_id: Bytes::copy_from_slice(tenant.0.as_bytes()),
        request_id: Bytes::copy_from_slice(request_id.0.as_bytes()),
        usage,
    };
    Ok(Decision { request, request_id, rejections, event_ids })
}

fn check_size(events: &[Bytes], limits: &BatchLimits) -> Result<(), ApiError> {
    if events.is_empty() {
        return Err(ApiError::field(Reason::InvalidField, "events", "expected one event at least"));
    }
    if events.len() > limits.max_events {
        let text = format!("expected at most {} events, found {}", limits.max_events, events.len());
        return Err(ApiError::too_large(text));
    }
    let bytes: usize = events.iter().map(Bytes::len).sum();
    if bytes > limits.max_bytes {
        let text = format!("expected events of at most {} bytes, found {bytes}", limits.max_bytes);
        return Err(ApiError::too_large(text));
    }
    Ok(())
}

fn request_id(text: &str, now: Timestamp) -> Result<RequestId, ApiError> {
    if text.is_empty() {
        return Ok(RequestId::generate());
    }
    let wrong = |description: String| Err(ApiError::field(Reason::InvalidField, "request_id", description));
    let Some(id) = RequestId::parse(text) else {
        return wrong("expected a UUID of version 7, such as 018f3a5e-7b2c-7def-8123-456789abcdef".into());
    };
    let time = id.timestamp();
    let (oldest, newest) = (now.minus(MAX_REQUEST_AGE), now.plus(MAX_REQUEST_AHEAD));
    if !(oldest..=newest).contains(&time) {
        return wrong(format!("expected an id made between {oldest} and {newest}, found one of {time}"));
    }
    Ok(id)
}

fn rejection(index: usize, violations: &mut Vec<Violation>) -> Rejection {
    let parent = format!("events[{index}]");
    let field_violations = violations.drain(..).map(|violation| {
        let Violation { field, description } = violation.within(&parent);
        FieldViolation { field, description }
    });
    Rejection {
        index: i32::try_from(index).expect("a batch has at most 10,000 events"),
        reason: Reason::InvalidField.name().to_owned(),
        field_violations: field_violations.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_proto::v1::UsageEvent;
    use prost::Message;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn limits() -> BatchLimits {
        BatchLimits { event: Limits::default(), max_events: 3, max_bytes: 200 }
    }

    fn batch(events: &[UsageEvent], request_id: &str) -> Batch {
        let events = events.iter().map(|event| event.encode_to_vec().into()).collect();
        Batch { events, request_id: request_id.into(), return_ids: true }
    }

    fn request_at(seconds: u64) -> String {
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
        uuid::Uuid::new_v7(time).to_string()
    }

    fn message(result: Result<Decision, ApiError>) -> String {
        match result {
            Ok(_) => "accepted".into(),
            Err(error) => tonic::Status::from(error).message().to_owned(),
        }
    }

    #[test]
    fn a_repeated_request_gives_the_same_ids() {
        let id = request_at(1_800_000_000);
        let named = UsageEvent {
            event_id: "a".into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1_799_999_999, nanos: 1_000 }),
            ..UsageEvent::default()
        };
        let events = [UsageEvent::default(), named];
        let later = Timestamp::from_micros(NOW.micros() + 5_000_000);
        let first = decide(TENANT, batch(&events, &id), &limits(), NOW).unwrap();
        let again = decide(TENANT, batch(&events, &id), &limits(), later).unwrap();
        assert_eq!(first.event_ids, again.event_ids);
        assert_eq!(first.request, again.request);
        assert_eq!(first.request.usage.iter().map(|usage| usage.keyed).collect::<Vec<_>>(), [false, true]);
        let other = decide(TENANT, batch(&events, &request_at(1_800_000_000)), &limits(), NOW).unwrap();
        assert_ne!(first.event_ids[0], other.event_ids[0]);
        assert_eq!(first.event_ids[1], other.event_ids[1], "its sender named it");
    }

    #[test]
    fn wrong_events_are_named_and_the_others_kept() {
        let wrong = UsageEvent { duration: Some(-1), httpstatus: Some(7), ..UsageEvent::default() };
        let events = [wrong, UsageEvent::default()];
        let decision = decide(TENANT, batch(&events, ""), &limits(), Timestamp::now()).unwrap();
        assert_eq!(decision.request.usage.len(), 1);
        assert_eq!(decision.event_ids[0], "");
        let [rejection] = &decision.rejections[..] else { panic!("one is wrong") };
        assert_eq!((rejection.index, rejection.reason.as_str()), (0, "INVALID_FIELD"));
        let fields: Vec<_> =
            rejection.field_violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["events[0].httpstatus", "events[0].duration"]);
    }

    #[test]
    fn a_request_that_is_wrong_as_a_whole_is_refused() {
        let one = [UsageEvent::default()];
        let decided = |batch| message(decide(TENANT, batch, &limits(), NOW));
        assert_eq!(decided(batch(&[], "")), "events: expected one event at least");
        assert_eq!(decided(batch(&vec![UsageEvent::default(); 4], "")), "expected at most 3 events, found 4");
        let large = UsageEvent { detail: "x".repeat(300), ..UsageEvent::default() };
        assert_eq!(decided(batch(&[large], "")), "expected events of at most 200 bytes, found 303");
        assert!(decided(batch(&one, "nonsense")).starts_with("request_id: expected a UUID of version 7"));
        for (seconds, accepted) in [
            (1_800_000_000 - 7 * 86_400, true),
            (1_800_000_000 - 7 * 86_400 - 1, false),
            (1_800_000_000 + 3_600, true),
            (1_800_000_000 + 3_601, false),
        ] {
            assert_eq!(decided(batch(&one, &request_at(seconds))) == "accepted", accepted, "{seconds}");
        }
    }
}
