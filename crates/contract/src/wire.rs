//! Decodes the items of batches without copying text.
//!
//! The generated decoder would allocate a string for each text field, and would reject a whole batch because of one text
//! that is not UTF-8. Here, such a text is a violation of one field of one item.

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
