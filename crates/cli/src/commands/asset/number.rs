//! Numbers in requests: a double if it represents the number exactly, and otherwise the digits as a string that
//! is declared as a number.

use flowmeter_core::asset::{NotANumber, Number};
use flowmeter_proto::v1::asset_metric::ValueType;
use prost_types::{Value, value::Kind};

/// A number in JSON's notation as a value, and the type to send with it, if one is needed.
pub(super) fn sent(text: &str) -> Result<(Value, Option<ValueType>), NotANumber> {
    let number: Number = text.parse()?;
    Ok(match number.to_double() {
        Some(double) => (value(Kind::NumberValue(double)), None),
        None => (value(Kind::StringValue(number.to_string())), Some(ValueType::Number)),
    })
}

/// A value of this kind.
pub(super) fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_kept() {
        let double = |double| (value(Kind::NumberValue(double)), None);
        assert_eq!(sent("0.93"), Ok(double(0.93)));
        assert_eq!(sent("1.10"), Ok(double(1.1)));
        assert_eq!(sent("1e3"), Ok(double(1000.0)));
        let digits = |text: &str| (value(Kind::StringValue(text.into())), Some(ValueType::Number));
        assert_eq!(sent("12345678901234567.89"), Ok(digits("12345678901234567.89")));
        assert_eq!(sent("9007199254740993"), Ok(digits("9007199254740993")));
        assert_eq!(sent("1e400"), Err(NotANumber::OutOfReach));
        assert_eq!(sent("12345678901234567890123456789"), Err(NotANumber::TooLong));
        assert_eq!(sent("007"), Err(NotANumber::Malformed));
    }
}
