//! Filters: which events a question is about. Two spellings, one meaning: a JSON
//! object of fields and values, or an expression after AIP-160.
//!
//! # Fields
//!
//! A field of the event by its name, such as `application`, `httpstatus` or
//! `duration`; any other name is an attribute's. `attributes.name` is the attribute
//! even where the name alone would mean something else, and an expression also takes
//! `attributes["any name"]`. A name alone that differs from that of an own field by its case, its
//! underscores or one slip, such as `serivce`, is refused: it would find nothing without a word. Time is chosen by a range, so `timestamp` and the ids
//! are no fields of a filter.
//!
//! # Expressions
//!
//! `application = "api" AND duration > 500`, with `=`, `!=`, `<`, `<=`, `>`, `>=`,
//! `=~ "pattern"`, `!~ "pattern"`, `IN ("a", "b")`, `NOT IN (…)`, and `:*` for a field
//! that is there. `NOT` or `-` binds tightest and, as AIP-160 has it, **`OR` binds
//! tighter than `AND`**: `a = 1 AND b = 2 OR c = 3` is `a = 1 AND (b = 2 OR c = 3)`.
//! Texts stand in `"` or `'`, where `\` stands before a quote or another `\`; a word of
//! letters, digits, `_`, `-` and `.` needs no quotes. Conditions beside each other
//! without an `AND`, texts without a field, and functions are not part of it.
//!
//! # JSON
//!
//! `{"application": "api", "duration": {"$gte": 5, "$lt": 9}}`. Everything in an
//! object must hold, also where a key is repeated. Operators of a field are `$eq`,
//! `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$regex`, `$exists` and `$not`;
//! `$and`, `$or` and `$nor` take lists of objects. Numbers are taken as they are
//! written, so `1.10` stays exact.
//!
//! # Meaning
//!
//! A condition holds or does not; there is no third value.
//!
//! - An absent text is the empty text, as it is in a series' labels. So `user = ""`
//!   holds where there is no user, and `user < "m"` as well.
//! - An absent number satisfies no comparison. So it satisfies `!=` and `NOT IN`,
//!   which are `NOT` of `=` and `IN`, and `NOT duration < 5`.
//! - Texts are ordered by their bytes. Numbers are exact decimals, of which a text
//!   compared with a number must be one.
//! - A field is there (`:*`, `$exists`) if it is a text that is not empty, or a number.
//! - A pattern, of which a filter has at most four, is searched for anywhere in the text: see [`Pattern`].

mod condition;
mod display;
mod evaluate;
mod expression;
mod json;
mod pattern;
mod reading;
mod token;

use std::collections::BTreeSet;

use crate::syntax::SyntaxError;
use crate::usage::{Field, UsageEvent};

pub use condition::{Condition, Operator, Value};
pub use pattern::{Pattern, Syntax};
pub use reading::is_number;

/// A filter: a condition on events. The default is the one that every event satisfies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    condition: Condition,
}

/// Bytes of a filter: far more than a person writes, and little to parse.
const MAX_BYTES: usize = 8 * 1024;

impl Default for Filter {
    fn default() -> Self {
        Self { condition: Condition::EVERYTHING }
    }
}

impl Filter {
    /// Reads a filter in either spelling. An empty text filters nothing.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Self::read(text, None)
    }

    /// Reads a filter that is about these fields alone: a misspelt one, which would be an attribute that nothing
    /// has, is an error.
    pub fn parse_about(text: &str, fields: &[Field]) -> Result<Self, SyntaxError> {
        Self::read(text, Some(fields))
    }

    fn read(text: &str, about: Option<&[Field]>) -> Result<Self, SyntaxError> {
        let at_start = |expected| SyntaxError::new(1, expected);
        if text.len() > MAX_BYTES {
            return Err(at_start(format!("at most {MAX_BYTES} bytes")));
        }
        let condition = if text.trim().is_empty() {
            Ok(Condition::EVERYTHING)
        } else if text.trim_start().starts_with('{') {
            json::read(text, about)
        } else {
            expression::read(text, about)
        };
        let filter = Self { condition: condition? };
        // What is shown and stored is read again.
        if filter.to_string().len() > MAX_BYTES {
            return Err(at_start(format!("at most {MAX_BYTES} bytes when written as an expression")));
        }
        Ok(filter)
    }

    /// The field that a name means in a filter, or what was expected in its place.
    pub fn field(name: &str) -> Result<Field, String> {
        reading::field(name)
    }

    /// The event's own field that a name seems to mean, which is a slip away from it.
    #[must_use]
    pub fn meant(name: &str) -> Option<&'static str> {
        reading::meant(name)
    }

    /// Whether it searches for patterns, which cost more for each event than other conditions.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        let mut found = false;
        self.condition.visit(&mut |leaf| found |= matches!(leaf, Condition::Matches { .. }));
        found
    }

    /// The filter `field = text`. It fails where a number is expected and `text` is not one,
    /// or where the field cannot be filtered by; the error says what was expected.
    pub fn equals(field: Field, text: &str) -> Result<Self, String> {
        if let Field::Attribute(name) = &field {
            reading::check_attribute(name)?;
        }
        let value = reading::value(&field, text)?;
        Ok(Self { condition: Condition::Compare { field, operator: Operator::Equal, value } })
    }

    /// Whether every event satisfies it because it has no condition.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.condition == Condition::EVERYTHING
    }

    /// Events that satisfy both. The limits of a parsed filter do not apply, so the
    /// text of the result may be longer than one that is read.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { condition: Condition::all(vec![self.condition, other.condition]) }
    }

    /// The condition itself, to be written in another language.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Every field it looks at.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&Field> {
        let mut fields = BTreeSet::new();
        self.condition.visit(&mut |leaf| fields.extend(leaf.field()));
        fields
    }

    /// What it demands of these fields alone: whatever satisfies the filter satisfies this too. None if
    /// it demands nothing of them that does not hang on other fields.
    #[must_use]
    pub fn part_about(&self, fields: &[Field]) -> Option<Self> {
        let is_about = |condition: &&Condition| {
            let mut covered = true;
            condition.visit(&mut |leaf| covered &= leaf.field().is_some_and(|field| fields.contains(field)));
            covered
        };
        let parts = match &self.condition {
            Condition::All(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        let parts: Vec<_> = parts.iter().filter(is_about).cloned().collect();
        (!parts.is_empty()).then(|| Self { condition: Condition::all(parts) })
    }

    /// The fields and their values, if the filter demands nothing but that fields have
    /// certain values. A number is in its shortest decimal form. A field stands twice
    /// where the filter names it twice, maybe with values that contradict each other.
    #[must_use]
    pub fn equalities(&self) -> Option<Vec<(&Field, String)>> {
        let equality = |condition| match condition {
            &Condition::Compare { ref field, operator: Operator::Equal, ref value } => {
                Some((field, value.to_text()))
            }
            _ => None,
        };
        match &self.condition {
            Condition::All(parts) => parts.iter().map(equality).collect(),
            single => Some(vec![equality(single)?]),
        }
    }

    /// Whether an event satisfies it.
    #[must_use]
    pub fn matches(&self, event: &UsageEvent<'_>) -> bool {
        evaluate::event(&self.condition, event)
    }

    /// Whether it is satisfied by events that carry these labels. `value_of` gives the
    /// value of every field of the filter; an empty one is absent, a status is in
    /// decimal.
    #[must_use]
    pub fn matches_labels<'a>(&self, value_of: impl Fn(&Field) -> &'a str) -> bool {
        evaluate::labels(&self.condition, &value_of)
    }
}

#[cfg(test)]
mod tests;
