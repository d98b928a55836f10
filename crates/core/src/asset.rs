//! Asset metrics: a named value of one of three types at a point in time. The semantics and the names are those
//! of the Semarchy xDG API.

mod metric;
mod number;
mod reading;
mod value;

pub use metric::AssetMetric;
pub use number::{NotANumber, Number};
pub use reading::{Readable, Reading, Truth, urn_field};
pub use value::{Sent, Value, ValueType};

use crate::violation::Violation;

/// The provider under which the numbers and booleans of assets can be read as time series.
pub const PROVIDER: &str = "asset";

/// The maximum length of an asset's URN in bytes.
pub const MAX_URN_BYTES: usize = 512;
/// The maximum length of a metric's name in bytes.
pub const MAX_NAME_BYTES: usize = 512;
/// The maximum length of a string value in bytes.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Checks the URN of an asset, given in the request field `field`.
pub fn check_urn(field: &str, urn: &str) -> Result<(), Violation> {
    check_key(field, urn, MAX_URN_BYTES)
}

/// Checks the name of a metric, given in the request field `field`.
pub fn check_name(field: &str, name: &str) -> Result<(), Violation> {
    check_key(field, name, MAX_NAME_BYTES)
}

fn check_key(field: &str, text: &str, max_bytes: usize) -> Result<(), Violation> {
    let found = match text.len() {
        0 => "none".to_owned(),
        bytes if bytes > max_bytes => format!("{bytes} bytes"),
        _ if text.contains(char::is_control) => "a control character".to_owned(),
        _ => return Ok(()),
    };
    let text = format!("expected 1 to {max_bytes} bytes without control characters, found {found}");
    Err(Violation::new(field, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urns_and_names_are_limited_and_printable() {
        assert_eq!(check_urn("asset_urn", "urn:xdg:database:crm"), Ok(()));
        assert_eq!(check_name("name", &"ä".repeat(256)), Ok(()));
        for (urn, found) in [
            ("", "none"),
            ("a\nb", "a control character"),
            ("tab\tx", "a control character"),
            (&"x".repeat(513), "513 bytes"),
        ] {
            let expected =
                format!("asset_urn: expected 1 to 512 bytes without control characters, found {found}");
            assert_eq!(check_urn("asset_urn", urn).unwrap_err().to_string(), expected);
        }
    }
}
