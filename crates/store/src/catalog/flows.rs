//! Flows. The row of a deleted flow stays, and so does its history, which continues if the flow is registered again.

use std::time::{Duration, SystemTime};

use deadpool_postgres::GenericClient;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Changed;
use crate::{Store, StoreError};

/// The maximum number of flows of a tenant, without deleted ones.
pub const MAX_FLOWS: i64 = 10_000;

/// The definition of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFlow {
    /// The id.
    pub flow_id: String,
    /// The display name.
    pub name: String,
    /// The URL of its endpoint; may be empty.
    pub endpoint_url: String,
    /// The version of the data API of the endpoint; may be empty.
    pub data_api_version: String,
    /// The IANA name of its time zone.
    pub time_zone: String,
    /// The interval between checks of its endpoint, in whole microseconds. None for the default of the worker.
    pub check_interval: Option<Duration>,
}

/// A stored flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFlow {
    /// Its definition.
    pub flow: NewFlow,
    /// The version, which counts changes from 1.
    pub version: i32,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "flow_id, name, endpoint_url, data_api_version, time_zone, \
                       extract(epoch FROM check_interval)::double precision, version, created_at, updated_at";

fn read(row: &Row) -> StoredFlow {
    let seconds: Option<f64> = row.get(5);
    StoredFlow {
        flow: NewFlow {
            flow_id: row.get(0),
            name: row.get(1),
            endpoint_url: row.get(2),
            data_api_version: row.get(3),
            time_zone: row.get(4),
            check_interval: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        version: row.get(6),
        created_at: Timestamp::from(row.get::<_, SystemTime>(7)),
        updated_at: Timestamp::from(row.get::<_, SystemTime>(8)),
    }
}

/// Lists a tenant's flows by id, beginning after the id `after`.
pub async fn list_flows(
    store: &Store,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<StoredFlow>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- list_flows\nSELECT {COLUMNS} FROM flow
         WHERE tenant_id = $1 AND flow_id > $2 AND deleted_at IS NULL
         ORDER BY flow_id LIMIT $3"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&tenant.0, Type::UUID), (&after, Type::TEXT), (&limit, Type::INT8)];
    Ok(client.query_typed(&sql, &parameters).await?.iter().map(read).collect())
}

/// The flow with this id.
pub async fn get_flow(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
) -> Result<Option<StoredFlow>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- get_flow\nSELECT {COLUMNS} FROM flow
         WHERE tenant_id = $1 AND flow_id = $2 AND deleted_at IS NULL"
    );
    let rows = client.query_typed(&sql, &[(&tenant.0, Type::UUID), (&flow_id, Type::TEXT)]).await?;
    Ok(rows.first().map(read))
}

/// Runs a statement that writes a flow. `last` is the parameter after its columns.
async fn write(
    store: &Store,
    sql: &str,
    tenant: TenantId,
    new: &NewFlow,
    last: &(dyn ToSql + Sync),
) -> Result<Option<StoredFlow>, StoreError> {
    let written = store
        .client()
        .await?
        .query_opt(
            sql,
            &[
                &tenant.0,
                &new.flow_id,
                &new.name,
                &new.endpoint_url,
                &new.data_api_version,
                &new.time_zone,
                &new.check_interval.map(|interval| interval.as_secs_f64()),
                last,
            ],
        )
        .await?;
    Ok(written.as_ref().map(read))
}

/// Registers a flow. A deleted flow returns with its next version.
pub async fn insert_flow(
    store: &Store,
    tenant: TenantId,
    new: &NewFlow,
) -> Result<Changed<StoredFlow>, StoreError> {
    let sql = format!(
        "-- insert_flow
         INSERT INTO flow
         SELECT $1, $2, 1, $3, $4, $5, $6, make_interval(secs => $7), now(), now(), NULL, now()
         WHERE (SELECT count(*) FROM flow WHERE tenant_id = $1 AND deleted_at IS NULL) < $8
         ON CONFLICT (tenant_id, flow_id) DO UPDATE
         SET version = flow.version + 1, name = excluded.name, endpoint_url = excluded.endpoint_url,
             data_api_version = excluded.data_api_version, time_zone = excluded.time_zone,
             check_interval = excluded.check_interval, updated_at = now(), deleted_at = NULL,
             registered_at = now()
         WHERE flow.deleted_at IS NOT NULL
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &MAX_FLOWS).await? {
        Some(inserted) => Ok(Changed::Done(inserted)),
        None if get_flow(store, tenant, &new.flow_id).await?.is_some() => Ok(Changed::Taken),
        None => Ok(Changed::TooMany { limit: MAX_FLOWS, of: "flows per tenant" }),
    }
}

/// Changes a flow whose current version is `version`.
pub async fn update_flow(
    store: &Store,
    tenant: TenantId,
    new: &NewFlow,
    version: i32,
) -> Result<Changed<StoredFlow>, StoreError> {
    let sql = format!(
        "-- update_flow
         UPDATE flow
         SET version = version + 1, name = $3, endpoint_url = $4, data_api_version = $5, time_zone = $6,
             check_interval = make_interval(secs => $7), updated_at = now()
         WHERE tenant_id = $1 AND flow_id = $2 AND version = $8 AND deleted_at IS NULL
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &version).await? {
        Some(updated) => Ok(Changed::Done(updated)),
        None => not_changed(store, tenant, &new.flow_id).await,
    }
}

/// Deletes a flow whose current version is `version`, or whatever its version if None. Its counters stay. Its URL is
/// removed, because the URL may contain a secret.
pub async fn delete_flow(
    store: &Store,
    tenant: TenantId,
    flow_id: &str,
    version: Option<i32>,
) -> Result<Changed<()>, StoreError> {
    let client = store.client().await?;
    let deleted = client
        .execute(
            "-- delete_flow
             UPDATE flow SET deleted_at = now(), endpoint_url = ''
             WHERE tenant_id = $1 AND flow_id = $2 AND version = coalesce($3, version)
               AND deleted_at IS NULL",
            &[&tenant.0, &flow_id, &version],
        )
        .await?;
    if deleted > 0 { Ok(Changed::Done(())) } else { not_changed(store, tenant, flow_id).await }
}

/// Determines why nothing was changed.
async fn not_changed<T>(store: &Store, tenant: TenantId, flow_id: &str) -> Result<Changed<T>, StoreError> {
    let found = get_flow(store, tenant, flow_id).await?;
    Ok(found.map_or(Changed::NotFound, |found| Changed::OtherVersion(found.version)))
}
