//! The counters of flows: appending what batches add, folding it, and reading it.
//!
//! Like roll-ups, a batch appends partial rows in its transaction. Folding removes partial rows and adds them to the
//! counters of days in one transaction. A reader uses a single statement for both, so it counts each request once.
//!
//! A row contains all counters of a flow for a day (UTC) by quarter-hour, whereas a row of a roll-up contains
//! one bucket of one series. The labels of flows are few and fixed, and an answer has hundreds of points.

mod append;
mod checked;
mod encoding;
mod fold;
mod read;
mod registered;
#[cfg(test)]
mod tests;

pub(crate) use append::append_flow_counts;
pub use checked::{CheckedFlow, count_flow_changes, list_checked_flows};
pub use fold::fold_flow_partials;
pub use read::{Edges, FlowHistory, read_flow_history};
pub use registered::{RegisteredFlow, Registration, find_registrations, list_registrations};

use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;

use crate::StoreError;

/// The increments of the counters of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowCounts<'a> {
    /// The tenant that owns the flow.
    pub tenant: TenantId,
    /// The flow.
    pub flow_id: &'a str,
    /// The start of the quarter-hour.
    pub bucket: Timestamp,
    /// The increments.
    pub counters: Counters,
}

/// The error for stored counters that are corrupt.
fn malformed(tenant: TenantId, flow_id: &str) -> StoreError {
    StoreError::Refused(format!("the stored counters of flow {flow_id:?} of tenant {tenant} are corrupt"))
}
