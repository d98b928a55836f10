//! Documents of metrics as JSON, in the form of the Semarchy xDG API. They are not read as protobuf JSON,
//! which turns all numbers into doubles: here every digit is kept.

use anyhow::{Context, Error, Result, anyhow, bail};
use flowmeter_proto::v1::{AssetDocument, AssetMetric, asset_metric::ValueType};
use prost_types::{Value, value::Kind};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    given,
    number::{self, value},
};
use crate::{moment, render::text::shorten};

/// A document in JSON, written by hand or copied from an answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a document")]
struct Written<'a> {
    #[serde(alias = "asset_urn")]
    asset_urn: Option<String>,
    timestamp: Option<String>,
    #[serde(borrow)]
    metrics: Option<Vec<WrittenMetric<'a>>>,
    /// The deprecated single form. It is null in an answer in the array form.
    name: Option<String>,
    value: Option<&'a RawValue>,
    /// The type that the service inferred, in an answer in the single form. A request must not declare it,
    /// and is rejected unless it is null.
    #[serde(alias = "value_type")]
    value_type: Option<String>,
    /// Only an answer contains the request id.
    #[serde(alias = "request_id")]
    request_id: Option<IgnoredAny>,
}

/// The answer to a query for the metrics of an asset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(borrow)]
    documents: Vec<&'a RawValue>,
    #[serde(alias = "next_page_token", rename = "nextPageToken")]
    _next_page_token: Option<IgnoredAny>,
    #[serde(alias = "fresh_through", rename = "freshThrough")]
    _fresh_through: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a metric")]
struct WrittenMetric<'a> {
    name: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(alias = "value_type")]
    value_type: Option<String>,
}

/// Reads documents: one after the other, as in JSON lines, in an array, or as an answer lists them. Documents
/// without a URN use `urn`. A byte order mark at the beginning is skipped.
pub(super) fn read(text: &str, urn: Option<&str>) -> Result<Vec<AssetDocument>> {
    let mut documents = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for item in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        for part in parts(item?)? {
            let place = documents.len() + 1;
            let read = serde_json::from_str(part.get()).map_err(|error| placed(&error, part.get(), text));
            let document = read.and_then(|written| document(written, urn));
            documents.push(document.with_context(|| format!("document {place}"))?);
        }
    }
    Ok(documents)
}

/// The documents in a JSON value, which is an array, an answer or a single document.
fn parts(item: &RawValue) -> Result<Vec<&RawValue>> {
    if item.get().starts_with('[') {
        return Ok(serde_json::from_str(item.get())?);
    }
    let listed: Option<Listed<'_>> = serde_json::from_str(item.get()).ok();
    Ok(listed.map_or_else(|| vec![item], |listed| listed.documents))
}

/// An error in a part of the text, with its place in the whole text. serde counts from the beginning of the
/// part.
fn placed(error: &serde_json::Error, part: &str, text: &str) -> Error {
    let before = &text[..part.as_ptr().addr() - text.as_ptr().addr()];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let first_column = if error.line() == 1 { before.len() - line_start } else { 0 };
    let line = before.matches('\n').count() + error.line();
    anyhow!("{} at line {line} column {}", without_place(error), first_column + error.column())
}

/// The message of serde without the place.
fn without_place(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    said.strip_suffix(&place).map(str::to_owned).unwrap_or(said)
}

