//! Reads the items of batches from the wire without copying a byte of text.
//!
//! The generated decoder would build a string for each field of text, and would
//! fail a whole batch for one text that is not UTF-8; here it is a violation of that
//! field of that item.

mod asset_document;
mod asset_metric;
mod flow_request;
mod reader;
mod usage_event;

pub use asset_document::{AssetDocument, read_asset_document};
pub use asset_metric::{read_asset_metric, read_asset_value};
pub use flow_request::read_flow_request;
pub use reader::read_timestamp;
pub use usage_event::read_usage_event;
