//! Calendars that tenants define.

mod definition;

use std::time::SystemTime;

use flowmeter_core::calendar::Calendar;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Changed;
use crate::{Store, StoreError};

/// The maximum number of calendars of a tenant.
pub const MAX_CALENDARS: i64 = 200;

/// How a calendar divides time into buckets, as the tenant wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarKind {
    /// Buckets of equal length.
    Interval {
        /// The length, an ISO 8601 duration.
        interval: String,
        /// The offset of their starts, an ISO 8601 duration; empty if there is none.
        offset: String,
    },
    /// Buckets that begin on each working day.
    WorkingDays {
        /// The numbers of the weekend's days; Monday is 1.
        weekend: Vec<i16>,
        /// Dates and rules.
        holidays: Vec<String>,
    },
}

/// The definition of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCalendar {
    /// The code.
    pub code: String,
    /// A description.
    pub description: String,
    /// The IANA name of its time zone.
    pub time_zone: String,
    /// How it divides time into buckets.
    pub kind: CalendarKind,
}

/// A stored calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCalendar {
    /// Its definition.
    pub calendar: NewCalendar,
    /// The version, which counts changes from 1.
    pub version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str = r#"code, description, time_zone, "interval", "offset", weekend, holidays, version, created_at, updated_at"#;

fn read(row: &Row) -> StoredCalendar {
    let kind = match row.get::<_, Option<String>>(3) {
        Some(interval) => {
            CalendarKind::Interval { interval, offset: row.get::<_, Option<String>>(4).unwrap_or_default() }
        }
        None => CalendarKind::WorkingDays {
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

/// Lists a tenant's own calendars by code.
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

/// A tenant's own calendar, parsed. A stored calendar that cannot be parsed is an error of the store.
pub async fn read_calendar(
    store: &Store,
    tenant: TenantId,
    code: &str,
) -> Result<Option<Calendar>, StoreError> {
    let Some(stored) = get_calendar(store, tenant, code).await? else { return Ok(None) };
    let unreadable =
        |cause| StoreError::Refused(format!("the stored calendar {code:?} cannot be parsed: {cause}"));
    stored.calendar.parse().map(Some).map_err(unreadable)
}

/// The columns that depend on the kind of a calendar.
#[derive(Default)]
struct KindColumns<'a> {
    interval: Option<&'a str>,
    offset: Option<&'a str>,
    weekend: Option<&'a [i16]>,
    holidays: Option<&'a [String]>,
}

impl<'a> From<&'a CalendarKind> for KindColumns<'a> {
    fn from(kind: &'a CalendarKind) -> Self {
        match kind {
            CalendarKind::Interval { interval, offset } => {
                Self { interval: Some(interval), offset: Some(offset), ..Self::default() }
            }
            CalendarKind::WorkingDays { weekend, holidays } => {
                Self { weekend: Some(weekend), holidays: Some(holidays), ..Self::default() }
            }
        }
    }
}

/// Runs a statement that writes a calendar. `last` is the parameter after its columns.
async fn write(
    store: &Store,
    sql: &str,
    tenant: TenantId,
    new: &NewCalendar,
    last: &(dyn ToSql + Sync),
) -> Result<Option<StoredCalendar>, StoreError> {
    let KindColumns { interval, offset, weekend, holidays } = KindColumns::from(&new.kind);
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
        None => Ok(Changed::TooMany { limit: MAX_CALENDARS, of: "calendars per tenant" }),
    }
}

/// Changes a calendar whose current version is `version`.
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

/// Deletes a calendar whose current version is `version`, or whatever its version if None.
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

/// Determines why nothing was changed.
async fn not_changed<T>(store: &Store, tenant: TenantId, code: &str) -> Result<Changed<T>, StoreError> {
    let found = get_calendar(store, tenant, code).await?;
    Ok(found.map_or(Changed::NotFound, |found| Changed::OtherVersion(found.version)))
}
