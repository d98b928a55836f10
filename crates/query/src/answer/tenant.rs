//! Encodes tenants.

use flowmeter_contract::names::tenant_resource;
use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_proto::v1;
use flowmeter_store::tenants::Tenant;

/// A tenant.
pub fn to_proto(tenant: &Tenant) -> v1::Tenant {
    v1::Tenant {
        name: tenant_resource(&tenant.name),
        create_time: Some(time_to_proto(tenant.created_at)),
        allow_all_metric_types: tenant.allow_all_metric_types,
    }
}
