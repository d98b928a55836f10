//! What is wrong with a field of a request: a sentence for the person who sent it, and the same as data for a program.

use crate::calendar::DefinitionError;
use crate::syntax::SyntaxError;
use crate::zone::UnknownZone;

/// One wrong field: where it is, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct Violation {
    /// The path of the field, such as `timestamp` or `attributes["queue"]`.
    pub field: String,
    /// What is wrong and what was expected. It never repeats a secret.
    pub description: String,
    /// What kind of violation it is, where a program can do something about it.
    pub kind: Option<Kind>,
    /// What the description says, for programs, which never read the description.
    pub facts: Vec<Fact>,
}

/// A kind of violation that a program can tell from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text cannot be read. The position says where.
    Syntax,
    /// The name is not that of a time zone.
    UnknownTimeZone,
    /// The value is not one of the alternatives.
    NotAnAlternative,
    /// The name is not that of a field, and does not look like one.
    UnknownField,
    /// The name looks like that of a field, or of an attribute, but is not.
    Misspelt,
    /// The range is the last buckets of a calendar, and no calendar is named.
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

/// A part of what a description says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The character at which a text goes wrong, counted from 1.
    Position(usize),
    /// What was expected.
    Expected(String),
    /// What was found instead.
    Found(String),
    /// The values that are taken. None of them contains a comma.
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

    /// Its value there: a number in decimal, a list joined by commas.
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

    /// The same violation, of that kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// The same violation, which also says this to programs.
    #[must_use]
    pub fn with(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
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

/// A violation of the field that is the whole text; [`Violation::within`] names it.
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

/// A violation of the field that is the whole name; [`Violation::within`] names it.
impl From<UnknownZone> for Violation {
    fn from(error: UnknownZone) -> Self {
        Self::new("", error.to_string()).of_kind(Kind::UnknownTimeZone).with(Fact::Found(error.0))
    }
}

/// A violation of the field that is the whole definition, or the part that is wrong; [`Violation::within`] names it.
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
    fn programs_are_told_what_the_sentence_says() {
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
