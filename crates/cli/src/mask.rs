//! Field masks: which fields an update changes. Options that are not given leave their fields unchanged.

use prost_types::FieldMask;

/// Collects the fields that an update changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes(Vec<String>);

impl Changes {
    /// Sets a field and adds it to the mask, if a value was given.
    pub(crate) fn set<T>(&mut self, path: &str, field: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *field = given;
            self.touch(path);
        }
    }

    /// Adds a field to the mask.
    pub(crate) fn touch(&mut self, path: &str) {
        if !self.0.iter().any(|known| known == path) {
            self.0.push(path.to_owned());
        }
    }

    /// The mask. None without a change, because an empty mask would mean all fields to the service.
    pub(crate) fn mask(self) -> Option<FieldMask> {
        (!self.0.is_empty()).then_some(FieldMask { paths: self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_field_is_in_the_mask_once() {
        let (mut unit, mut version) = (String::from("ms"), 3);
        let mut changes = Changes::default();
        changes.set("unit", &mut unit, Some("s".into()));
        changes.set("version", &mut version, None);
        changes.touch("unit");
        assert_eq!((unit.as_str(), version), ("s", 3));
        assert_eq!(changes.mask().unwrap().paths, ["unit"]);
        assert_eq!(Changes::default().mask(), None);
    }
}
