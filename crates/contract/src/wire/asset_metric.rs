//! Decodes asset metrics and their values.

use flowmeter_core::asset::{AssetMetric, Sent, ValueType};
use flowmeter_core::violation::Violation;
use prost::encoding::WireType;

use super::reader::{Reader, read_fields};

/// Reads a metric. A field that cannot be read is added to `violations` and is absent from the metric.
pub fn read_asset_metric<'a>(bytes: &'a [u8], violations: &mut Vec<Violation>) -> AssetMetric<'a> {
    let mut metric = AssetMetric::default();
    read_fields(bytes, violations, |reader| read_field(reader, &mut metric));
    metric
}

fn read_field<'a>(reader: &mut Reader<'a>, metric: &mut AssetMetric<'a>) -> Result<(), Violation> {
    let (number, wire_type) = reader.key()?;
    match number {
        1 => metric.name = reader.text(wire_type, "name")?,
        2 => metric.value = read_asset_value(reader.bytes(wire_type)?)?.or(metric.value),
        3 => metric.value_type = read_value_type(reader.int32(wire_type)?)?,
        _ => reader.skip(wire_type)?,
    }
    Ok(())
}

/// Reads a `google.protobuf.Value` of the field `value`. None if the value is not set.
pub fn read_asset_value(bytes: &[u8]) -> Result<Option<Sent<'_>>, Violation> {
    let mut value = None;
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let (number, wire_type) = reader.key()?;
        // The last value wins, as in every oneof.
        match number {
            1 => {
                reader.varint(wire_type)?;
                value = Some(Sent::Other("null"));
            }
            2 => value = Some(Sent::Number(reader.double(wire_type)?)),
            3 => value = Some(Sent::Text(reader.text(wire_type, "value")?)),
            4 => value = Some(Sent::Boolean(reader.varint(wire_type)? != 0)),
            5 => value = Some(other(&mut reader, wire_type, "an object")?),
            6 => value = Some(other(&mut reader, wire_type, "a list")?),
            _ => reader.skip(wire_type)?,
        }
    }
    Ok(value)
}

/// Skips a value that an asset cannot have.
fn other<'a>(
    reader: &mut Reader<'a>,
    wire_type: WireType,
    kind: &'static str,
) -> Result<Sent<'a>, Violation> {
    reader.bytes(wire_type)?;
    Ok(Sent::Other(kind))
}

/// The type for its number in the contract. None if the type is unspecified.
fn read_value_type(number: i32) -> Result<Option<ValueType>, Violation> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(ValueType::String)),
        2 => Ok(Some(ValueType::Number)),
        3 => Ok(Some(ValueType::Boolean)),
        _ => {
            let text = format!("expected STRING (1), NUMBER (2), BOOLEAN (3) or none, found {number}");
            Err(Violation::new("value_type", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_proto::v1::{self, asset_metric};
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::value::Kind;

    fn full(kind: Kind) -> v1::AssetMetric {
        v1::AssetMetric {
            name: "qualityScore".into(),
            value: Some(prost_types::Value { kind: Some(kind) }),
            value_type: asset_metric::ValueType::Number.into(),
        }
    }

    fn read(bytes: &[u8]) -> Result<AssetMetric<'_>, String> {
        let mut violations = Vec::new();
        let metric = read_asset_metric(bytes, &mut violations);
        violations.first().map_or(Ok(metric), |violation| Err(violation.to_string()))
    }

    #[test]
    fn every_field_is_read() {
        let (list, object) = (prost_types::ListValue::default(), prost_types::Struct::default());
        for (kind, expected) in [
            (Kind::NumberValue(-0.5), Sent::Number(-0.5)),
            (Kind::StringValue("1.5".into()), Sent::Text("1.5")),
            (Kind::StringValue(String::new()), Sent::Text("")),
            (Kind::BoolValue(true), Sent::Boolean(true)),
            (Kind::BoolValue(false), Sent::Boolean(false)),
            (Kind::NullValue(0), Sent::Other("null")),
            (Kind::ListValue(list), Sent::Other("a list")),
            (Kind::StructValue(object), Sent::Other("an object")),
        ] {
            let bytes = full(kind).encode_to_vec();
            let expected = AssetMetric {
                name: "qualityScore",
                value: Some(expected),
                value_type: Some(ValueType::Number),
            };
            assert_eq!(read(&bytes), Ok(expected));
        }
        assert_eq!(read(b""), Ok(AssetMetric::default()));
        let empty = v1::AssetMetric { value: Some(prost_types::Value { kind: None }), ..Default::default() };
        assert_eq!(read(&empty.encode_to_vec()), Ok(AssetMetric::default()), "a value that is not set");
    }

    #[test]
    fn the_last_value_wins() {
        let value = |kind| prost_types::Value { kind: Some(kind) }.encode_to_vec();
        let bytes = [value(Kind::StringValue("a".into())), value(Kind::BoolValue(true))].concat();
        assert_eq!(read_asset_value(&bytes), Ok(Some(Sent::Boolean(true))));
        let bytes = [value(Kind::BoolValue(true)), value(Kind::NumberValue(2.0))].concat();
        assert_eq!(read_asset_value(&bytes), Ok(Some(Sent::Number(2.0))));
    }

    #[test]
    fn value_types_have_the_numbers_of_the_contract() {
        for core in [ValueType::String, ValueType::Number, ValueType::Boolean] {
            let number = asset_metric::ValueType::from_str_name(core.name()).unwrap() as i32;
            assert_eq!(read_value_type(number), Ok(Some(core)));
        }
        assert!(asset_metric::ValueType::try_from(4).is_err());
        for number in [4, -1, i32::MIN, i32::MAX] {
            let metric = v1::AssetMetric { value_type: number, ..full(Kind::BoolValue(true)) };
            let expected =
                format!("value_type: expected STRING (1), NUMBER (2), BOOLEAN (3) or none, found {number}");
            assert_eq!(read(&metric.encode_to_vec()), Err(expected));
        }
    }

    #[test]
    fn text_is_utf_8() {
        let name = [b"\x0a\x02a\xff".as_slice(), &full(Kind::BoolValue(true)).encode_to_vec()[14..]].concat();
        assert_eq!(read(&name), Err("name: expected UTF-8, found another byte at 1".into()));
        assert_eq!(
            read(b"\x12\x03\x1a\x01\xff"),
            Err("value: expected UTF-8, found another byte at 0".into())
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_metric_or_violations(bytes: Vec<u8>) {
            read_asset_metric(&bytes, &mut Vec::new());
            let _ = read_asset_value(&bytes);
        }

        #[test]
        fn a_cut_metric_never_panics(cut in 0_usize..40) {
            let bytes = full(Kind::StringValue("text".into())).encode_to_vec();
            read_asset_metric(&bytes[..cut.min(bytes.len())], &mut Vec::new());
        }
    }
}
