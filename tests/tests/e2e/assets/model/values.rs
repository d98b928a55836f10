//! Random values, the notations in which they can be sent, and the form in which they are returned.

use flowmeter_proto::v1::asset_metric::ValueType;
use prost_types::Value;

use crate::dice::Dice;

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    Text(String),
    /// The shortest decimal.
    Number(String),
    Boolean(bool),
}

/// A value as it is sent.
#[derive(Debug)]
pub struct Written {
    pub value: Value,
    pub declared: ValueType,
    pub settled: Settled,
}

/// Texts. Some of them are numbers or booleans when they are emitted as a single value.
const TEXTS: [&str; 10] =
    ["", "gold", "50", "true", "1e3", "007", "2024-03-02T17:44:00.000Z", "a\nb", "\u{1f600}", "NaN"];
const DOUBLES: [f64; 12] =
    [0.0, -0.0, 1.0, 100.0, -1.5, 0.1, 0.1 + 0.2, 1e21, -1e27, 1e-28, 9_007_199_254_740_993.0, 2.5e-7];

impl Settled {
    pub fn random(dice: &mut Dice) -> Self {
        match dice.below(7) {
            0 => Self::Boolean(dice.once_in(2)),
            1 => Self::Text(dice.of(&TEXTS).to_owned()),
            2 if dice.once_in(8) => Self::Text("long ".repeat(dice.below(10_000))),
            2 | 3 => of_double(dice.of(&DOUBLES)),
            4 => {
                let (whole, fraction) = (dice.between(-999, 999), dice.between(0, 99));
                of_double(format!("{whole}.{fraction:02}").parse().unwrap())
            }
            _ => {
                let digits: String = (0..=dice.below(28)).map(|_| dice.of(&["0", "1", "5", "9"])).collect();
                let decimals = dice.below(29);
                let sign = if dice.once_in(3) { "-" } else { "" };
                Self::Number(shortest(sign, &digits, decimals))
            }
        }
    }

    /// One of its notations in a list of metrics.
    pub fn written(self, dice: &mut Dice) -> Written {
        let (value, declared) = match &self {
            Self::Text(text) => (Value::from(text.clone()), dice.once_in(2).then_some(ValueType::String)),
            Self::Boolean(boolean) => (Value::from(*boolean), dice.once_in(2).then_some(ValueType::Boolean)),
            Self::Number(number) => match double_of(number) {
                Some(double) if !dice.once_in(4) => {
                    (Value::from(double), dice.once_in(2).then_some(ValueType::Number))
                }
                _ => (Value::from(other_form(dice, number)), Some(ValueType::Number)),
            },
        };
        Written { value, declared: declared.unwrap_or(ValueType::Unspecified), settled: self }
    }

    /// One of its notations as a single value, where some texts become numbers or booleans.
    pub fn written_alone(self, dice: &mut Dice) -> Written {
        let as_text = match &self {
            Self::Text(text) => text.clone(),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Number(number) => other_form(dice, number),
        };
        let settled = match self {
            Self::Text(text) => match text.as_str() {
                "true" => Self::Boolean(true),
                "50" => Self::Number("50".into()),
                "1e3" => Self::Number("1000".into()),
                _ => Self::Text(text),
            },
            other => other,
        };
        let value = match &settled {
            Self::Boolean(boolean) if dice.once_in(2) => Value::from(*boolean),
            Self::Number(number) if dice.once_in(2) => {
                double_of(number).map_or_else(|| Value::from(as_text), Value::from)
            }
            _ => Value::from(as_text),
        };
        Written { value, declared: ValueType::Unspecified, settled }
    }

    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::String,
            Self::Number(_) => ValueType::Number,
            Self::Boolean(_) => ValueType::Boolean,
        }
    }

    /// The value as it is returned: a number that a double cannot represent is a text.
    pub fn answered(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.clone()),
            Self::Boolean(boolean) => Value::from(*boolean),
            Self::Number(number) => {
                double_of(number).map_or_else(|| Value::from(number.clone()), Value::from)
            }
        }
    }
}

fn of_double(double: f64) -> Settled {
    let text = double.to_string();
    Settled::Number(if text == "-0" { "0".into() } else { text })
}

/// The double with this shortest decimal.
fn double_of(number: &str) -> Option<f64> {
    let double: f64 = number.parse().unwrap();
    (double.to_string() == number).then_some(double)
}

/// The shortest decimal with these digits, the last `decimals` of which are after the decimal point.
fn shortest(sign: &str, digits: &str, decimals: usize) -> String {
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    match (whole, fraction) {
        ("", "") => "0".into(),
        (_, "") => format!("{sign}{whole}"),
        ("", _) => format!("{sign}0.{fraction}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// The same number in another notation.
fn other_form(dice: &mut Dice, number: &str) -> String {
    let point = if number.contains('.') { "" } else { ".0" };
    match dice.below(4) {
        0 => format!("{number}{point}00"),
        1 => format!("{number}E+0"),
        2 if point.is_empty() => {
            let (whole, fraction) = number.split_once('.').unwrap();
            let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
            let digits = format!("{whole}{fraction}");
            let digits = digits.trim_start_matches('0');
            format!("{sign}{digits}e-{}", fraction.len())
        }
        _ => number.to_owned(),
    }
}
