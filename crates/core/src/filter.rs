//! Filters: conditions that select the events of a query. A filter is written as an expression in the style
//! of AIP-160, or as a JSON object. Both notations have the same meaning.
//!
//! # Fields
//!
//! The name of a field of the event, such as `application`, `httpstatus` or `duration`, means this field. Any
//! other name means an attribute. `attributes.name` always means the attribute, and an expression can also
//! contain `attributes["any name"]`. A bare name that differs from the name of a field only in case, in
//! underscores or by one typing error, such as `serivce`, is rejected, because the filter would silently
//! match no events. `timestamp` and the ids are not allowed in filters, because a query selects time by a
//! range.
//!
//! # Expressions
//!
//! An example is `application = "api" AND duration > 500`. The operators are `=`, `!=`, `<`, `<=`, `>`, `>=`,
//! `=~ "pattern"`, `!~ "pattern"`, `IN ("a", "b")`, `NOT IN (…)`, and `:*` for a field that is present. `NOT` and `-`
//! bind tightest. As in AIP-160, **`OR` binds tighter than `AND`**: `a = 1 AND b = 2 OR c = 3` means
//! `a = 1 AND (b = 2 OR c = 3)`. Texts are quoted with `"` or `'`; a `\` escapes a quote or another `\`. A word of
//! letters, digits, `_`, `-` and `.` can be written without quotes. Conditions without an `AND` between them, texts
//! without a field, and functions are not supported.
//!
//! # JSON
//!
//! An example is `{"application": "api", "duration": {"$gte": 5, "$lt": 9}}`. An event must satisfy all members of an
//! object, even if a key is repeated. The operators of a field are `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`,
//! `$nin`, `$regex`, `$exists` and `$not`. `$and`, `$or` and `$nor` have lists of objects. Numbers are parsed from
//! their text, so `1.10` is exact.
//!
//! # Meaning
//!
//! A condition is either true or false; there is no third value.
//!
//! - An absent text equals the empty text, as in the labels of a series. So `user = ""` and `user < "m"` are true if
//!   there is no user.
//! - All comparisons with an absent number are false. So `!=` and `NOT IN`, which are the negations of `=` and `IN`,
//!   are true, and so is `NOT duration < 5`.
//! - Texts are ordered by their bytes. Numbers are exact decimals. A text that is compared with a number must be a
//!   decimal.
//! - A field is present (`:*`, `$exists`) if it is a text that is not empty, or a number.
//! - A pattern can match anywhere in a text: see [`Pattern`]. A filter can have at most four patterns.

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

/// A filter: a condition on events. Every event satisfies the default filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    condition: Condition,
}

/// The maximum length of a filter in bytes: more than a person writes, and quick to parse.
const MAX_BYTES: usize = 8 * 1024;

impl Default for Filter {
    fn default() -> Self {
        Self { condition: Condition::EVERYTHING }
    }
}

impl Filter {
    /// Parses a filter in either notation. Every event satisfies an empty text.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Self::read(text, None)
    }

    /// Parses a filter that can only have conditions on these fields. A misspelled field is an error, and not
    /// an attribute that no event has.
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
        // The expression of a filter is stored and shown, and must be parseable.
        if filter.to_string().len() > MAX_BYTES {
            return Err(at_start(format!("at most {MAX_BYTES} bytes when written as an expression")));
        }
        Ok(filter)
    }

    /// The field that a name means in a filter. The error says what was expected.
    pub fn field(name: &str) -> Result<Field, String> {
        reading::field(name)
    }

    /// The field of the event whose name differs from `name` only in case, in underscores or by one typing
    /// error.
    #[must_use]
    pub fn meant(name: &str) -> Option<&'static str> {
        reading::meant(name)
    }

    /// Whether the filter has patterns, which are more expensive to evaluate than other conditions.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        let mut found = false;
        self.condition.visit(&mut |leaf| found |= matches!(leaf, Condition::Matches { .. }));
        found
    }

    /// The filter `field = text`. Fails if the field is a number and `text` is not, or if the field is not
    /// allowed in filters. The error says what was expected.
    pub fn equals(field: Field, text: &str) -> Result<Self, String> {
        if let Field::Attribute(name) = &field {
            reading::check_attribute(name)?;
        }
        let value = reading::value(&field, text)?;
        Ok(Self { condition: Condition::Compare { field, operator: Operator::Equal, value } })
    }

    /// Whether the filter has no condition, so that every event satisfies it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.condition == Condition::EVERYTHING
    }

    /// The filter for events that satisfy both filters. The limits of parsed filters do not apply, so the
    /// text of the result can be too long to be parsed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { condition: Condition::all(vec![self.condition, other.condition]) }
    }

    /// The condition, for translation into another language such as SQL.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// All fields in the filter.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&Field> {
        let mut fields = BTreeSet::new();
        self.condition.visit(&mut |leaf| fields.extend(leaf.field()));
        fields
    }

    /// The conditions of the filter that only depend on these fields. Every event that satisfies the filter
    /// satisfies these conditions too. None if there are no such conditions.
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

    /// The fields and their values, if the filter only consists of conditions `field = value`. A number is in
    /// its shortest decimal form. A field that occurs twice in the filter also occurs twice here, even with
    /// different values.
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

    /// Whether an event satisfies the filter.
    #[must_use]
    pub fn matches(&self, event: &UsageEvent<'_>) -> bool {
        evaluate::event(&self.condition, event)
    }

    /// Whether events with these labels satisfy the filter. `value_of` returns the value of each field of the
    /// filter: empty if absent, and a status in decimal.
    #[must_use]
    pub fn matches_labels<'a>(&self, value_of: impl Fn(&Field) -> &'a str) -> bool {
        evaluate::labels(&self.condition, &value_of)
    }
}

#[cfg(test)]
mod tests;
