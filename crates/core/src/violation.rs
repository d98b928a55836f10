//! What is wrong with a field of a request, in words for the one who sent it.

/// One wrong field: where it is, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct Violation {
    /// The path of the field, such as `timestamp` or `attributes["queue"]`.
    pub field: String,
    /// What is wrong and what was expected. It never repeats a secret.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// The same violation seen from the outside: `timestamp` within `events[3]`
    /// is `events[3].timestamp`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.field =
            if self.field.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.field) };
        self
    }
}
