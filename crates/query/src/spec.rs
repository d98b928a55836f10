//! Reads requests without the store. Pure. Finds all violations that do not depend on stored data.

pub mod asset_list;
pub mod asset_query;
pub mod calendar;
pub mod clock;
pub mod endpoint_url;
pub mod event_list;
pub mod fields;
pub mod flow;
pub mod flow_metric;
pub mod labels;
pub mod metric;
pub mod parameters;
pub mod query;
pub mod read_mask;
pub mod time_series;
pub mod update_mask;
