//! Decodes asset documents.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;

use super::reader::{Reader, read_fields, read_timestamp};

/// A document with encoded metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssetDocument<'a> {
    /// The URN of the asset.
    pub asset_urn: &'a str,
    /// The time, if it is set.
    pub timestamp: Option<Timestamp>,
    /// The encoded metrics, for [`read_asset_metric`](super::read_asset_metric).
    pub metrics: Vec<&'a [u8]>,
}

/// Reads a document. A field that cannot be read is added to `violations` and is absent from the document.
pub fn read_asset_document<'a>(bytes: &'a [u8], violations: &mut Vec<Violation>) -> AssetDocument<'a> {
    let mut document = AssetDocument::default();
    read_fields(bytes, violations, |reader| read_field(reader, &mut document));
    document
}

fn read_field<'a>(reader: &mut Reader<'a>, document: &mut AssetDocument<'a>) -> Result<(), Violation> {
    let (number, wire_type) = reader.key()?;
    match number {
        1 => document.asset_urn = reader.text(wire_type, "asset_urn")?,
        2 => document.timestamp = Some(read_timestamp(reader.bytes(wire_type)?)?),
        3 => document.metrics.push(reader.bytes(wire_type)?),
        _ => reader.skip(wire_type)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_proto::v1;
    use proptest::prelude::*;
    use prost::Message;

    fn full() -> v1::AssetDocument {
        let metric = |name: &str| v1::AssetMetric { name: name.into(), ..v1::AssetMetric::default() };
        v1::AssetDocument {
            asset_urn: "urn:a".into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            metrics: vec![metric("a"), metric("b")],
        }
    }

    #[test]
    fn every_field_is_read() {
        let bytes = full().encode_to_vec();
        let mut violations = Vec::new();
        let document = read_asset_document(&bytes, &mut violations);
        assert!(violations.is_empty());
        let expected = AssetDocument {
            asset_urn: "urn:a",
            timestamp: Some(Timestamp::from_micros(1_700_000_000_123_456)),
            metrics: vec![b"\x0a\x01a", b"\x0a\x01b"],
        };
        assert_eq!(document, expected);
        assert_eq!(read_asset_document(b"", &mut violations), AssetDocument::default());
    }

    #[test]
    fn the_epoch_is_a_time() {
        let epoch = v1::AssetDocument { timestamp: Some(prost_types::Timestamp::default()), ..full() };
        let bytes = epoch.encode_to_vec();
        assert_eq!(read_asset_document(&bytes, &mut Vec::new()).timestamp, Some(Timestamp::EPOCH));
    }

    #[test]
    fn invalid_fields_are_violations_and_the_others_are_read() {
        let time = Some(prost_types::Timestamp { seconds: 0, nanos: -1 });
        let bytes = v1::AssetDocument { timestamp: time, ..full() }.encode_to_vec();
        let bytes = [b"\x0a\x02\xffa".as_slice(), &bytes[7..]].concat();
        let mut violations = Vec::new();
        let document = read_asset_document(&bytes, &mut violations);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["asset_urn", "timestamp"]);
        assert_eq!((document.asset_urn, document.timestamp, document.metrics.len()), ("", None, 2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_document_or_violations(bytes: Vec<u8>) {
            read_asset_document(&bytes, &mut Vec::new());
        }

        #[test]
        fn a_cut_document_never_panics(cut in 0_usize..60) {
            let bytes = full().encode_to_vec();
            read_asset_document(&bytes[..cut.min(bytes.len())], &mut Vec::new());
        }
    }
}
