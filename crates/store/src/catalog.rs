//! Definitions of tenants: metrics, calendars, time series and flows.

mod change;
mod current;

pub mod calendars;
pub mod flows;
pub mod metrics;
pub mod time_series;

use flowmeter_core::ids::TenantId;

pub use change::Changed;
pub(crate) use current::{MetricCatalogs, generations, share_lock};

/// The advisory lock of catalogs. Every transaction that rolls up events takes it shared, and every change of metric
/// definitions takes it exclusively. So a change waits for running transactions, and new ones wait for the change.
const CATALOG_LOCK: i32 = 0x666c_6361;

/// The number of locks, which tenants share. There are few of them, because a transaction takes the locks of
/// all of its tenants, but enough that a tenant's change makes few other tenants wait.
const STRIPES: u128 = 64;

/// The lock of a tenant.
fn stripe(tenant: TenantId) -> i32 {
    i32::try_from(tenant.0.as_u128() % STRIPES).expect("it is less than 64")
}
