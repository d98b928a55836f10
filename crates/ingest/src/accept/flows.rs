//! Requests to the endpoints of flows. They are counted here: what is published and stored is counters, not requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use flowmeter_contract::wire::read_flow_request;
use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::FlowCounts;
use flowmeter_proto::raw::RecordFlowRequestsRequest;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::flows::Registration;
use foldhash::fast::RandomState;

use super::rejections::Rejections;
use super::{Decision, Limits, start};
use crate::flow_registry::RegisteredFlows;

/// How many characters of an unknown flow id a rejection repeats.
const SHOWN_CHARS: usize = 40;
/// The approximate size of a row of counters in memory. The items that it counts can be smaller.
const ROW_BYTES: usize = 256;

/// Decides about a batch of `tenant`, whose flows are `flows`, at the time `now`. Also returns the indexes of the
/// items whose flows were not registered.
///
/// A request is counted once, so a retry must get the same answer as the first attempt: what matters is whether
/// the flow was registered when the request was made, not when it arrives.
pub fn decide(
    tenant: TenantId,
    batch: &RecordFlowRequestsRequest,
    flows: &RegisteredFlows,
    limits: &Limits,
    now: Timestamp,
) -> Result<(Decision, Vec<usize>), ApiError> {
    limits.batch.check("requests", &batch.requests)?;
    let (request_id, mut request) = start(tenant, &batch.request_id, now)?;
    let request_time = request_id.timestamp();
    // A request whose id we generated cannot be retried, and our clock differs from the store's.
    let made_at = (!batch.request_id.is_empty()).then_some(request_time);

    let mut cells: HashMap<(&str, Timestamp), Counters, RandomState> = HashMap::default();
    let mut accepted = 0;
    let mut rejections = Rejections::of("requests");
    let mut unregistered = Vec::new();
    let mut violations = Vec::new();
    for (index, bytes) in batch.requests.iter().enumerate() {
        let item = read_flow_request(bytes, &mut violations);
        let timestamp = item.timestamp.unwrap_or(request_time);
        limits.flow.check(&item, timestamp, now, &mut violations);
        let Some(outcome) = item.outcome.filter(|_| violations.is_empty()) else {
            rejections.push(index, Reason::InvalidField, &mut violations);
            continue;
        };
        if let Some(text) = describe_unregistered(item.flow_id, flows.get(item.flow_id), made_at) {
            violations.push(Violation::new("flow_id", text));
            rejections.push(index, Reason::UnknownFlow, &mut violations);
            unregistered.push(index);
            continue;
        }
        let bucket = timestamp.floor_to(Resolution::QuarterHour.width());
        let counters = match cells.entry((item.flow_id, bucket)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(Counters::default()),
        };
        counters.add_requests(outcome, item.latency, i64::from(item.count.unwrap_or(1)));
        accepted += 1;
    }
    let bytes = cells.len() * ROW_BYTES;
    request.flow_requests = i32::try_from(accepted).expect("a batch has at most 10,000 items");
    request.flow_counts =
        cells.into_iter().map(|((flow, bucket), counters)| to_queue(flow, bucket, &counters)).collect();
    Ok((Decision { request, request_id, accepted, bytes, rejections: rejections.into_vec() }, unregistered))
}

/// Why a flow is not registered for a request that was made at `made_at`, or now. None if it is registered.
fn describe_unregistered(
    flow_id: &str,
    registration: Option<Registration>,
    made_at: Option<Timestamp>,
) -> Option<String> {
    const PRECISION: Duration = Duration::from_millis(1);
    let shown = || flow_id.chars().take(SHOWN_CHARS).collect::<String>();
    let Some(Registration { from, until }) = registration else {
        return Some(format!("expected a registered flow, found {:?}", shown()));
    };
    let is_deleted = made_at.map_or(until != Timestamp::END, |made_at| made_at >= until);
    match made_at {
        // The time in an id is in whole milliseconds.
        Some(made_at) if made_at < from.floor_to(PRECISION) => Some(format!(
            "expected a flow that was registered when the request was made: {:?} is registered since {from}, and the \
             time in request_id is {made_at}; report it with a new request_id",
            shown()
        )),
        _ if is_deleted => {
            Some(format!("expected a flow that is not deleted: {:?} was deleted at {until}", shown()))
        }
        _ => None,
    }
}

