//! Time series of objects: stored queries.

use std::time::SystemTime;

use flowmeter_core::asset::Reading;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Changed;
use crate::{Store, StoreError};

/// The maximum number of time series of a tenant.
pub const MAX_TIME_SERIES: i64 = 100_000;

/// The definition of a time series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTimeSeries {
    /// The object that it belongs to.
    pub object: String,
    /// Its name, unique for the object.
    pub name: String,
    /// The provider of the metric.
    pub provider: String,
    /// The name of the metric.
    pub metric: String,
    /// The display name.
    pub display_name: String,
    /// A description.
    pub description: String,
    /// The code of the calendar.
    pub calendar: String,
    /// The aggregation. None for the default of the metric. Only asset metrics can aggregate booleans.
    pub observed: Option<Reading>,
    /// The filter of the events, as the tenant wrote it.
    pub filter: String,
    /// The IANA name of the time zone; empty for that of the calendar.
    pub time_zone: String,
}

/// A stored time series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTimeSeries {
    /// Its definition.
    pub series: NewTimeSeries,
    /// The version, which counts changes from 1.
    pub version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "object, name, provider, metric, display_name, description, calendar, observed, filter, \
                       time_zone, version, created_at, updated_at";

fn read(row: &Row) -> Result<StoredTimeSeries, StoreError> {
    let observed = row.get::<_, Option<String>>(7).map(|name| {
        Reading::named(&name)
            .ok_or_else(|| StoreError::Refused("a stored time series has an unknown aggregation".into()))
    });
    Ok(StoredTimeSeries {
        series: NewTimeSeries {
            object: row.get(0),
            name: row.get(1),
            provider: row.get(2),
            metric: row.get(3),
            display_name: row.get(4),
            description: row.get(5),
            calendar: row.get(6),
            observed: observed.transpose()?,
            filter: row.get(8),
            time_zone: row.get(9),
        },
        version: row.get(10),
        created_at: Timestamp::from(row.get::<_, SystemTime>(11)),
        updated_at: Timestamp::from(row.get::<_, SystemTime>(12)),
    })
}

/// Lists the time series of an object, or of all objects, by object and name, beginning after `after`.
pub async fn list_time_series(
    store: &Store,
    tenant: TenantId,
    object: Option<&str>,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<StoredTimeSeries>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- list_time_series\nSELECT {COLUMNS} FROM time_series
         WHERE tenant_id = $1 AND object = coalesce($2, object)
           AND (object COLLATE \"C\", name COLLATE \"C\") > ($3, $4)
         ORDER BY object COLLATE \"C\", name COLLATE \"C\" LIMIT $5"
    );
    let rows = client
        .query_typed(
            &sql,
            &[
                (&tenant.0, Type::UUID),
                (&object, Type::TEXT),
                (&after.0, Type::TEXT),
                (&after.1, Type::TEXT),
                (&limit, Type::INT8),
            ],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// A time series of an object.
pub async fn get_time_series(
    store: &Store,
    tenant: TenantId,
    object: &str,
    name: &str,
) -> Result<Option<StoredTimeSeries>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- get_time_series\nSELECT {COLUMNS} FROM time_series
         WHERE tenant_id = $1 AND object = $2 AND name = $3"
    );
    let rows = client
        .query_typed(&sql, &[(&tenant.0, Type::UUID), (&object, Type::TEXT), (&name, Type::TEXT)])
        .await?;
    rows.first().map(read).transpose()
}

/// Runs a statement that writes a time series. `last` is the parameter after its columns.
async fn write(
    store: &Store,
    sql: &str,
    tenant: TenantId,
    new: &NewTimeSeries,
    last: &(dyn ToSql + Sync),
) -> Result<Option<StoredTimeSeries>, StoreError> {
    let written = store
        .client()
        .await?
        .query_opt(
            sql,
            &[
                &tenant.0,
                &new.object,
                &new.name,
                &new.provider,
                &new.metric,
                &new.display_name,
                &new.description,
                &new.calendar,
                &new.observed.map(Reading::name),
                &new.filter,
                &new.time_zone,
                last,
            ],
        )
        .await?;
    written.as_ref().map(read).transpose()
}

/// Adds a time series to an object.
pub async fn insert_time_series(
    store: &Store,
    tenant: TenantId,
    new: &NewTimeSeries,
) -> Result<Changed<StoredTimeSeries>, StoreError> {
    let sql = format!(
        "-- insert_time_series
         INSERT INTO time_series
         SELECT $1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, now(), now()
         WHERE (SELECT count(*) FROM time_series WHERE tenant_id = $1) < $12
         ON CONFLICT DO NOTHING
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &MAX_TIME_SERIES).await? {
        Some(inserted) => Ok(Changed::Done(inserted)),
        None if get_time_series(store, tenant, &new.object, &new.name).await?.is_some() => Ok(Changed::Taken),
        None => Ok(Changed::TooMany { limit: MAX_TIME_SERIES, of: "time series per tenant" }),
    }
}

/// Changes a time series whose current version is `version`.
pub async fn update_time_series(
    store: &Store,
    tenant: TenantId,
    new: &NewTimeSeries,
    version: i32,
) -> Result<Changed<StoredTimeSeries>, StoreError> {
    let sql = format!(
        "-- update_time_series
         UPDATE time_series
         SET version = version + 1, provider = $4, metric = $5, display_name = $6, description = $7,
             calendar = $8, observed = $9, filter = $10, time_zone = $11, updated_at = now()
         WHERE tenant_id = $1 AND object = $2 AND name = $3 AND version = $12
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &version).await? {
        Some(updated) => Ok(Changed::Done(updated)),
        None => not_changed(store, tenant, &new.object, &new.name).await,
    }
}

/// Deletes a time series whose current version is `version`, or whatever its version if None.
pub async fn delete_time_series(
    store: &Store,
    tenant: TenantId,
    object: &str,
    name: &str,
    version: Option<i32>,
) -> Result<Changed<()>, StoreError> {
    let client = store.client().await?;
    let deleted = client
        .execute(
            "-- delete_time_series
             DELETE FROM time_series
             WHERE tenant_id = $1 AND object = $2 AND name = $3 AND version = coalesce($4, version)",
            &[&tenant.0, &object, &name, &version],
        )
        .await?;
    if deleted > 0 { Ok(Changed::Done(())) } else { not_changed(store, tenant, object, name).await }
}

/// Determines why nothing was changed.
async fn not_changed<T>(
    store: &Store,
    tenant: TenantId,
    object: &str,
    name: &str,
) -> Result<Changed<T>, StoreError> {
    let found = get_time_series(store, tenant, object, name).await?;
    Ok(found.map_or(Changed::NotFound, |found| Changed::OtherVersion(found.version)))
}
