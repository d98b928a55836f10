//! Documents of metrics as JSON, in the form of the Semarchy xDG API. They are not read as proto
//! JSON, which makes doubles of all numbers: here every digit is kept.

use anyhow::{Context, Result, anyhow, bail};
use flowmeter_proto::v1::{AssetDocument, AssetMetric, asset_metric::ValueType};
use jiff::Timestamp;
use prost_types::{Value, value::Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    given,
    number::{self, value},
};
use crate::moment;

/// A document as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written<'a> {
    #[serde(alias = "asset_urn")]
    asset_urn: Option<String>,
    timestamp: Option<String>,
    #[serde(borrow)]
    metrics: Option<Vec<WrittenMetric<'a>>>,
    /// The single form, deprecated, which an answer has as null.
    name: Option<String>,
    value: Option<&'a RawValue>,
    /// Refused, as the service does, where it is more than null.
    #[serde(alias = "value_type")]
    value_type: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenMetric<'a> {
    name: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(alias = "value_type")]
    value_type: Option<String>,
}

/// Reads documents: one after the other, as JSON lines are, or in an array. Those that name no asset
/// are of this one. A byte order mark before them is no part of JSON.
pub(super) fn read(text: &str, urn: Option<&str>) -> Result<Vec<AssetDocument>> {
    let mut documents = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for item in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let item = item?.get();
        let written: Vec<&RawValue> = if item.starts_with('[') {
            serde_json::from_str(item)?
        } else {
            vec![serde_json::from_str(item)?]
        };
        for one in written {
            let place = documents.len() + 1;
            documents.push(document(one.get(), urn).with_context(|| format!("document {place}"))?);
        }
    }
    Ok(documents)
}

fn document(text: &str, urn: Option<&str>) -> Result<AssetDocument> {
    let written: Written<'_> = serde_json::from_str(text)?;
    let asset_urn = written.asset_urn.or_else(|| urn.map(str::to_owned));
    let asset_urn = asset_urn.context("expected an assetUrn, or the URN before --file")?;
    let timestamp = written.timestamp.map(|text| {
        text.parse::<Timestamp>()
            .map(moment::to_wire)
            .map_err(|_| anyhow!("timestamp: expected one such as 2026-11-21T09:30:00Z, found {text:?}"))
    });
    if written.value_type.is_some() {
        bail!("valueType: expected it with each of the metrics; the single form knows none");
    }
    let metrics = match (written.metrics, written.name, written.value) {
        (Some(metrics), None, None) => {
            let read = |(at, metric)| self::metric(metric).with_context(|| format!("metrics[{at}]"));
            metrics.into_iter().enumerate().map(read).collect::<Result<_>>()?
        }
        (None, Some(name), found) => vec![single(name, found)?],
        _ => bail!("expected metrics, or a name and a value"),
    };
    Ok(AssetDocument { asset_urn, timestamp: timestamp.transpose()?, metrics })
}

fn metric(written: WrittenMetric<'_>) -> Result<AssetMetric> {
    let declared = match written.value_type.as_deref() {
        None => ValueType::Unspecified,
        Some(name) => ValueType::from_str_name(name)
            .filter(|value_type| *value_type != ValueType::Unspecified)
            .with_context(|| format!("valueType: expected STRING, NUMBER or BOOLEAN, found {name:?}"))?,
    };
    let (value, needed) = read_value(written.value)?;
    let value_type = match needed {
        // Without its type the service would take the text for what was declared.
        Some(needed) if ![ValueType::Unspecified, needed].contains(&declared) => {
            let (needed, declared) = (needed.as_str_name(), declared.as_str_name());
            bail!("valueType: expected the type of the value, which is {needed}, found {declared}")
        }
        Some(needed) => needed,
        None => declared,
    };
    Ok(AssetMetric { name: written.name, value: Some(value), value_type: value_type.into() })
}

/// The single form, whose texts are read as those of arguments.
fn single(name: String, written: Option<&RawValue>) -> Result<AssetMetric> {
    let (value, needed) = match read_value(written)? {
        (Value { kind: Some(Kind::StringValue(text)) }, None) => {
            given::guessed(&text).map_err(|error| anyhow!("value: {error}"))?
        }
        settled => settled,
    };
    Ok(AssetMetric { name, value: Some(value), value_type: needed.unwrap_or_default().into() })
}

