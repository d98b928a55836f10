//! Reads the items of batches from the wire without copying a byte of text.
//!
//! The generated decoder would build a string for each field of text, and would
//! fail a whole batch for one text that is not UTF-8; here it is a violation of that
//! field of that item.

mod flow_request;
mod reader;
mod usage_event;

pub use flow_request::read_flow_request;
pub use usage_event::read_usage_event;