fn document(written: Written<'_>, urn: Option<&str>) -> Result<AssetDocument> {
    let asset_urn = written.asset_urn.or_else(|| urn.map(str::to_owned));
    let asset_urn = asset_urn.context("expected an assetUrn, or the URN before --file")?;
    let timestamp = written.timestamp.map(|text| {
        let time = moment::parse(&text).map(moment::to_wire);
        time.map_err(|expected| anyhow!("timestamp: {expected}, found {text:?}"))
    });
    let is_answer = written.request_id.is_some();
    let metrics = match (written.metrics, written.name, written.value, written.value_type) {
        (_, name, _, Some(_)) if name.is_none() || !is_answer => {
            bail!("valueType: expected it in each item of metrics; the single form infers the type")
        }
        (Some(metrics), None, None, _) => {
            let read = |(at, metric)| self::metric(metric).with_context(|| format!("metrics[{at}]"));
            metrics.into_iter().enumerate().map(read).collect::<Result<_>>()?
        }
        (Some(_), ..) => bail!("expected metrics, or a name and a value, found both"),
        (None, Some(name), value, None) => vec![single(name, value)?],
        (None, Some(name), value, value_type) => vec![metric(WrittenMetric { name, value, value_type })?],
        (None, None, ..) => bail!("expected metrics, or a name and a value"),
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
        // The digits are sent as a string. With another type, the service would not read them as a number.
        Some(needed) if ![ValueType::Unspecified, needed].contains(&declared) => {
            let (needed, declared) = (needed.as_str_name(), declared.as_str_name());
            bail!("valueType: expected the type of the value, which is {needed}, found {declared}")
        }
        Some(needed) => needed,
        None => declared,
    };
    Ok(AssetMetric { name: written.name, value: Some(value), value_type: value_type.into() })
}

/// A metric in the single form, whose texts are read like those of arguments.
fn single(name: String, written: Option<&RawValue>) -> Result<AssetMetric> {
    let (value, needed) = match read_value(written)? {
        (Value { kind: Some(Kind::StringValue(text)) }, None) => {
            let way_out = "to send it as a string, use metrics with the valueType STRING";
            given::guessed(&text).map_err(|error| anyhow!("value: {error}; {way_out}"))?
        }
        settled => settled,
    };
    Ok(AssetMetric { name, value: Some(value), value_type: needed.unwrap_or_default().into() })
}

