//! Converts the values of assets to the contract.

use flowmeter_core::asset::{Value, ValueType};
use flowmeter_proto::v1::asset_metric;
use prost_types::value::Kind;

/// Converts a value to the contract. A number that no double represents exactly becomes a string whose type is
/// NUMBER.
#[must_use]
pub fn to_proto(value: Value<'_>) -> prost_types::Value {
    let kind = match value {
        Value::Text(text) => Kind::StringValue(text.to_owned()),
        Value::Boolean(boolean) => Kind::BoolValue(boolean),
        Value::Number(number) => match number.to_double() {
            Some(double) => Kind::NumberValue(double),
            None => Kind::StringValue(number.to_json()),
        },
    };
    prost_types::Value { kind: Some(kind) }
}

/// Converts a type to the contract.
#[must_use]
pub fn type_to_proto(value_type: ValueType) -> asset_metric::ValueType {
    match value_type {
        ValueType::String => asset_metric::ValueType::String,
        ValueType::Number => asset_metric::ValueType::Number,
        ValueType::Boolean => asset_metric::ValueType::Boolean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kinds() {
        let number = |text: &str| Value::Number(text.parse().unwrap());
        for (value, expected) in [
            (Value::Text("50"), Kind::StringValue("50".into())),
            (Value::Boolean(false), Kind::BoolValue(false)),
            (number("1.10"), Kind::NumberValue(1.1)),
            (number("12345678901234567.89"), Kind::StringValue("12345678901234567.89".into())),
            (number("-1234567890123456789e280"), Kind::StringValue("-1.234567890123456789e298".into())),
        ] {
            assert_eq!(to_proto(value).kind, Some(expected));
        }
    }

    #[test]
    fn types_keep_their_names() {
        for value_type in [ValueType::String, ValueType::Number, ValueType::Boolean] {
            assert_eq!(type_to_proto(value_type).as_str_name(), value_type.name());
        }
    }
}
