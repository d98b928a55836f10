//! A metric as it is emitted.

use super::value::{Sent, ValueType};

/// A value under a name, which may say its type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AssetMetric<'a> {
    /// The name.
    pub name: &'a str,
    /// The value. None if it is not given.
    pub value: Option<Sent<'a>>,
    /// What the sender says that it is, if they do.
    pub value_type: Option<ValueType>,
}
