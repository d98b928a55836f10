//! Encodes flows.

use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_proto::v1;
use flowmeter_store::catalog::flows::StoredFlow;

/// A flow.
pub fn to_proto(stored: &StoredFlow) -> v1::Flow {
    let flow = &stored.flow;
    v1::Flow {
        id: flow.flow_id.clone(),
        name: flow.name.clone(),
        endpoint_url: flow.endpoint_url.clone(),
        data_api_version: flow.data_api_version.clone(),
        time_zone: flow.time_zone.clone(),
        check_interval: flow
            .check_interval
            .map(|interval| interval.try_into().expect("at most a day is kept")),
        version: stored.version,
        create_time: Some(time_to_proto(stored.created_at)),
        update_time: Some(time_to_proto(stored.updated_at)),
    }
}
