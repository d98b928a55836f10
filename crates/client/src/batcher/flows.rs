//! Merges requests to the endpoints of flows that Flowmeter counts together.
//!
//! Flowmeter keeps counters by flow, quarter-hour, outcome and latency in whole seconds, rounded up. Items with the
//! same values of these are merged into one item with the sum of their counts, which changes no counter.

use std::collections::HashMap;

use bytes::Bytes;
use flowmeter_proto::v1::FlowRequest;
use prost::Message;

/// The largest count of an item, from the contract.
const MAX_COUNT: i32 = 100_000_000;
/// The finest interval of the counters.
const QUARTER_SECONDS: i64 = 15 * 60;
/// Latencies of more than this number of seconds are counted together.
const MAX_LATENCY_SECONDS: i64 = 10;

/// The key of items that are merged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Class {
    flow_id: String,
    quarter: i64,
    outcome: i32,
    latency_seconds: Option<i64>,
}

impl Class {
    /// None for an item that the service would reject, so that it is not merged with valid items.
    fn of(request: &FlowRequest) -> Option<Self> {
        let well_formed = |nanos| (0..1_000_000_000).contains(&nanos);
        let timestamp = request.timestamp.filter(|timestamp| well_formed(timestamp.nanos))?;
        let latency_seconds = match request.latency {
            None => None,
            Some(latency) if latency.seconds >= 0 && well_formed(latency.nanos) => {
                let up = latency.seconds.saturating_add(i64::from(latency.nanos > 0));
                Some(up.clamp(1, MAX_LATENCY_SECONDS + 1))
            }
            Some(_) => return None,
        };
        (1..=MAX_COUNT).contains(&request.count?).then(|| Self {
            flow_id: request.flow_id.clone(),
            quarter: timestamp.seconds.div_euclid(QUARTER_SECONDS),
            outcome: request.outcome,
            latency_seconds,
        })
    }
}

/// The bytes to reserve for an item: its encoded size with the largest count.
pub(super) fn reserved_bytes(request: &FlowRequest) -> usize {
    let grown = FlowRequest { count: None, ..request.clone() };
    // The tag and a 32-bit varint, which is longest for negative numbers.
    grown.encoded_len() + if request.count.is_some_and(|count| count < 0) { 11 } else { 6 }
}

/// The number of requests of an item.
pub(super) fn count(request: &FlowRequest) -> u64 {
    u64::try_from(request.count.unwrap_or(1)).unwrap_or(0)
}

/// Items with distinct keys.
#[derive(Debug, Default)]
pub(super) struct Merged {
    items: Vec<FlowRequest>,
    places: HashMap<Class, usize>,
}

impl Merged {
    /// Merges a request into an item with the same key. Returns false if there is no such item, or if the sum of the
    /// counts would exceed the limit.
    pub(super) fn merge(&mut self, request: &FlowRequest) -> bool {
        let place = Class::of(request).and_then(|class| self.places.get(&class).copied());
        let Some((item, more)) = place.map(|place| &mut self.items[place]).zip(request.count) else {
            return false;
        };
        let sum = item.count.unwrap_or(1).saturating_add(more);
        if sum > MAX_COUNT {
            return false;
        }
        item.count = Some(sum);
        true
    }

    /// Adds an item. Later requests with the same key are merged into it.
    pub(super) fn push(&mut self, request: FlowRequest) {
        if let Some(class) = Class::of(&request) {
            self.places.insert(class, self.items.len());
        }
        self.items.push(request);
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn encode(self) -> Vec<Bytes> {
        self.items.iter().map(|item| item.encode_to_vec().into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flowmeter_proto::v1::FlowOutcome;
    use proptest::prelude::*;

    use super::*;

    fn any_request() -> impl Strategy<Value = FlowRequest> {
        let latency = proptest::option::of((-1_i64..14, prop::sample::select(vec![0, 1, 999_999_999, -1])));
        let count = prop_oneof![8 => 1..5_i32, 1 => Just(60_000_000), 1 => -1..1_i32];
        (0..3_u8, 0_i64..4_000, 0..4_i32, latency, count).prop_map(
            |(flow, seconds, outcome, latency, count)| FlowRequest {
                flow_id: flow.to_string(),
                timestamp: Some(prost_types::Timestamp { seconds, nanos: 5 }),
                latency: latency.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
                outcome,
                count: Some(count),
            },
        )
    }

    /// What the service keeps of items: a count for each flow, quarter, outcome and latency, as its own code
    /// classifies them. What it would reject it would reject as it was given.
    fn kept(items: &[FlowRequest]) -> (BTreeMap<String, i64>, Vec<FlowRequest>) {
        let (mut counts, mut rejected) = (BTreeMap::new(), Vec::new());
        for item in items {
            let latency =
                item.latency.map(|latency| flowmeter_core::flow::Latency::of(latency.seconds, latency.nanos));
            if latency == Some(None) || !(1..=flowmeter_core::flow::MAX_COUNT).contains(&item.count.unwrap())
            {
                rejected.push(item.clone());
                continue;
            }
            let quarter = item.timestamp.unwrap().seconds / 900;
            let key = format!("{} {quarter} {} {latency:?}", item.flow_id, item.outcome);
            *counts.entry(key).or_default() += i64::from(item.count.unwrap());
        }
        (counts, rejected)
    }

    proptest! {
        #[test]
        fn adding_up_changes_nothing_that_is_kept(requests in prop::collection::vec(any_request(), 0..60)) {
            let (mut merged, mut reserved) = (Merged::default(), 0);
            for request in &requests {
                if !merged.merge(request) {
                    reserved += reserved_bytes(request);
                    merged.push(request.clone());
                }
            }
            prop_assert_eq!(kept(&requests), kept(&merged.items));
            prop_assert!(merged.encode().iter().map(Bytes::len).sum::<usize>() <= reserved);
        }
    }

    #[test]
    fn a_count_stays_within_what_the_contract_allows() {
        let full = FlowRequest {
            flow_id: "a".into(),
            timestamp: Some(prost_types::Timestamp::default()),
            outcome: FlowOutcome::Succeeded.into(),
            count: Some(MAX_COUNT),
            ..FlowRequest::default()
        };
        let one = FlowRequest { count: Some(1), ..full.clone() };
        let mut merged = Merged::default();
        merged.push(full);
        assert!(!merged.merge(&one));
        merged.push(one.clone());
        assert!(merged.merge(&one));
        assert_eq!(
            merged.items.iter().map(|item| item.count).collect::<Vec<_>>(),
            [Some(MAX_COUNT), Some(2)]
        );
    }
}
