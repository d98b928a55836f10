//! Update masks: which fields of a definition are changed.

use flowmeter_service::error::{ApiError, Reason};
use prost_types::FieldMask;

/// The fields to change.
#[derive(Debug)]
pub struct Mask {
    /// None: all.
    paths: Option<Vec<String>>,
}

impl Mask {
    /// Reads a mask of these fields. A path below one of them means all of it.
    pub fn read(mask: Option<FieldMask>, fields: &[&str]) -> Result<Self, ApiError> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            return Ok(Self { paths: None });
        };
        let mut paths = Vec::new();
        for path in mask.paths {
            let root = path.split('.').next().unwrap_or_default();
            if path == "*" {
                return Ok(Self { paths: None });
            }
            if !fields.contains(&root) {
                let text = format!("expected some of {}, found {path:?}", fields.join(", "));
                return Err(ApiError::field(Reason::InvalidField, "update_mask", text));
            }
            paths.push(root.to_owned());
        }
        Ok(Self { paths: Some(paths) })
    }

    /// Takes `new` for `current` if the field is to be changed.
    pub fn take<T>(&self, field: &str, current: &mut T, new: T) {
        if self.paths.as_ref().is_none_or(|paths| paths.iter().any(|path| path == field)) {
            *current = new;
        }
    }
}
