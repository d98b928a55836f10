//! Converts messages of the contract to and from protobuf JSON. The conversion is generic: it uses the
//! descriptor set that the reflection of the services serves.

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(flowmeter_proto::FILE_DESCRIPTOR_SET)
        .expect("the descriptor set is built together with this code")
});

/// The descriptor of a message of package `flowmeter.v1`.
fn descriptor(message: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("flowmeter.v1.{message}"))
        .expect("callers name a message of the contract")
}

fn dynamic<M: Message>(name: &str, message: &M) -> Result<DynamicMessage> {
    DynamicMessage::decode(descriptor(name), message.encode_to_vec().as_slice())
        .with_context(|| format!("cannot show {name} as JSON"))
}

/// The message as indented protobuf JSON: names in camelCase, timestamps in RFC 3339, 64-bit integers as
/// strings, and no fields with default values.
pub(crate) fn pretty<M: Message>(name: &str, message: &M) -> Result<String> {
    written(name, message, PrettyFormatter::new())
}

/// The message as protobuf JSON on one line.
pub(crate) fn line<M: Message>(name: &str, message: &M) -> Result<String> {
    written(name, message, CompactFormatter)
}

fn written<M: Message>(name: &str, message: &M, form: impl Formatter) -> Result<String> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, PlainNumbers(form));
    dynamic(name, message)?.serialize_with_options(&mut serializer, &SerializeOptions::new())?;
    Ok(String::from_utf8(out)?)
}

/// Writes an integral double as `5` instead of the `5.0` of `serde_json`. Counts are easier to read, and the
/// two are equal in protobuf JSON.
struct PlainNumbers<F>(F);

macro_rules! as_before {
    ($($name:ident($($argument:ident: $type:ty)?);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, out: &mut W $(, $argument: $type)?) -> io::Result<()> {
            self.0.$name(out $(, $argument)?)
        })*
    };
}

impl<F: Formatter> Formatter for PlainNumbers<F> {
    as_before! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }

    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let text = value.to_string();
        // A very large or very small number would have many digits.
        if text.len() <= 24 { out.write_all(text.as_bytes()) } else { self.0.write_f64(out, value) }
    }
}

/// Reads messages of one type from protobuf JSON.
pub(crate) struct Reader {
    descriptor: MessageDescriptor,
    options: DeserializeOptions,
}

impl Reader {
    /// A reader of the message with this name in package `flowmeter.v1`.
    pub(crate) fn new(name: &str) -> Self {
        Self { descriptor: descriptor(name), options: DeserializeOptions::new().deny_unknown_fields(true) }
    }

    /// Reads one message. An unknown field is an error that names the field.
    pub(crate) fn read<M: Message + Default>(&self, text: &str) -> Result<M, String> {
        let mut input = serde_json::Deserializer::from_str(text);
        let message =
            DynamicMessage::deserialize_with_options(self.descriptor.clone(), &mut input, &self.options)
                .map_err(|error| without_line(&error))?;
        input.end().map_err(|error| without_line(&error))?;
        M::decode(message.encode_to_vec().as_slice()).map_err(|error| error.to_string())
    }
}

/// The text of an error without its line number, which is always 1.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::{FlowDataPoint, FlowDatum, Point, UsageEvent};

    use super::*;

    #[test]
    fn prints_protobuf_json() {
        let point = Point {
            timestamp: Some(prost_types::Timestamp { seconds: 0, nanos: 500_000_000 }),
            value: Some("12.5".into()),
            count: 3,
        };
        assert_eq!(
            line("Point", &point).unwrap(),
            r#"{"timestamp":"1970-01-01T00:00:00.500Z","value":"12.5","count":"3"}"#
        );
    }

    #[test]
    fn zeros_are_printed_and_counts_have_no_decimals() {
        let datum = |value| FlowDatum { key: "value".into(), value: Some(value) };
        let shown = [0.0, 5.0, 0.24, 9_007_199_254_740_991.0, 1e300]
            .map(|value| line("FlowDatum", &datum(value)).unwrap());
        let expected = ["0", "5", "0.24", "9007199254740991", "1e+300"]
            .map(|value| format!(r#"{{"key":"value","value":{value}}}"#));
        assert_eq!(shown, expected);
        let point = FlowDataPoint { timestamp: None, data: vec![datum(0.0)] };
        insta::assert_snapshot!(pretty("FlowDataPoint", &point).unwrap(), @r#"
        {
          "data": [
            {
              "key": "value",
              "value": 0
            }
          ]
        }
        "#);
    }

    #[test]
    fn reads_both_spellings_and_names_unknown_fields() {
        let reader = Reader::new("UsageEvent");
        let snake: UsageEvent = reader.read(r#"{"response_size": 7}"#).unwrap();
        let camel: UsageEvent = reader.read(r#"{"responseSize": "7"}"#).unwrap();
        assert_eq!(snake, camel);
        let error = reader.read::<UsageEvent>(r#"{"sevice": "x"}"#).unwrap_err();
        assert!(error.contains("sevice"), "{error}");
        assert!(reader.read::<UsageEvent>("{} {}").is_err());
    }
}
