//! Prints a filter as an expression, which parses to the same filter.

use std::fmt;

use super::expression::{is_name, is_word};
use super::reading::{ATTRIBUTE_PREFIX, check_bare_attribute};
use super::{Condition, Filter, Value};
use crate::usage::Field;

impl fmt::Display for Filter {
    /// The expression. Empty for the filter that every event satisfies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        condition(f, &self.condition)
    }
}

fn condition(f: &mut fmt::Formatter<'_>, of: &Condition) -> fmt::Result {
    match of {
        Condition::All(parts) => joined(f, parts, " AND "),
        Condition::Any(parts) => joined(f, parts, " OR "),
        Condition::Not(inner) => negated(f, inner),
        Condition::Compare { field, operator, value } => compared(f, field, operator.sign(), value),
        Condition::In { field, values } => listed(f, field, "IN", values),
        Condition::Matches { field, pattern } => matched(f, field, "=~", pattern.text()),
        Condition::Present(field) => {
            name(f, field)?;
            f.write_str(":*")
        }
    }
}

/// A part of a longer condition. OR in AND is put in parentheses although they are not necessary, because few
/// readers know the precedence.
fn part(f: &mut fmt::Formatter<'_>, of: &Condition) -> fmt::Result {
    if matches!(of, Condition::All(_) | Condition::Any(_)) {
        f.write_str("(")?;
        condition(f, of)?;
        f.write_str(")")
    } else {
        condition(f, of)
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], by: &str) -> fmt::Result {
    let mut between = "";
    for each in parts {
        f.write_str(between)?;
        part(f, each)?;
        between = by;
    }
    Ok(())
}

fn negated(f: &mut fmt::Formatter<'_>, inner: &Condition) -> fmt::Result {
    match inner {
        Condition::Compare { field, operator: super::Operator::Equal, value } => {
            compared(f, field, "!=", value)
        }
        Condition::In { field, values } => listed(f, field, "NOT IN", values),
        Condition::Matches { field, pattern } => matched(f, field, "!~", pattern.text()),
        other => {
            f.write_str("NOT ")?;
            part(f, other)
        }
    }
}

fn compared(f: &mut fmt::Formatter<'_>, field: &Field, sign: &str, to: &Value) -> fmt::Result {
    name(f, field)?;
    write!(f, " {sign} ")?;
    value(f, to)
}

fn listed(f: &mut fmt::Formatter<'_>, field: &Field, word: &str, values: &[Value]) -> fmt::Result {
    name(f, field)?;
    write!(f, " {word} (")?;
    let mut between = "";
    for each in values {
        f.write_str(between)?;
        value(f, each)?;
        between = ", ";
    }
    f.write_str(")")
}

fn matched(f: &mut fmt::Formatter<'_>, field: &Field, sign: &str, pattern: &str) -> fmt::Result {
    name(f, field)?;
    write!(f, " {sign} ")?;
    quoted(f, pattern)
}

fn value(f: &mut fmt::Formatter<'_>, of: &Value) -> fmt::Result {
    match of {
        Value::Text(text) => quoted(f, text),
        Value::Number(number) => write!(f, "{number}"),
    }
}

fn name(f: &mut fmt::Formatter<'_>, field: &Field) -> fmt::Result {
    let Field::Attribute(name) = field else { return f.write_str(field.name()) };
    if is_name(name) && !name.starts_with(ATTRIBUTE_PREFIX) && check_bare_attribute(name).is_ok() {
        f.write_str(name)
    } else if is_word(name) {
        write!(f, "{ATTRIBUTE_PREFIX}{name}")
    } else {
        f.write_str("attributes[")?;
        quoted(f, name)?;
        f.write_str("]")
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{character}")?;
    }
    f.write_str("\"")
}
