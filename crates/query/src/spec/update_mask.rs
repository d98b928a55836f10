//! Update masks: the fields of a definition that a request changes. Pure.

use flowmeter_service::error::{ApiError, Reason};
use prost_types::FieldMask;

/// The maximum number of characters of a wrong path in an error.
const MAX_SHOWN_CHARS: usize = 100;

/// The fields to change.
#[derive(Debug)]
pub struct Mask {
    /// The fields. `None` for all fields.
    paths: Option<Vec<String>>,
}

impl Mask {
    /// Reads a mask that can name `fields`.
    pub fn read(mask: Option<FieldMask>, fields: &[&str]) -> Result<Self, ApiError> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            return Ok(Self { paths: None });
        };
        let mut paths = Vec::new();
        for path in mask.paths {
            if path == "*" {
                return Ok(Self { paths: None });
            }
            if !fields.contains(&path.as_str()) {
                let path: String = path.chars().take(MAX_SHOWN_CHARS).collect();
                let text = format!("expected one of {}, found {path:?}", fields.join(", "));
                return Err(ApiError::field(Reason::InvalidField, "update_mask", text));
            }
            paths.push(path);
        }
        Ok(Self { paths: Some(paths) })
    }

    /// Replaces `current` by `new` if the mask names the field or the message that has the field.
    pub fn take<T>(&self, field: &str, current: &mut T, new: T) {
        let message = field.split('.').next().unwrap_or_default();
        let named = |paths: &Vec<String>| paths.iter().any(|path| path == field || path == message);
        if self.paths.as_ref().is_none_or(named) {
            *current = new;
        }
    }

    /// Whether the mask names the field itself.
    pub fn names(&self, field: &str) -> bool {
        self.paths.as_ref().is_some_and(|paths| paths.iter().any(|path| path == field))
    }
}
