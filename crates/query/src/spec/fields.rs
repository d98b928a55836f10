//! Checks fields that several requests of the catalog have. Pure.

use flowmeter_core::violation::Violation;
use flowmeter_service::error::{ApiError, Reason};

/// The maximum length of a text for people in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// The message in a required field of a request.
pub fn given<T>(field: &str, message: Option<T>) -> Result<T, ApiError> {
    message.ok_or_else(|| ApiError::field(Reason::InvalidField, field, "expected a value, found none"))
}

/// Reads a version. `None` if it is 0, which means that the request has no version.
pub fn version(field: &str, version: i32) -> Result<Option<i32>, ApiError> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(version)),
        _ => {
            let text = format!("expected a version from 1, found {version}");
            Err(ApiError::field(Reason::InvalidField, field, text))
        }
    }
}

/// Checks a text for people.
pub fn check_text(field: &str, text: &str, violations: &mut Vec<Violation>) {
    if text.len() > MAX_TEXT_BYTES {
        let found = text.len();
        violations
            .push(Violation::new(field, format!("expected at most {MAX_TEXT_BYTES} bytes, found {found}")));
    } else if text.contains('\0') {
        violations.push(Violation::new(field, "expected text without NUL characters"));
    }
}
