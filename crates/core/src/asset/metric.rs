//! A metric as a sender emits it.

use super::value::{Sent, ValueType};

/// A named value, with an optional declared type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AssetMetric<'a> {
    /// The name.
    pub name: &'a str,
    /// The value. None if the sender gave none.
    pub value: Option<Sent<'a>>,
    /// The type that the sender declared, if any.
    pub value_type: Option<ValueType>,
}
