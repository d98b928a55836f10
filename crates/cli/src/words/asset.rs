//! The types of assets' values, as values of flags and words in the output.
#![allow(clippy::doc_markdown, reason = "the comments of values are help texts, which have no backticks")]

use clap::ValueEnum;
use flowmeter_proto::v1::asset_metric;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValueType {
    /// A string.
    String,
    /// An exact decimal.
    Number,
    /// A boolean, true or false.
    Boolean,
}

impl From<ValueType> for asset_metric::ValueType {
    fn from(value_type: ValueType) -> Self {
        match value_type {
            ValueType::String => Self::String,
            ValueType::Number => Self::Number,
            ValueType::Boolean => Self::Boolean,
        }
    }
}

/// The type in the spelling of its flag. Empty if it is unspecified.
pub(crate) const fn value_type(value_type: asset_metric::ValueType) -> &'static str {
    match value_type {
        asset_metric::ValueType::Unspecified => "",
        asset_metric::ValueType::String => "string",
        asset_metric::ValueType::Number => "number",
        asset_metric::ValueType::Boolean => "boolean",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_use_the_words_of_the_flag() {
        for value in ValueType::value_variants() {
            assert_eq!(value.to_possible_value().unwrap().get_name(), value_type((*value).into()));
        }
    }
}
