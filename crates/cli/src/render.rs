//! Turns answers into text for a terminal. Pure: no input or output happens here.

pub(crate) mod chart;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod timeline;