/// The distinct flow ids of the items at `indexes`.
pub fn flow_ids<'a>(batch: &'a RecordFlowRequestsRequest, indexes: &[usize]) -> Vec<&'a str> {
    let mut violations = Vec::new();
    let mut ids: Vec<_> = indexes
        .iter()
        .map(|index| read_flow_request(&batch.requests[*index], &mut violations).flow_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn to_queue(flow: &str, bucket: Timestamp, counters: &Counters) -> FlowCounts {
    FlowCounts { flow_id: flow.to_owned(), minute: bucket.minutes(), counts: counters.values().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::{LIMITS, request_at};
    use flowmeter_core::flow::{Counter, Latency, Outcome};
    use flowmeter_proto::v1::{FlowOutcome, FlowRequest};
    use prost::Message;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn request(flow_id: &str, seconds: i64, outcome: FlowOutcome) -> FlowRequest {
        FlowRequest {
            flow_id: flow_id.into(),
            timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            outcome: outcome.into(),
            latency: Some(prost_types::Duration { seconds: 1, nanos: 1 }),
            count: None,
        }
    }

    fn decided(requests: &[FlowRequest], request_id: &str) -> (Decision, Vec<usize>) {
        let requests = requests.iter().map(|request| request.encode_to_vec().into()).collect();
        let from = Timestamp::from_micros(NOW.micros() - 60_000_000);
        let always = Registration { from, until: Timestamp::END };
        let deleted = Registration { from, until: NOW };
        let flows = RegisteredFlows::from_iter([("a", always), ("b", always), ("deleted", deleted)]);
        let batch = RecordFlowRequestsRequest { requests, request_id: request_id.into() };
        decide(TENANT, &batch, &flows, &LIMITS, NOW).unwrap()
    }

    #[test]
    fn requests_of_a_flow_and_quarter_hour_share_a_row_of_counters() {
        let quarter = 1_800_000_000;
        let id = request_at(1_800_000_000);
        let requests = [
            request("a", quarter, FlowOutcome::Succeeded),
            request("a", quarter - 1, FlowOutcome::Succeeded),
            FlowRequest { count: Some(41), ..request("a", quarter - 900, FlowOutcome::Succeeded) },
            request("a", quarter - 3, FlowOutcome::CannotBeServed),
            request("b", quarter - 3, FlowOutcome::TimeoutError),
            // It has the time of the request.
            FlowRequest { timestamp: None, ..request("b", 0, FlowOutcome::TimeoutError) },
        ];
        let (decision, unregistered) = decided(&requests, &id);
        assert_eq!((decision.accepted, decision.request.flow_requests), (6, 6));
        assert!(unregistered.is_empty() && decision.rejections.is_empty());
        let mut counts = decision.request.flow_counts;
        counts.sort_by_key(|counts| (counts.flow_id.clone(), counts.minute));
        let rows: Vec<_> = counts
            .iter()
            .map(|row| (row.flow_id.as_str(), row.minute, Counters::from_values(&row.counts).unwrap()))
            .collect();
        let at = |seconds: i64| seconds / 60;
        let latency = |counters: &Counters| counters.get(Counter::Latency(Latency::of(2, 0).unwrap()));
        let of =
            |index: usize| (rows[index].0, rows[index].1, rows[index].2.requests(), latency(&rows[index].2));
        assert_eq!(of(0), ("a", at(quarter - 900), 43, 42));
        assert_eq!(rows[0].2.get(Counter::Requests(Outcome::CannotBeServed)), 1);
        assert_eq!(of(1), ("a", at(quarter), 1, 1));
        assert_eq!(of(2), ("b", at(quarter - 900), 1, 1));
        assert_eq!(of(3), ("b", at(quarter), 1, 1));
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn invalid_items_and_unknown_flows_are_rejected_and_the_others_accepted() {
        let requests = [
            request("c", 1_800_000_000, FlowOutcome::Succeeded),
            FlowRequest { count: Some(-1), ..request("c", 1_800_000_000, FlowOutcome::Unspecified) },
            request("a", 1_800_000_000, FlowOutcome::Succeeded),
            request("a", 1_700_000_000, FlowOutcome::Succeeded),
        ];
        let (decision, unregistered) = decided(&requests, "");
        assert_eq!((decision.accepted, unregistered), (1, vec![0]));
        let found: Vec<_> = decision
            .rejections
            .iter()
            .map(|rejection| {
                let fields: Vec<_> =
                    rejection.field_violations.iter().map(|violation| violation.field.as_str()).collect();
                (rejection.index, rejection.reason.as_str(), fields)
            })
            .collect();
        assert_eq!(
            found,
            [
                (0, "UNKNOWN_FLOW", vec!["requests[0].flow_id"]),
                (1, "INVALID_FIELD", vec!["requests[1].outcome", "requests[1].count"]),
                (3, "INVALID_FIELD", vec!["requests[3].timestamp"]),
            ]
        );
    }

    #[test]
    fn a_flow_must_be_registered_when_the_request_is_made() {
        let accepted = |flow: &str, request_id: &str| {
            let (decision, unregistered) =
                decided(&[request(flow, 1_800_000_000, FlowOutcome::Succeeded)], request_id);
            assert_eq!(decision.accepted + unregistered.len(), 1);
            decision.accepted == 1
        };
        assert!(accepted("a", &request_at(1_800_000_000)) && accepted("a", &request_at(1_799_999_940)));
        assert!(!accepted("a", &request_at(1_799_999_939)), "it was not registered then");
        assert!(accepted("a", ""), "an id that we generate has the time of now");
        assert!(accepted("deleted", &request_at(1_799_999_999)), "a retry gets the same answer");
        assert!(!accepted("deleted", &request_at(1_800_000_000)) && !accepted("deleted", ""));
    }
}
