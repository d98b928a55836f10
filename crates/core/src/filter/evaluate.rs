//! Evaluates conditions in memory, without allocations.

use super::{Condition, Value, is_number};
use crate::quantity::Quantity;
use crate::usage::{Field, UsageEvent};

/// Whether an event satisfies a condition.
pub(super) fn event(condition: &Condition, event: &UsageEvent<'_>) -> bool {
    let text = |field: &Field| match field {
        Field::Text(field) => event.text(*field),
        Field::Attribute(name) => event.attribute(name).unwrap_or(""),
        // Numbers are compared as numbers.
        Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => "",
    };
    let number = |field: &Field| match field {
        Field::HttpStatus => event.http_status.map(|status| Quantity::from(i64::from(status))),
        Field::Duration => event.duration_ms.map(Quantity::from),
        Field::ResponseSize => event.response_bytes.map(Quantity::from),
        Field::Value => event.value,
        Field::Text(_) | Field::Attribute(_) => None,
    };
    holds(condition, &text, &number)
}

/// Whether events with these labels satisfy a condition.
pub(super) fn labels<'a>(condition: &Condition, value_of: &impl Fn(&Field) -> &'a str) -> bool {
    holds(condition, value_of, &|field| value_of(field).parse().ok())
}

fn holds<'a>(
    condition: &Condition,
    text: &impl Fn(&Field) -> &'a str,
    number: &impl Fn(&Field) -> Option<Quantity>,
) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, text, number)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, text, number)),
        Condition::Not(inner) => !holds(inner, text, number),
        leaf => leaf.field().is_none_or(|field| {
            if is_number(field) {
                leaf.holds_for_number(number(field))
            } else {
                leaf.holds_for_text(text(field))
            }
        }),
    }
}

impl Condition {
    /// Whether a condition on one field of text, or on an attribute, holds for its text.
    #[must_use]
    pub fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::Compare { operator, value: Value::Text(value), .. } => operator.holds(text.cmp(value)),
            Self::In { values, .. } => {
                values.iter().any(|value| matches!(value, Value::Text(value) if text == value))
            }
            Self::Matches { pattern, .. } => pattern.is_found_in(text),
            Self::Present(_) => !text.is_empty(),
            _ => false,
        }
    }

    /// Whether a condition on one field that is a number holds for its number, if there is one.
    #[must_use]
    pub fn holds_for_number(&self, number: Option<Quantity>) -> bool {
        let Some(number) = number else { return false };
        match self {
            Self::Compare { operator, value: Value::Number(value), .. } => operator.holds(number.cmp(value)),
            Self::In { values, .. } => values.contains(&Value::Number(number)),
            Self::Present(_) => true,
            _ => false,
        }
    }
}
