//! The report of one check's result. Its id follows from the flow and the slot.

use bytes::Bytes;
use flowmeter_core::flow::{Counter, Counters};
use flowmeter_core::ids::RequestId;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{FlowCounts, Request};
use flowmeter_store::flows::CheckedFlow;
use uuid::Uuid;

/// The report that the check of `flow` at `slot` found its endpoint available or not.
pub fn report_of(flow: &CheckedFlow, slot: Timestamp, is_available: bool) -> Request {
    let mut counters = Counters::default();
    counters.add(if is_available { Counter::CheckSucceeded } else { Counter::CheckFailed }, 1);
    let quarter = slot.floor_to(Resolution::QuarterHour.width());
    Request {
        tenant_id: bytes_of(flow.tenant.0),
        request_id: bytes_of(RequestId::of_check(flow.tenant, &flow.flow_id, slot).0),
        flow_counts: vec![FlowCounts {
            flow_id: flow.flow_id.clone(),
            minute: quarter.minutes(),
            counts: counters.values().to_vec(),
        }],
        // A check is not a request of a client.
        flow_requests: 0,
        ..Request::default()
    }
}

fn bytes_of(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use flowmeter_core::ids::TenantId;

    #[test]
    fn a_check_counts_once_in_its_quarter_of_an_hour() {
        let tenant = TenantId::named("acme");
        let endpoint_url = "http://endpoint.example/".to_owned();
        let flow = CheckedFlow { tenant, flow_id: "f".to_owned(), endpoint_url, interval: None };
        // 2023-11-14T22:44:59.999Z
        let slot = Timestamp::from_micros(1_700_001_899_999_000);
        let (good, bad) = (report_of(&flow, slot, true), report_of(&flow, slot, false));
        let counters = |request: &Request| {
            let [counts] = request.flow_counts.as_slice() else { panic!("{request:?}") };
            assert_eq!((counts.flow_id.as_str(), counts.minute * 60), ("f", 1_700_001_000));
            let counters = Counters::from_values(&counts.counts).unwrap();
            assert_eq!((counters.values().iter().sum::<i64>(), request.flow_requests), (1, 0));
            counters
        };
        assert_eq!(counters(&good).get(Counter::CheckSucceeded), 1);
        assert_eq!(counters(&bad).get(Counter::CheckFailed), 1);
        // Whichever is applied first is the result.
        assert_eq!(good.request_id, bad.request_id);
        let next = slot.plus(Duration::from_millis(1));
        assert_ne!(good.request_id, report_of(&flow, next, true).request_id);
    }
}
