//! Violations: what is wrong with a field of a request, as a sentence for people and as data for programs.

use crate::calendar::DefinitionError;
use crate::syntax::SyntaxError;
use crate::zone::UnknownZone;

/// A violation: the path of a wrong field, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct Violation {
    /// The path of the field, such as `timestamp` or `attributes["queue"]`.
    pub field: String,
    /// A sentence that says what was expected and found. It never contains a secret.
    pub description: String,
    /// The kind of the violation. None if a program cannot react to it.
    pub kind: Option<Kind>,
    /// The facts in the description, as data for programs.
    pub facts: Vec<Fact>,
}

/// A kind of violation that programs can distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text cannot be parsed. The position says where.
    Syntax,
    /// The value is not the name of a time zone.
    UnknownTimeZone,
    /// The value is not one of the alternatives.
    NotAnAlternative,
    /// The value is not the name of a field, and not similar to one.
    UnknownField,
    /// The value is similar to the name of a field or an attribute, but is not one.
    Misspelt,
    /// The range is the last buckets of a calendar, but the request does not name a calendar.
    LastWithoutCalendar,
}

impl Kind {
    /// Its name in `google.rpc.BadRequest.FieldViolation.reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "SYNTAX",
            Self::UnknownTimeZone => "UNKNOWN_TIME_ZONE",
            Self::NotAnAlternative => "NOT_AN_ALTERNATIVE",
            Self::UnknownField => "UNKNOWN_FIELD",
            Self::Misspelt => "MISSPELT",
            Self::LastWithoutCalendar => "LAST_WITHOUT_CALENDAR",
        }
    }
}

/// A fact in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The position of the error in a text, in characters from 1.
    Position(usize),
    /// What was expected.
    Expected(String),
    /// What was found.
    Found(String),
    /// The valid values. None of them contains a comma.
    Alternatives(Vec<String>),
}

impl Fact {
    /// Its key in `google.rpc.ErrorInfo.metadata`.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Position(_) => "position",
            Self::Expected(_) => "expected",
            Self::Found(_) => "found",
            Self::Alternatives(_) => "alternatives",
        }
    }

    /// Its value in the metadata: a number in decimal, or a list joined by commas.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Position(position) => position.to_string(),
            Self::Expected(text) | Self::Found(text) => text.clone(),
            Self::Alternatives(names) => names.join(","),
        }
    }
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into(), kind: None, facts: Vec::new() }
    }

    /// The same violation with a kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// The same violation with another fact.
    #[must_use]
    pub fn with(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    /// The same violation with the path of its field prefixed by `parent`: `timestamp` within `events[3]`
    /// becomes `events[3].timestamp`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.field =
            if self.field.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.field) };
        self
    }
}

/// A violation without a field. [`Violation::within`] sets the field that contains the text.
impl From<SyntaxError> for Violation {
    fn from(error: SyntaxError) -> Self {
        let violation = Self::new("", error.to_string())
            .of_kind(Kind::Syntax)
            .with(Fact::Position(error.position))
            .with(Fact::Expected(error.expected));
        match error.found {
            Some(found) => violation.with(Fact::Found(found)),
            None => violation,
        }
    }
}

/// A violation without a field. [`Violation::within`] sets the field that contains the name.
impl From<UnknownZone> for Violation {
    fn from(error: UnknownZone) -> Self {
        Self::new("", error.to_string()).of_kind(Kind::UnknownTimeZone).with(Fact::Found(error.0))
    }
}

/// A violation of the wrong part of the definition. [`Violation::within`] sets the field that contains the
/// definition.
impl From<DefinitionError> for Violation {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Interval(error) => error.into(),
            DefinitionError::Zone(error) => error.into(),
            other => Self::new("", other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_has_the_facts_of_its_description() {
        let violation = Violation::from(SyntaxError::new(9, "a number").found("x")).within("range");
        assert_eq!(violation.to_string(), "range: at character 9: expected a number, found \"x\"");
        assert_eq!(violation.kind, Some(Kind::Syntax));
        let facts: Vec<_> = violation.facts.iter().map(|fact| (fact.key(), fact.value())).collect();
        assert_eq!(
            facts,
            [("position", "9".to_owned()), ("expected", "a number".to_owned()), ("found", "x".to_owned())]
        );
        let alternatives = Fact::Alternatives(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!(alternatives.value(), "A,B");
    }
}
