//! What a filter says, independent of how it was spelled.

use std::cmp::Ordering;

use super::Pattern;
use crate::quantity::Quantity;
use crate::usage::Field;

/// A condition on an event.
///
/// Each has one form: what is not equal is `Not` equal, `All` and `Any` have at least
/// two parts and none of their own kind, and `Not` is not doubled. Only the filter
/// that everything satisfies is an empty `All`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every part holds.
    All(Vec<Condition>),
    /// At least one part holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The field compares so with the value.
    Compare {
        /// The field.
        field: Field,
        /// How it compares.
        operator: Operator,
        /// A number where the field is one, else a text.
        value: Value,
    },
    /// The field has one of these values.
    In {
        /// The field.
        field: Field,
        /// At least two, each once: all numbers where the field is one, else all texts.
        values: Vec<Value>,
    },
    /// The pattern is found in the field.
    Matches {
        /// A field of text or an attribute.
        field: Field,
        /// The pattern.
        pattern: Pattern,
    },
    /// The field is there.
    Present(Field),
}

/// How a field compares with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// They are the same.
    Equal,
    /// The field is less.
    Less,
    /// The field is less, or they are the same.
    LessOrEqual,
    /// The field is greater.
    Greater,
    /// The field is greater, or they are the same.
    GreaterOrEqual,
}

impl Operator {
    /// Its sign, which is the same in an expression and in SQL.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether it holds of a field that compares so with the value.
    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a field of text, or an attribute.
    Text(String),
    /// Of a field that is a number.
    Number(Quantity),
}

impl Value {
    /// The text, or the number in its shortest decimal form.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Condition {
    pub(super) const EVERYTHING: Self = Self::All(Vec::new());

    /// Every part holds.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::All(flat) }
    }

    /// At least one of several parts holds.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Any(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::Any(flat) }
    }

    /// It does not hold.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The field has one of several values.
    pub(super) fn one_of(field: Field, values: Vec<Value>) -> Self {
        let mut distinct: Vec<Value> = Vec::with_capacity(values.len());
        for value in values {
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        if distinct.len() == 1 {
            let value = distinct.remove(0);
            return Self::Compare { field, operator: Operator::Equal, value };
        }
        Self::In { field, values: distinct }
    }

    /// How many of `All`, `Any` and `Not` lie within each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(inner) => 1 + inner.depth(),
            Self::Compare { .. } | Self::In { .. } | Self::Matches { .. } | Self::Present(_) => 0,
        }
    }

    /// Shows every condition on a single field.
    pub(super) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(inner) => inner.visit(see),
            Self::Compare { .. } | Self::In { .. } | Self::Matches { .. } | Self::Present(_) => see(self),
        }
    }

    /// The field of a condition on a single one.
    pub(super) fn field(&self) -> Option<&Field> {
        match self {
            Self::Compare { field, .. }
            | Self::In { field, .. }
            | Self::Matches { field, .. }
            | Self::Present(field) => Some(field),
            Self::All(_) | Self::Any(_) | Self::Not(_) => None,
        }
    }
}
