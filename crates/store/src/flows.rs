//! The counters of flows: appending what batches add, folding it, and reading it.
//!
//! They go the way of roll-ups: a batch appends partial rows in its transaction, folding takes these away
//! and adds them to the counters of days in one transaction, and a reader's one statement sees both, each
//! request once. A row holds all counters of a flow and a day (UTC) by quarters of an hour, where roll-ups
//! have one for each bucket, resolution and combination of labels, because the labels of flows are few and
//! fixed, and an answer has hundreds of points.

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
pub use registered::{Registration, find_registrations, list_registrations};

use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;

use crate::StoreError;

/// What is added to the counters of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowCounts<'a> {
    /// Whose flow.
    pub tenant: TenantId,
    /// The flow.
    pub flow_id: &'a str,
    /// The beginning of the quarter of an hour.
    pub bucket: Timestamp,
    /// What is added.
    pub counters: Counters,
}

/// The error that what is kept of a flow is damaged.
fn malformed(tenant: TenantId, flow_id: &str) -> StoreError {
    StoreError::Refused(format!(
        "the counters of the flow {flow_id:?} of tenant {tenant} are not in their form"
    ))
}
