//! Reads metrics from arguments: NAME=VALUE, and the types of values.

use anyhow::{Result, ensure};
use clap::ValueEnum;
use flowmeter_core::asset::NotANumber;
use flowmeter_proto::v1::{AssetMetric, asset_metric};
use prost_types::{Value, value::Kind};

use super::number::{self, value};
use crate::words::asset::ValueType;

/// A metric from an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
}

/// Reads NAME=VALUE. The name ends at the first `=`.
pub(super) fn parse(text: &str) -> Result<Given, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Given { name: name.into(), value: value.into() }),
        _ => Err("expected a name and a value, such as qualityScore=0.93".into()),
    }
}

/// Reads NAME=TYPE. The type begins after the last `=`.
pub(super) fn parse_type(text: &str) -> Result<(String, ValueType), String> {
    let wrong = || "expected a name and string, number or boolean, such as version=string".to_owned();
    let (name, value_type) = text.rsplit_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), ValueType::from_str(value_type, true).map_err(|_| wrong())?))
}

/// The metrics to send, with the declared types.
pub(super) fn metrics(given: Vec<Given>, types: &[(String, ValueType)]) -> Result<Vec<AssetMetric>> {
    for (at, (name, _)) in types.iter().enumerate() {
        ensure!(
            given.iter().any(|given| given.name == *name),
            "--type {name}: expected an argument {name}=VALUE"
        );
        ensure!(
            types[..at].iter().all(|(before, _)| before != name),
            "--type {name}: expected one type, found several"
        );
    }
    let declared = |given: &Given| types.iter().find(|(name, _)| *name == given.name).map(|(_, of)| *of);
    given.into_iter().map(|given| metric(declared(&given), given)).collect()
}

fn metric(declared: Option<ValueType>, Given { name, value: text }: Given) -> Result<AssetMetric> {
    let (value, needed) = match declared {
        None => guessed(&text).map_err(|error| {
            anyhow::anyhow!("{name}: {error}; use --type {name}=string to send it as a string")
        })?,
        Some(ValueType::String) => (value(Kind::StringValue(text)), None),
        Some(ValueType::Number) => {
            number::sent(&text).map_err(|error| anyhow::anyhow!("{name}: {error}, found {text:?}"))?
        }
        Some(ValueType::Boolean) => {
            ensure!(
                ["true", "false"].contains(&text.as_str()),
                "{name}: expected true or false, found {text:?}"
            );
            (value(Kind::BoolValue(text == "true")), None)
        }
    };
    let value_type = declared.map(asset_metric::ValueType::from).or(needed).unwrap_or_default();
    Ok(AssetMetric { name, value: Some(value), value_type: value_type.into() })
}

/// Infers the type of a value: JSON's notation of a number is a number, true and false are booleans, and
/// anything else is a string.
pub(super) fn guessed(text: &str) -> Result<(Value, Option<asset_metric::ValueType>), NotANumber> {
    Ok(match text {
        "true" | "false" => (value(Kind::BoolValue(text == "true")), None),
        text => match number::sent(text) {
            Err(NotANumber::Malformed) => (value(Kind::StringValue(text.into())), None),
            number => number?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, declared: Option<ValueType>) -> Result<(Kind, asset_metric::ValueType), String> {
        let metric = metric(declared, parse(text).unwrap()).map_err(|error| error.to_string())?;
        let value_type = metric.value_type();
        Ok((metric.value.unwrap().kind.unwrap(), value_type))
    }

    #[test]
    fn types_are_inferred_from_values() {
        use asset_metric::ValueType::{Number, Unspecified};
        let text = |text: &str| Kind::StringValue(text.into());
        for (given, expected) in [
            ("quality=0.93", (Kind::NumberValue(0.93), Unspecified)),
            ("change=-1e2", (Kind::NumberValue(-100.0), Unspecified)),
            ("active=true", (Kind::BoolValue(true), Unspecified)),
            ("owner=ada", (text("ada"), Unspecified)),
            ("badge=007", (text("007"), Unspecified)),
            ("shout=TRUE", (text("TRUE"), Unspecified)),
            ("none=", (text(""), Unspecified)),
            ("formula=a=b", (text("a=b"), Unspecified)),
            ("total=12345678901234567.89", (text("12345678901234567.89"), Number)),
        ] {
            assert_eq!(kind(given, None), Ok(expected), "{given}");
        }
        let long = kind("id=12345678901234567890123456789", None).unwrap_err();
        assert!(long.ends_with("use --type id=string to send it as a string"), "{long}");
    }

    #[test]
    fn a_declared_type_overrides_the_inferred_one() {
        use asset_metric::ValueType::{Boolean, Number, String};
        let text = Kind::StringValue("1.10".into());
        assert_eq!(kind("a=1.10", Some(ValueType::String)), Ok((text, String)));
        assert_eq!(kind("a=1.10", Some(ValueType::Number)), Ok((Kind::NumberValue(1.1), Number)));
        assert_eq!(kind("a=false", Some(ValueType::Boolean)), Ok((Kind::BoolValue(false), Boolean)));
        assert_eq!(
            kind("a=1", Some(ValueType::Boolean)).unwrap_err(),
            "a: expected true or false, found \"1\""
        );
        let error = kind("a=ten", Some(ValueType::Number)).unwrap_err();
        assert!(error.ends_with("notation, such as -12.5 or 1e6, found \"ten\""), "{error}");
        let types = [("b".to_owned(), ValueType::String)];
        let error = metrics(vec![parse("a=1").unwrap()], &types).unwrap_err();
        assert_eq!(error.to_string(), "--type b: expected an argument b=VALUE");
        let types = [("a".to_owned(), ValueType::String), ("a".to_owned(), ValueType::Number)];
        let error = metrics(vec![parse("a=1").unwrap()], &types).unwrap_err();
        assert_eq!(error.to_string(), "--type a: expected one type, found several");
    }

    #[test]
    fn arguments_without_name_and_value_are_refused() {
        for wrong in ["", "a", "=1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_type("a=b=NUMBER"), Ok(("a=b".into(), ValueType::Number)));
        for wrong in ["a", "a=", "a=text"] {
            assert!(parse_type(wrong).is_err(), "{wrong}");
        }
    }
}
