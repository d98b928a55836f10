//! Values of assets, converted from Rust types.

use flowmeter_proto::prost_types::Value;
use flowmeter_proto::v1::AssetMetric;
use flowmeter_proto::v1::asset_metric::ValueType;

/// A value of an asset: a string, a number or a boolean.
///
/// Integers and [decimals](AssetValue::decimal) are kept exactly. An `f64` is kept as its shortest decimal. The service
/// rejects NaN and infinity, and numbers of more than 28 digits.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetValue {
    value: Value,
    value_type: ValueType,
}

impl AssetValue {
    /// An exact decimal of at most 28 digits in the notation of JSON, such as `-12345678901234567.89`. The service
    /// rejects any other text.
    #[must_use]
    pub fn decimal(text: impl Into<String>) -> Self {
        Self { value: Value::from(text.into()), value_type: ValueType::Number }
    }
}

/// Creates an asset metric from a string, a number or a boolean.
///
/// ```
/// use flowmeter_client::{AssetValue, asset_metric};
///
/// let metrics = [
///     asset_metric("qualityScore", 97.5),
///     asset_metric("rowCount", 1_200_000),
///     asset_metric("revenue", AssetValue::decimal("12345678901234567.89")),
///     asset_metric("steward", "Kim"),
///     asset_metric("certified", true),
/// ];
/// let types = metrics.each_ref().map(|metric| metric.value_type().as_str_name());
/// assert_eq!(types, ["NUMBER", "NUMBER", "NUMBER", "STRING", "BOOLEAN"]);
/// ```
pub fn asset_metric(name: impl Into<String>, value: impl Into<AssetValue>) -> AssetMetric {
    let AssetValue { value, value_type } = value.into();
    AssetMetric { name: name.into(), value: Some(value), value_type: value_type.into() }
}

impl From<&str> for AssetValue {
    fn from(text: &str) -> Self {
        Self { value: text.into(), value_type: ValueType::String }
    }
}

impl From<String> for AssetValue {
    fn from(text: String) -> Self {
        Self { value: text.into(), value_type: ValueType::String }
    }
}

impl From<bool> for AssetValue {
    fn from(boolean: bool) -> Self {
        Self { value: boolean.into(), value_type: ValueType::Boolean }
    }
}

impl From<f64> for AssetValue {
    fn from(number: f64) -> Self {
        Self { value: number.into(), value_type: ValueType::Number }
    }
}

/// Sent as text, because a double cannot represent every 64-bit integer.
macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for AssetValue {
            fn from(number: $integer) -> Self {
                Self::decimal(number.to_string())
            }
        }
    )*};
}

from_integers!(i32, i64, u32, u64);

#[cfg(test)]
mod tests {
    use flowmeter_core::asset::Number;
    use prost_types::value::Kind;

    use super::*;

    #[test]
    fn integers_are_exact_and_in_the_notation_of_the_service() {
        let of = |value: AssetValue| match value.value.kind {
            Some(Kind::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        let texts = [of(i64::MIN.into()), of(u64::MAX.into()), of((-7).into()), of(0_u32.into())];
        assert_eq!(texts, ["-9223372036854775808", "18446744073709551615", "-7", "0"]);
        assert!(texts.iter().all(|text| text.parse::<Number>().is_ok()));
    }
}
