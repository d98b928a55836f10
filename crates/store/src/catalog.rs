//! What tenants define: metrics, calendars and time series.

mod change;
mod current;

pub mod calendars;
pub mod metrics;
pub mod time_series;

pub use change::Changed;
pub(crate) use current::{Catalogs, generations, share_lock};

/// Shared by every transaction that rolls events up, and taken alone by every change of what is
/// rolled up: a change sees no such transaction half done, and none begins before it is done.
const CATALOG_LOCK: i64 = 0x666c_6f77_6361_7461;
