//! Calendars that tenants define.

use std::time::SystemTime;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Changed;
use crate::{Store, StoreError};

/// Calendars that a tenant may define.
pub const MAX_CALENDARS: i64 = 200;

/// How a calendar cuts time, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Buckets of one length.
    Interval {
        /// The length, an ISO 8601 duration.
        interval: String,
        /// How much later than usual they begin, an ISO 8601 duration; empty for none.
        offset: String,
    },
    /// Buckets that begin with each working day.
    WorkingDays {
        /// The days of the weekend by number, from Monday = 1.
        weekend: Vec<i16>,
        /// Dates and rules.
        holidays: Vec<String>,
    },
}

/// A calendar to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCalendar {
    /// The code.
    pub code: String,
    /// What it is, in words.
    pub description: String,
    /// The IANA name of its zone.
    pub time_zone: String,
    /// How it cuts time.
    pub kind: Kind,
}

/// A calendar as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCalendar {
    /// What it is.
    pub calendar: NewCalendar,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str = r#"code, description, time_zone, "interval", "offset", weekend, holidays, version, created_at, updated_at"#;

fn read(row: &Row) -> StoredCalendar {
    let kind = match row.get::<_, Option<String>>(3) {
        Some(interval) => {
            Kind::Interval { interval, offset: row.get::<_, Option<String>>(4).unwrap_or_default() }
        }
        None => Kind::WorkingDays {
            weekend: row.get::<_, Option<Vec<i16>>>(5).unwrap_or_default(),
            holidays: row.get::<_, Option<Vec<String>>>(6).unwrap_or_default(),
        },
    };
    StoredCalendar {
        calendar: NewCalendar { code: row.get(0), description: row.get(1), time_zone: row.get(2), kind },
        version: row.get(7),
        created_at: Timestamp::from(row.get::<_, SystemTime>(8)),
        updated_at: Timestamp::from(row.get::<_, SystemTime>(9)),
    }
}

/// A tenant's own calendars, by code.
pub async fn list_calendars(store: &Store, tenant: TenantId) -> Result<Vec<StoredCalendar>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- list_calendars\nSELECT {COLUMNS} FROM calendar_definition WHERE tenant_id = $1
         ORDER BY code COLLATE \"C\""
    );
    Ok(client.query_typed(&sql, &[(&tenant.0, Type::UUID)]).await?.iter().map(read).collect())
}

/// A tenant's own calendar.
pub async fn get_calendar(
    store: &Store,
    tenant: TenantId,
    code: &str,
) -> Result<Option<StoredCalendar>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- get_calendar\nSELECT {COLUMNS} FROM calendar_definition WHERE tenant_id = $1 AND code = $2"
    );
    let rows = client.query_typed(&sql, &[(&tenant.0, Type::UUID), (&code, Type::TEXT)]).await?;
    Ok(rows.first().map(read))
}

/// The columns of a kind: interval, offset, weekend, holidays.
type KindColumns<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a [i16]>, Option<&'a [String]>);

fn columns(kind: &Kind) -> KindColumns<'_> {
    match kind {
        Kind::Interval { interval, offset } => (Some(interval), Some(offset), None, None),
        Kind::WorkingDays { weekend, holidays } => (None, None, Some(weekend), Some(holidays)),
    }
}

/// Runs a statement that writes a calendar; `last` is the parameter after its columns.
async fn write(
    store: &Store,
    sql: &str,
    tenant: TenantId,
    new: &NewCalendar,
    last: &(dyn ToSql + Sync),
) -> Result<Option<StoredCalendar>, StoreError> {
    let (interval, offset, weekend, holidays) = columns(&new.kind);
    let written = store
        .client()
        .await?
        .query_opt(
            sql,
            &[
                &tenant.0,
                &new.code,
                &new.description,
                &new.time_zone,
                &interval,
                &offset,
                &weekend,
                &holidays,
                last,
            ],
        )
        .await?;
    Ok(written.as_ref().map(read))
}

/// Defines a calendar.
pub async fn insert_calendar(
    store: &Store,
    tenant: TenantId,
    new: &NewCalendar,
) -> Result<Changed<StoredCalendar>, StoreError> {
    let sql = format!(
        "-- insert_calendar
         INSERT INTO calendar_definition
         SELECT $1, $2, 1, $3, $4, $5, $6, $7, $8, now(), now()
         WHERE (SELECT count(*) FROM calendar_definition WHERE tenant_id = $1) < $9
         ON CONFLICT DO NOTHING
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &MAX_CALENDARS).await? {
        Some(inserted) => Ok(Changed::Done(inserted)),
        None if get_calendar(store, tenant, &new.code).await?.is_some() => Ok(Changed::Taken),
        None => Ok(Changed::TooMany { limit: MAX_CALENDARS, of: "calendars of its own a tenant" }),
    }
}

/// Changes a calendar that is in `version`.
pub async fn update_calendar(
    store: &Store,
    tenant: TenantId,
    new: &NewCalendar,
    version: i32,
) -> Result<Changed<StoredCalendar>, StoreError> {
    let sql = format!(
        "-- update_calendar
         UPDATE calendar_definition
         SET version = version + 1, description = $3, time_zone = $4, \"interval\" = $5, \"offset\" = $6,
             weekend = $7, holidays = $8, updated_at = now()
         WHERE tenant_id = $1 AND code = $2 AND version = $9
         RETURNING {COLUMNS}"
    );
    match write(store, &sql, tenant, new, &version).await? {
        Some(updated) => Ok(Changed::Done(updated)),
        None => not_changed(store, tenant, &new.code).await,
    }
}

/// Deletes a calendar, if it is in `version` or whichever it is in.
pub async fn delete_calendar(
    store: &Store,
    tenant: TenantId,
    code: &str,
    version: Option<i32>,
) -> Result<Changed<()>, StoreError> {
    let client = store.client().await?;
    let deleted = client
        .execute(
            "-- delete_calendar
             DELETE FROM calendar_definition
             WHERE tenant_id = $1 AND code = $2 AND version = coalesce($3, version)",
            &[&tenant.0, &code, &version],
        )
        .await?;
    if deleted > 0 { Ok(Changed::Done(())) } else { not_changed(store, tenant, code).await }
}

/// Why nothing was changed.
async fn not_changed<T>(store: &Store, tenant: TenantId, code: &str) -> Result<Changed<T>, StoreError> {
    let found = get_calendar(store, tenant, code).await?;
    Ok(found.map_or(Changed::NotFound, |found| Changed::OtherVersion(found.version)))
}
