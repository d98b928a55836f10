//! Values of assets: as they were sent, and as they are interpreted.

use super::MAX_TEXT_BYTES;
use super::number::{NotANumber, Number};
use crate::violation::Violation;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueType {
    /// Text.
    String,
    /// An exact decimal.
    Number,
    /// true or false.
    Boolean,
}

impl ValueType {
    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Number => "NUMBER",
            Self::Boolean => "BOOLEAN",
        }
    }
}

/// A value as it was sent, by its JSON type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sent<'a> {
    /// A string.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// true or false.
    Boolean(bool),
    /// Any other JSON type, by its name, such as `null`.
    Other(&'static str),
}

/// An accepted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// A number.
    Number(Number),
    /// true or false.
    Boolean(bool),
}

impl Value<'_> {
    /// The type of the value.
    #[must_use]
    pub const fn value_type(self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::String,
            Self::Number(_) => ValueType::Number,
            Self::Boolean(_) => ValueType::Boolean,
        }
    }
}

impl<'a> Sent<'a> {
    /// The value, given the type that its sender declared; without one, the JSON type decides. A violation names
    /// the field `value` or `value_type`.
    pub fn settle(self, declared: Option<ValueType>) -> Result<Value<'a>, Violation> {
        let value = match (self, declared) {
            // A number that a double cannot represent.
            (Self::Text(text), Some(ValueType::Number)) => return exact(text).map(Value::Number),
            (sent, _) => sent.as_it_is()?,
        };
        match declared {
            Some(declared) if declared != value.value_type() => {
                let (declared, found) = (declared.name(), value.value_type().name());
                let text = format!("expected the type of the value, which is {found}, found {declared}");
                Err(Violation::new("value_type", text))
            }
            _ => Ok(value),
        }
    }

    /// The value of a request that emits a single value, where numbers and booleans can be given as strings.
    pub fn settle_single(self) -> Result<Value<'a>, Violation> {
        match self {
            Self::Text("true") => Ok(Value::Boolean(true)),
            Self::Text("false") => Ok(Value::Boolean(false)),
            Self::Text(text) => match text.parse() {
                Ok(number) => Ok(Value::Number(number)),
                Err(NotANumber::Malformed) => self.as_it_is(),
                Err(error) => {
                    let found = shown(text);
                    let text = format!(
                        "{error}, found {found}; to send it as a string, use metrics with value_type STRING"
                    );
                    Err(Violation::new("value", text))
                }
            },
            other => other.as_it_is(),
        }
    }

    fn as_it_is(self) -> Result<Value<'a>, Violation> {
        let wrong = |text: String| Err(Violation::new("value", text));
        match self {
            Self::Text(text) if text.len() > MAX_TEXT_BYTES => {
                wrong(format!("expected at most {MAX_TEXT_BYTES} bytes, found {}", text.len()))
            }
            Self::Text(text) if text.as_bytes().contains(&0) => {
                wrong("expected text without NUL characters".to_owned())
            }
            Self::Text(text) => Ok(Value::Text(text)),
            Self::Boolean(boolean) => Ok(Value::Boolean(boolean)),
            Self::Number(double) => match Number::from_double(double) {
                Some(number) => Ok(Value::Number(number)),
                None => wrong(format!("expected a finite number, found {double}")),
            },
            Self::Other(kind) => wrong(format!("expected a string, a number or a boolean, found {kind}")),
        }
    }
}

fn exact(text: &str) -> Result<Number, Violation> {
    text.parse().map_err(|error: NotANumber| {
        let found = shown(text);
        Violation::new("value", format!("{error}, because value_type is NUMBER; found {found}"))
    })
}

