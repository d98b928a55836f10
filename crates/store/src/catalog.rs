//! What tenants define: metrics, calendars, time series and flows.

mod change;
mod current;

pub mod calendars;
pub mod flows;
pub mod metrics;
pub mod time_series;

use flowmeter_core::ids::TenantId;

pub use change::Changed;
pub(crate) use current::{Catalogs, generations, share_lock};

/// Shared by every transaction that rolls events up, and taken alone by every change of what is
/// rolled up: a change sees no such transaction half done, and none begins before it is done.
const CATALOG_LOCK: i32 = 0x666c_6361;

/// Locks that tenants share: few, because a transaction with the events of many tenants takes one for
/// each of theirs, and enough for a tenant's change to make few others wait.
const STRIPES: u128 = 64;

/// The lock of a tenant.
fn stripe(tenant: TenantId) -> i32 {
    i32::try_from(tenant.0.as_u128() % STRIPES).expect("less than 64")
}
