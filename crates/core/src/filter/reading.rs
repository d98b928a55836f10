//! The common parts of both notations: names of fields, values, and limits.

use super::token::Token;
use super::{Condition, Operator, Pattern, Value};
use crate::quantity::{Quantity, QuantityError};
use crate::syntax::SyntaxError;
use crate::usage::Field;

/// The maximum number of conditions on single fields.
const MAX_CONDITIONS: usize = 64;
/// The maximum number of patterns. Compiling one can take megabytes and a tenth of a second.
pub(super) const MAX_PATTERNS: usize = 4;
/// The maximum number of values after `IN`.
const MAX_VALUES: usize = 256;
/// The maximum number of nested levels of conditions: more than people can follow.
const MAX_DEPTH: usize = 16;
/// The maximum number of nested objects or parentheses. Each can add up to two levels of conditions.
const MAX_NESTING: usize = 2 * MAX_DEPTH;
/// The prefix for names of attributes that would otherwise be ambiguous.
pub(super) const ATTRIBUTE_PREFIX: &str = "attributes.";

/// The field that a name means.
pub(super) fn field(name: &str) -> Result<Field, String> {
    if let Some(name) = name.strip_prefix(ATTRIBUTE_PREFIX) {
        return attribute(name);
    }
    let field = Field::named(name);
    if let Field::Attribute(name) = &field {
        check_bare_attribute(name)?;
    }
    Ok(field)
}

/// The attribute with this name.
pub(super) fn attribute(name: &str) -> Result<Field, String> {
    check_attribute(name)?;
    Ok(Field::Attribute(name.to_owned()))
}

/// Checks that a name without a prefix can mean an attribute.
pub(super) fn check_bare_attribute(name: &str) -> Result<(), String> {
    match name {
        TIMESTAMP => Err("a field other than timestamp: time is chosen by range".to_owned()),
        "id" => Err("a field other than id: write attributes.id for the attribute".to_owned()),
        "decimal_value" | "decimalValue" => Err(format!("value in place of {name}")),
        _ => match meant(name) {
            Some(TIMESTAMP) => Err(format!(
                "a field other than {TIMESTAMP}: time is chosen by range; or attributes.{name} for the attribute"
            )),
            Some(own) => Err(format!("{own}, or attributes.{name} for the attribute")),
            None => check_attribute(name),
        },
    }
}

/// The time of an event. It is a field of the event, but not allowed in filters.
const TIMESTAMP: &str = "timestamp";

/// The field of the event whose name differs from `name` only in case, in underscores or by one typing error.
/// If the name were accepted as an attribute, conditions on it would silently match no events, and their
/// negations all events.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    /// Shorter names are one typing error away from many other words.
    const LONG: usize = 5;
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    // Field masks contain names such as event.service, so people write them in filters too.
    let (meant, is_own) = (plain(name.strip_prefix("event.").unwrap_or(name)), Field::is_own(name));
    let is_near = |own: &&str| {
        let own = plain(own);
        own == meant || (own.len() >= LONG && strsim::osa_distance(&own, &meant) == 1)
    };
    Field::own_names().chain([TIMESTAMP]).find(is_near).filter(|_| !is_own)
}

/// Checks that an attribute can have this name.
pub(super) fn check_attribute(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name of a field".to_owned());
    }
    if name.contains('\0') {
        return Err("a name without NUL characters".to_owned());
    }
    if Field::is_own(name) {
        return Err(match name {
            "event_id" | "eventId" => format!("a field other than {name}: events are read by their ids"),
            _ => format!("an attribute: {name} is a field of the event"),
        });
    }
    Ok(())
}

/// Whether a field is a number. All other fields are texts.
#[must_use]
pub fn is_number(field: &Field) -> bool {
    match field {
        Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => true,
        Field::Text(_) | Field::Attribute(_) => false,
    }
}

