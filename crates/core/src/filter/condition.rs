//! The condition of a filter, independent of its notation.

use std::cmp::Ordering;

use super::Pattern;
use crate::quantity::Quantity;
use crate::usage::Field;

/// A condition on an event.
///
/// Each condition has only one form. `!=` is `Not` with `Equal`. `All` and `Any` have at least two parts,
/// none of which is of the same kind. `Not` never contains `Not`. An empty `All` is the condition that every
/// event satisfies, and is never part of another condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All parts are true.
    All(Vec<Condition>),
    /// At least one part is true.
    Any(Vec<Condition>),
    /// The condition is false.
    Not(Box<Condition>),
    /// A comparison of a field with a value.
    Compare {
        /// The field.
        field: Field,
        /// The operator.
        operator: Operator,
        /// The value: a number if the field is a number, otherwise a text.
        value: Value,
    },
    /// The field has one of these values.
    In {
        /// The field.
        field: Field,
        /// At least two distinct values: numbers if the field is a number, otherwise texts.
        values: Vec<Value>,
    },
    /// The field matches a pattern.
    Matches {
        /// A text field or an attribute.
        field: Field,
        /// The pattern.
        pattern: Pattern,
    },
    /// The field is present.
    Present(Field),
}

/// How a field is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The field equals the value.
    Equal,
    /// The field is less than the value.
    Less,
    /// The field is less than or equal to the value.
    LessOrEqual,
    /// The field is greater than the value.
    Greater,
    /// The field is greater than or equal to the value.
    GreaterOrEqual,
}

impl Operator {
    /// The sign of the operator, which is the same in expressions and in SQL.
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

    /// Whether the comparison is true, given the ordering of the field relative to the value.
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
    /// The value of a text field or an attribute.
    Text(String),
    /// The value of a field that is a number.
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

    /// All parts are true.
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

    /// At least one of the parts is true.
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

    /// The condition is false.
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

    /// The number of nested levels of `All`, `Any` and `Not`.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(inner) => 1 + inner.depth(),
            Self::Compare { .. } | Self::In { .. } | Self::Matches { .. } | Self::Present(_) => 0,
        }
    }

    /// Calls `see` with every condition on a single field.
    pub(super) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(inner) => inner.visit(see),
            Self::Compare { .. } | Self::In { .. } | Self::Matches { .. } | Self::Present(_) => see(self),
        }
    }

    /// The field, if this is a condition on a single field.
    #[must_use]
    pub fn field(&self) -> Option<&Field> {
        match self {
            Self::Compare { field, .. }
            | Self::In { field, .. }
            | Self::Matches { field, .. }
            | Self::Present(field) => Some(field),
            Self::All(_) | Self::Any(_) | Self::Not(_) => None,
        }
    }
}
