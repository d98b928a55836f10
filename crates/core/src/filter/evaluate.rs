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
        Condition::Compare { field, operator, value } => match value {
            Value::Text(value) => operator.holds(text(field).cmp(value)),
            Value::Number(value) => number(field).is_some_and(|found| operator.holds(found.cmp(value))),
        },
        Condition::In { field, values } => values.iter().any(|value| match value {
            Value::Text(value) => text(field) == value,
            Value::Number(value) => number(field) == Some(*value),
        }),
        Condition::Matches { field, pattern } => pattern.is_found_in(text(field)),
        Condition::Present(field) if is_number(field) => number(field).is_some(),
        Condition::Present(field) => !text(field).is_empty(),
    }
}
