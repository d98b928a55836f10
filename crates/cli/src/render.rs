//! Turns answers into text for a terminal, without input or output.

pub(crate) mod asset;
pub(crate) mod chart;
pub(crate) mod clock;
pub(crate) mod event;
pub(crate) mod executions;
pub(crate) mod flow;
pub(crate) mod grouped;
mod notes;
pub(crate) mod series;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod timeline;
