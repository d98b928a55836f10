//! The flows whose endpoints are checked.

use std::time::Duration;

use flowmeter_core::flow::DataApiVersion;
use flowmeter_core::ids::TenantId;

use crate::{Store, StoreError};

/// A flow whose endpoint is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFlow {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its id.
    pub flow_id: String,
    /// The URL of its endpoint.
    pub endpoint_url: String,
    /// The interval between checks, if the flow has its own.
    pub interval: Option<Duration>,
}

/// A number that changes with every change of a flow of any tenant. Read it before the flows, so that a
/// change in between is detected the next time.
pub async fn count_flow_changes(store: &Store) -> Result<i64, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached("-- count_flow_changes\nSELECT coalesce(sum(changes), 0)::bigint FROM flow_change")
        .await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// Lists the flows of all tenants whose endpoints answer availability checks. They are not paged, because the
/// worker that performs the checks keeps all of them in memory.
pub async fn list_checked_flows(store: &Store) -> Result<Vec<CheckedFlow>, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- list_checked_flows
             SELECT tenant_id, flow_id, endpoint_url, data_api_version,
                    (extract(epoch FROM check_interval) * 1000)::bigint
             FROM flow
             WHERE deleted_at IS NULL AND endpoint_url <> '' AND data_api_version <> ''",
        )
        .await?;
    let rows = client.query(&statement, &[]).await?;
    let flows = rows.iter().filter(|row| is_checked(row.get(3))).map(|row| CheckedFlow {
        tenant: TenantId(row.get(0)),
        flow_id: row.get(1),
        endpoint_url: row.get(2),
        interval: row.get::<_, Option<i64>>(4).map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())),
    });
    Ok(flows.collect())
}

fn is_checked(data_api_version: &str) -> bool {
    DataApiVersion::parse(data_api_version).is_ok_and(DataApiVersion::is_checked)
}
