//! Usage events.

use bytes::Bytes;
use flowmeter_contract::wire::read_usage_event;
use flowmeter_core::execution;
use flowmeter_core::ids::{EventId, RequestEventIds, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::TextField;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::Usage;
use flowmeter_proto::raw::RecordUsageRequest;
use flowmeter_service::error::{ApiError, Reason};

use super::rejections::Rejections;
use super::{Decision, Limits, start, total_bytes};

/// Decides about a batch of `tenant` at the time `now`. Also returns the ids of the events if the request asks
/// for them; a rejected event has an empty one.
pub fn decide(
    tenant: TenantId,
    batch: RecordUsageRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<(Decision, Vec<String>), ApiError> {
    limits.batch.check("events", &batch.events)?;
    let bytes = total_bytes(&batch.events);
    let (request_id, mut request) = start(tenant, &batch.request_id, now)?;
    // The time in the request's id rather than the time of receipt, so that a retry gives the same events. An id
    // that we generated may be a little older than `now`.
    let request_time = request_id.timestamp();
    let ids = RequestEventIds::new(tenant, request_id);

    request.usage.reserve(batch.events.len());
    let mut event_ids = Vec::new();
    let mut rejections = Rejections::of("events");
    let mut violations = Vec::new();
    for (index, bytes) in batch.events.into_iter().enumerate() {
        let event = read_usage_event(&bytes, &mut violations);
        let timestamp = event.timestamp.unwrap_or(request_time);
        limits.event.check(&event, timestamp, now, &mut violations);
        violations.extend(check_provider(event.text(TextField::Provider)).err());
        if !violations.is_empty() {
            rejections.push(index, Reason::InvalidField, &mut violations);
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
        request.usage.push(Usage { id: Bytes::copy_from_slice(id.0.as_bytes()), keyed, event: bytes });
    }
    let accepted = request.usage.len();
    Ok((Decision { request, request_id, accepted, bytes, rejections: rejections.into_vec() }, event_ids))
}

/// Refuses events of the provider that is reserved for reports of executions, whose types are mapped to the
/// standard ones and whose counts are never negative.
fn check_provider(provider: &str) -> Result<(), Violation> {
    if provider != execution::PROVIDER {
        return Ok(());
    }
    let text = format!("expected a provider other than {provider}: report executions by ReportExecutions");
    Err(Violation::new("provider", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::BatchLimits;
    use crate::accept::tests::{self, request_at};
    use flowmeter_proto::v1::UsageEvent;
    use prost::Message;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const LIMITS: Limits = Limits { batch: BatchLimits { max_items: 3, max_bytes: 200 }, ..tests::LIMITS };

    fn decided(events: &[UsageEvent], request_id: &str, now: Timestamp) -> (Decision, Vec<String>) {
        let events = events.iter().map(|event| event.encode_to_vec().into()).collect();
        let batch = RecordUsageRequest { events, request_id: request_id.into(), return_ids: true };
        decide(TENANT, batch, &LIMITS, now).unwrap()
    }

    #[test]
    fn a_retry_gives_the_same_ids() {
        let id = request_at(1_800_000_000);
        let named = UsageEvent {
            event_id: "a".into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1_799_999_999, nanos: 1_000 }),
            ..UsageEvent::default()
        };
        let events = [UsageEvent::default(), named];
        let later = Timestamp::from_micros(NOW.micros() + 5_000_000);
        let (first, first_ids) = decided(&events, &id, NOW);
        let (again, again_ids) = decided(&events, &id, later);
        assert_eq!(first_ids, again_ids);
        assert_eq!(first.request, again.request);
        assert_eq!(first.request.usage.iter().map(|usage| usage.keyed).collect::<Vec<_>>(), [false, true]);
        let (_, other_ids) = decided(&events, &request_at(1_800_000_000), NOW);
        assert_ne!(first_ids[0], other_ids[0]);
        assert_eq!(first_ids[1], other_ids[1], "its id comes from event_id");
    }

    #[test]
    fn invalid_events_are_rejected_and_the_others_accepted() {
        let wrong = UsageEvent { duration: Some(-1), httpstatus: Some(7), ..UsageEvent::default() };
        let events = [wrong, UsageEvent::default()];
        let (decision, event_ids) = decided(&events, "", Timestamp::now());
        assert_eq!((decision.request.usage.len(), decision.accepted), (1, 1));
        assert_eq!(event_ids[0], "");
        let [rejection] = &decision.rejections[..] else { panic!("expected one rejection") };
        assert_eq!((rejection.index, rejection.reason.as_str()), (0, "INVALID_FIELD"));
        let fields: Vec<_> =
            rejection.field_violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["events[0].httpstatus", "events[0].duration"]);
    }

    #[test]
    fn the_provider_of_executions_is_reserved() {
        let of = |provider: &str| UsageEvent { provider: provider.into(), ..UsageEvent::default() };
        let events = [of("Executions"), of("executions"), of("AzureServiceBus")];
        let (decision, _) = decided(&events, "", Timestamp::now());
        assert_eq!(decision.accepted, 2);
        let [rejection] = &decision.rejections[..] else { panic!("expected one rejection") };
        let violation = &rejection.field_violations[0];
        assert_eq!(violation.field, "events[0].provider");
        let expected = "expected a provider other than Executions: report executions by ReportExecutions";
        assert_eq!(violation.description, expected);
    }
}