/// A value, and the type to send with it, if one is needed.
fn read_value(written: Option<&RawValue>) -> Result<(Value, Option<ValueType>)> {
    let text = written.map_or("null", RawValue::get);
    let kind = match text.as_bytes().first() {
        Some(b'"') => {
            let text = serde_json::from_str(text);
            Kind::StringValue(text.map_err(|error| anyhow!("value: {}", without_place(&error)))?)
        }
        Some(b't' | b'f') => Kind::BoolValue(text == "true"),
        Some(b'-' | b'0'..=b'9') => {
            let in_quotes = |error| {
                anyhow!("value: {error}, found {}; to send it as a string, quote it", shorten(text, 60))
            };
            return number::sent(text).map_err(in_quotes);
        }
        other => {
            let found = match other {
                Some(b'[') => "a list",
                Some(b'{') => "an object",
                _ => "null",
            };
            bail!("value: expected a string, a number or a boolean, found {found}")
        }
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
    fn documents_are_read_in_every_layout() {
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
    fn an_answer_can_be_emitted_again() {
        let text = r#"{"metrics": [{"name": "n", "value": 1.10, "valueType": "NUMBER"}], "name": null,
            "timestamp": "2024-03-04T17:44:00.000Z", "value": null, "valueType": null}"#;
        let [document] = read(text, Some("urn:a")).unwrap().try_into().unwrap();
        assert_eq!(moment::rfc3339(document.timestamp.as_ref()), "2024-03-04T17:44:00Z");
        assert_eq!(document.metrics[0].value, Some(value(Kind::NumberValue(1.1))));
    }

    #[test]
    fn json_output_can_be_read() {
        let emitted = r#"{"metrics": [{"name": "n", "value": 1, "valueType": "NUMBER"}],
            "timestamp": "2024-03-04T17:44:00Z", "requestId": "01a2020a-88ae-72aa-8b67-c6e73fa3b004"}"#;
        let [document] = read(emitted, Some("urn:a")).unwrap().try_into().unwrap();
        assert_eq!(document.metrics[0].value, Some(value(Kind::NumberValue(1.0))));
        let single = r#"{"name": "n", "value": "50", "valueType": "NUMBER", "requestId": "r"}"#;
        let [document] = read(single, Some("urn:a")).unwrap().try_into().unwrap();
        let fifty = Some(value(Kind::StringValue("50".into())));
        assert_eq!(
            (&document.metrics[0].value, document.metrics[0].value_type()),
            (&fifty, ValueType::Number)
        );
        let metrics = r#""metrics": [{"name": "n", "value": "a", "valueType": "STRING"}]"#;
        let listed = format!(
            r#"{{"documents": [{{"timestamp": "2024-03-04T17:44:00Z", {metrics}}}, {{{metrics}}}],
            "nextPageToken": "x", "freshThrough": "2024-03-04T17:45:00Z"}} {emitted}"#
        );
        let found = read(&listed, Some("urn:a")).unwrap();
        let times: Vec<_> =
            found.iter().map(|document| moment::rfc3339(document.timestamp.as_ref())).collect();
        assert_eq!(times, ["2024-03-04T17:44:00Z", "", "2024-03-04T17:44:00Z"]);
        assert!(read(r#"{"documents": []}"#, None).unwrap().is_empty());
    }

    #[test]
    fn an_error_names_its_place_in_the_file() {
        let first = r#"{"metrics": []}"#;
        for (text, place) in [
            (format!("{first}\n\n  {{\"metrics\": 1}}"), "line 3 column 15"),
            (format!("{first} {{\"metrics\": 1}}"), "line 1 column 29"),
            (format!("[{first},\n{{\n\"metrics\": 1}}]"), "line 3 column 12"),
            (format!("{{\"documents\": [{first},\n {{\"metrics\": 1}}]}}"), "line 2 column 14"),
        ] {
            let said = format!("document 2: invalid type: integer `1`, expected a sequence at {place}");
            assert_eq!(refused(&text), said);
        }
        assert_eq!(refused(&format!("{first}\n{{]")), "key must be a string at line 2 column 2");
        let half = r#"{"metrics": [{"name": "a", "value": "\ud800"}]}"#;
        let said = refused(half);
        assert!(said.starts_with("document 1: metrics[0]: value: ") && !said.contains("column"), "{said}");
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
        let (why, found) =
            (NotANumber::TooLong, "found 12345678901234567890123456789; to send it as a string, quote it");
        assert_eq!(long, format!("document 1: metrics[0]: value: {why}, {found}"));
        let single = refused(r#"{"name": "id", "value": "12345678901234567890123456789"}"#);
        assert!(
            single.ends_with("digits; to send it as a string, use metrics with the valueType STRING"),
            "{single}"
        );
    }

    #[test]
    fn errors_name_the_field() {
        for (text, said) in [
            (
                r#"{"metrics": [{"name": "a", "value": null}]}"#,
                "metrics[0]: value: expected a string, a number or a boolean, found null",
            ),
            (r#"{"metrics": [{"name": "a", "value": [1]}]}"#, "a boolean, found a list"),
            (r#"{"metrics": [{"name": "a", "value": {}}]}"#, "a boolean, found an object"),
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
                "document 1: valueType: expected it in each item of metrics; the single form infers the type",
            ),
            (
                r#"{"name": "a", "value": 1, "value_type": "NUMBER"}"#,
                "document 1: valueType: expected it in each item of metrics",
            ),
            (r#"{"metrics": [], "name": "a"}"#, "expected metrics, or a name and a value, found both"),
            (r#"{"metrics": [], "value": 1}"#, "expected metrics, or a name and a value, found both"),
            (r#"{"value": 1}"#, "document 1: expected metrics, or a name and a value"),
            (
                r#"{"metrics": [], "valueType": "NUMBER", "requestId": "r"}"#,
                "document 1: valueType: expected it",
            ),
            (
                r#"{"metrics": [], "timestamp": "noon"}"#,
                "timestamp: expected a time such as 2026-11-21T09:30:00Z, found \"noon\"",
            ),
            (r#"{"metric": []}"#, "document 1: unknown field `metric`"),
            ("[1]", "document 1: invalid type: integer `1`, expected a document at line 1 column 2"),
            (r#"{"metrics": []"#, "EOF while parsing"),
        ] {
            let error = refused(text);
            assert!(error.contains(said), "{error}");
        }
        let error = read(r#"{"metrics": []}"#, None).unwrap_err();
        assert_eq!(format!("{error:#}"), "document 1: expected an assetUrn, or the URN before --file");
    }
}
