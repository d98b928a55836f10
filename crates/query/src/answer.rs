//! Encodes answers as messages of the contract. Pure.

pub mod asset_page;
pub mod calendar;
pub mod event;
pub mod executions;
pub mod flow;
pub mod metric;
pub mod series;
pub mod tenant;
pub mod time_series;
pub mod token;