/// Parses a value to compare a field with.
pub(super) fn value(field: &Field, text: &str) -> Result<Value, String> {
    if text.contains('\0') {
        return Err("text without NUL characters".to_owned());
    }
    if !is_number(field) {
        return Ok(Value::Text(text.to_owned()));
    }
    let name = field.name();
    Quantity::parse_kept(text).map(Value::Number).map_err(|error| match error {
        QuantityError::Malformed => format!("a number such as -12.50, because {name} is one"),
        QuantityError::TooLarge => {
            format!("a 64-bit integer, or at most 18 digits before the decimal point, for {name}")
        }
        QuantityError::TooPrecise => format!("at most 9 digits after the decimal point, for {name}"),
    })
}

/// Builds conditions, and checks the limits.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    /// The allowed fields. None if all fields are allowed.
    about: Option<&'a [Field]>,
    conditions: usize,
    patterns: usize,
    nesting: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(about: Option<&'a [Field]>) -> Self {
        Self { about, conditions: 0, patterns: 0, nesting: 0 }
    }

    /// The field that a name means.
    pub(super) fn field(&self, name: &str) -> Result<Field, String> {
        self.admitted(field(name))
    }

    /// The attribute with this name.
    pub(super) fn attribute(&self, name: &str) -> Result<Field, String> {
        self.admitted(attribute(name))
    }

    fn admitted(&self, field: Result<Field, String>) -> Result<Field, String> {
        match self.about {
            Some(fields) if !field.as_ref().is_ok_and(|field| fields.contains(field)) => {
                let names: Vec<_> = fields.iter().map(Field::name).collect();
                Err(format!("one of {}", names.join(", ")))
            }
            _ => field,
        }
    }

    fn count(&mut self, position: usize) -> Result<(), SyntaxError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(SyntaxError::new(position, format!("at most {MAX_CONDITIONS} conditions")));
        }
        Ok(())
    }

    pub(super) fn compare(
        &mut self,
        field: &Field,
        operator: Operator,
        token: &Token,
    ) -> Result<Condition, SyntaxError> {
        self.count(token.position)?;
        let value = value(field, &token.text).map_err(|expected| token.expected(expected))?;
        Ok(Condition::Compare { field: field.clone(), operator, value })
    }

    /// The condition that the field has one of the values, which begin at `position`.
    pub(super) fn one_of(
        &mut self,
        field: &Field,
        position: usize,
        tokens: &[Token],
    ) -> Result<Condition, SyntaxError> {
        self.count(position)?;
        if tokens.is_empty() {
            return Err(SyntaxError::new(position, "at least one value"));
        }
        if let Some(extra) = tokens.get(MAX_VALUES) {
            return Err(SyntaxError::new(extra.position, format!("at most {MAX_VALUES} values")));
        }
        let values =
            tokens.iter().map(|token| value(field, &token.text).map_err(|expected| token.expected(expected)));
        Ok(Condition::one_of(field.clone(), values.collect::<Result<_, _>>()?))
    }

    pub(super) fn matches(&mut self, field: &Field, token: &Token) -> Result<Condition, SyntaxError> {
        self.count(token.position)?;
        if is_number(field) {
            let expected = format!("a comparison, because {} is a number", field.name());
            return Err(SyntaxError::new(token.position, expected));
        }
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(SyntaxError::new(token.position, format!("at most {MAX_PATTERNS} patterns")));
        }
        let pattern = Pattern::parse(&token.text)
            .map_err(|error| SyntaxError::new(token.place_of(error.offset), error.expected))?;
        Ok(Condition::Matches { field: field.clone(), pattern })
    }

    pub(super) fn present(&mut self, field: &Field, position: usize) -> Result<Condition, SyntaxError> {
        self.count(position)?;
        Ok(Condition::Present(field.clone()))
    }

    /// Parses the contents of an object or parentheses that begin at `position`.
    pub(super) fn enter(&mut self, position: usize) -> Result<(), SyntaxError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING { Err(too_deep(position)) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }
}

/// Checks the depth of a condition that begins at `position`.
pub(super) fn within_depth(condition: Condition, position: usize) -> Result<Condition, SyntaxError> {
    if condition.depth() > MAX_DEPTH { Err(too_deep(position)) } else { Ok(condition) }
}

fn too_deep(position: usize) -> SyntaxError {
    SyntaxError::new(position, format!("at most {MAX_DEPTH} levels of nested conditions"))
}
