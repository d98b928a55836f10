//! Field masks: which fields an update changes. What was not given on the command line
//! stays as it is.

use prost_types::FieldMask;

/// Collects the fields that were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes(Vec<String>);

impl Changes {
    /// Sets a field, and says so in the mask, if a value was given.
    pub(crate) fn set<T>(&mut self, path: &str, field: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *field = given;
            self.touch(path);
        }
    }

    /// Says in the mask that this field is changed.
    pub(crate) fn touch(&mut self, path: &str) {
        if !self.0.iter().any(|known| known == path) {
            self.0.push(path.to_owned());
        }
    }

    /// The mask. An empty one would mean all fields to the service, so there is none
    /// without a change.
    pub(crate) fn mask(self) -> Option<FieldMask> {
        (!self.0.is_empty()).then_some(FieldMask { paths: self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_given_once() {
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
