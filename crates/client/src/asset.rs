//! Values of assets, made of what Rust has for them.

use flowmeter_proto::v1::AssetMetric;
use flowmeter_proto::v1::asset_metric::ValueType;
use prost_types::Value;

/// A value of an asset: a text, a number or a boolean.
///
/// Integers and [decimals](AssetValue::decimal) are kept exactly, an `f64` as the shortest decimal that it has. The
/// service refuses `f64`s that are no numbers, and more than 28 digits.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetValue {
    value: Value,
    value_type: ValueType,
}

impl AssetValue {
    /// An exact decimal in JSON's notation, of at most 28 digits, such as `-12345678901234567.89`. The service
    /// refuses a text that is none.
    #[must_use]
    pub fn decimal(text: impl Into<String>) -> Self {
        Self { value: Value::from(text.into()), value_type: ValueType::Number }
    }
}

/// A metric of an asset, of a text, a number or a boolean.
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

/// As text, because no double holds every integer of 64 bits.
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
    fn integers_are_exact_and_in_the_notation_that_the_service_reads() {
        let of = |value: AssetValue| match value.value.kind {
            Some(Kind::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        let texts = [of(i64::MIN.into()), of(u64::MAX.into()), of((-7).into()), of(0_u32.into())];
        assert_eq!(texts, ["-9223372036854775808", "18446744073709551615", "-7", "0"]);
        assert!(texts.iter().all(|text| text.parse::<Number>().is_ok()));
    }
}