/// A value, and the type that is to be said with it, if one is.
fn read_value(written: Option<&RawValue>) -> Result<(Value, Option<ValueType>)> {
    let text = written.map_or("null", RawValue::get);
    let kind = match text.as_bytes().first() {
        Some(b'"') => Kind::StringValue(serde_json::from_str(text)?),
        Some(b't' | b'f') => Kind::BoolValue(text == "true"),
        Some(b'-' | b'0'..=b'9') => return number::sent(text).map_err(|error| anyhow!("value: {error}")),
        _ => bail!("value: expected a text, a number or a boolean"),
    };
    Ok((value(kind), None))
}

#[cfg(test)]
mod tests {
    use flowmeter_core::asset::NotANumber;

    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", read(text, Some("urn:a")).unwrap_err())
    }

    #[test]
    fn documents_are_read_in_every_form() {
        let lines = "{\"assetUrn\": \"urn:b\", \"metrics\": []}\n{\"name\": \"n\", \"value\": 1}";
        let array = "[{\"asset_urn\": \"urn:b\", \"metrics\": []}, {\"name\": \"n\", \"value\": \"1\"}]";
        let found = read(lines, Some("urn:a")).unwrap();
        assert_eq!(found, read(array, Some("urn:a")).unwrap());
        let urns: Vec<_> = found.iter().map(|document| document.asset_urn.as_str()).collect();
        assert_eq!(urns, ["urn:b", "urn:a"]);
        assert_eq!(found, read(&format!("\u{feff}{lines}"), Some("urn:a")).unwrap());
        assert!(read(" \n", None).unwrap().is_empty());
    }

    #[test]
    fn an_answer_can_be_sent_again() {
        let text = r#"{"metrics": [{"name": "n", "value": 1.10, "valueType": "NUMBER"}], "name": null,
            "timestamp": "2024-03-04T17:44:00.000Z", "value": null, "valueType": null}"#;
        let [document] = read(text, Some("urn:a")).unwrap().try_into().unwrap();
        assert_eq!(moment::rfc3339(document.timestamp.as_ref()), "2024-03-04T17:44:00Z");
        assert_eq!(document.metrics[0].value, Some(value(Kind::NumberValue(1.1))));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"metrics": [{"name": "a", "value": 12345678901234567.89},
            {"name": "b", "value": "12345678901234567.89", "valueType": "NUMBER"}]}"#;
        let [document] = read(text, Some("urn:a")).unwrap().try_into().unwrap();
        for metric in &document.metrics {
            assert_eq!(metric.value, Some(value(Kind::StringValue("12345678901234567.89".into()))));
            assert_eq!(metric.value_type(), ValueType::Number);
        }
        let long = refused(r#"{"metrics": [{"name": "a", "value": 12345678901234567890123456789}]}"#);
        assert_eq!(long, format!("document 1: metrics[0]: value: {}", NotANumber::TooLong));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            (r#"{"metrics": [{"name": "a", "value": null}]}"#, "metrics[0]: value: expected a text"),
            (r#"{"metrics": [{"name": "a", "value": 1, "valueType": "INT"}]}"#, "found \"INT\""),
            (
                r#"{"metrics": [{"name": "a", "value": 12345678901234567.89, "valueType": "STRING"}]}"#,
                "valueType: expected the type of the value, which is NUMBER, found STRING",
            ),
            (
                r#"{"metrics": [{"name": "a", "value": 1, "valueType": "VALUE_TYPE_UNSPECIFIED"}]}"#,
                "valueType: expected STRING, NUMBER or BOOLEAN, found \"VALUE_TYPE_UNSPECIFIED\"",
            ),
            (
                r#"{"metrics": [{"name": "a", "value": 1}], "valueType": "NUMBER"}"#,
                "document 1: valueType: expected it with each of the metrics; the single form knows none",
            ),
            (
                r#"{"name": "a", "value": 1, "value_type": "NUMBER"}"#,
                "document 1: valueType: expected it with each of the metrics",
            ),
            (r#"{"metrics": [], "name": "a"}"#, "expected metrics, or a name and a value"),
            (
                r#"{"metrics": [], "timestamp": "noon"}"#,
                "timestamp: expected one such as 2026-11-21T09:30:00Z",
            ),
            (r#"{"metric": []}"#, "document 1: unknown field `metric`"),
            ("[1]", "document 1: invalid type: integer"),
            (r#"{"metrics": []"#, "EOF while parsing"),
        ] {
            let error = refused(text);
            assert!(error.contains(said), "{error}");
        }
        let error = read(r#"{"metrics": []}"#, None).unwrap_err();
        assert_eq!(format!("{error:#}"), "document 1: expected an assetUrn, or the URN before --file");
    }
}