/// The text in quotes, truncated with an ellipsis if it is long.
fn shown(text: &str) -> String {
    const CHARS: usize = 40;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value<'static> {
        Value::Number(text.parse().unwrap())
    }

    #[test]
    fn undeclared_types_follow_the_json_type() {
        let guessed = |sent: Sent<'static>| sent.settle(None);
        assert_eq!(guessed(Sent::Text("50")), Ok(Value::Text("50")));
        assert_eq!(guessed(Sent::Text("true")), Ok(Value::Text("true")));
        assert_eq!(guessed(Sent::Text("")), Ok(Value::Text("")));
        assert_eq!(guessed(Sent::Number(18.0)), Ok(number("18")));
        assert_eq!(guessed(Sent::Number(0.1 + 0.2 - 0.3)), Ok(number("5.551115123125783e-17")));
        assert_eq!(guessed(Sent::Boolean(true)), Ok(Value::Boolean(true)));
    }

    #[test]
    fn texts_of_single_values_are_parsed() {
        for (text, expected) in [
            ("50", number("50")),
            ("1.10", number("1.1")),
            ("-1e3", number("-1000")),
            ("true", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
            ("True", Value::Text("True")),
            ("007", Value::Text("007")),
            ("2024-03-02T17:44:00.000Z", Value::Text("2024-03-02T17:44:00.000Z")),
        ] {
            assert_eq!(Sent::Text(text).settle_single(), Ok(expected), "{text}");
        }
        assert_eq!(Sent::Number(0.5).settle_single(), Ok(number("0.5")));
        for (text, expected) in [
            // Numbers that cannot be stored exactly.
            (
                "12345678901234567890123456789",
                "expected a number of at most 28 significant digits, found \"12345678901234567890123456789\"",
            ),
            (
                "1e400",
                "expected zero, or a number from 1e-324 to less than 1e309, or a negative one of that size, \
                 found \"1e400\"",
            ),
        ] {
            let error = Sent::Text(text).settle_single().unwrap_err();
            let way_out = "to send it as a string, use metrics with value_type STRING";
            assert_eq!(error.to_string(), format!("value: {expected}; {way_out}"));
        }
    }

    #[test]
    fn declared_types_must_match() {
        use ValueType::{Boolean, Number, String};
        let settled =
            |sent: Sent<'static>, declared| sent.settle(Some(declared)).map_err(|error| error.to_string());
        assert_eq!(settled(Sent::Text("12345678901234567.89"), Number), Ok(number("12345678901234567.89")));
        assert_eq!(settled(Sent::Text("50"), String), Ok(Value::Text("50")));
        let expected = "value_type: expected the type of the value, which is";
        for (sent, declared, found) in [
            (Sent::Number(18.0), Boolean, "NUMBER, found BOOLEAN"),
            (Sent::Number(18.0), String, "NUMBER, found STRING"),
            (Sent::Boolean(true), Number, "BOOLEAN, found NUMBER"),
            (Sent::Text("true"), Boolean, "STRING, found BOOLEAN"),
        ] {
            assert_eq!(settled(sent, declared), Err(format!("{expected} {found}")));
        }
        let error = settled(Sent::Text("fifty"), Number).unwrap_err();
        assert!(error.ends_with(", because value_type is NUMBER; found \"fifty\""), "{error}");
        let error = settled(Sent::Text("1.00000000000000000000000000000000000000001"), Number).unwrap_err();
        let found = "found \"1.00000000000000000000000000000000000000\"...";
        assert!(error.ends_with(found), "{error}");
    }

    #[test]
    fn values_that_cannot_be_stored_are_rejected() {
        let refused = |sent: Sent<'static>| sent.settle(None).unwrap_err().to_string();
        assert_eq!(
            refused(Sent::Other("null")),
            "value: expected a string, a number or a boolean, found null"
        );
        assert_eq!(refused(Sent::Text("a\0b")), "value: expected text without NUL characters");
        assert_eq!(refused(Sent::Number(f64::NAN)), "value: expected a finite number, found NaN");
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let error = Sent::Text(&long).settle(None).unwrap_err().to_string();
        assert_eq!(error, "value: expected at most 65536 bytes, found 65537");
    }
}
