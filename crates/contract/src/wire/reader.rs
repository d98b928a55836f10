//! The wire format of Protocol Buffers.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use prost::encoding::WireType;

/// The rest of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The number of invalid fields after which the rest of a message is not read. Any field can occur any number of times, so
/// a message can have any number of invalid fields.
const MAX_WRONG_FIELDS: usize = 10;

/// Reads the fields of a message in order with `read_field`. Adds each field that cannot be read to `violations` once.
/// Returns whether the whole message was read.
pub(super) fn read_fields<'a>(
    bytes: &'a [u8],
    violations: &mut Vec<Violation>,
    mut read_field: impl FnMut(&mut Reader<'a>) -> Result<(), Violation>,
) -> bool {
    let mut reader = Reader::new(bytes);
    let mut wrong_fields = 0;
    while !reader.is_empty() {
        let Err(violation) = read_field(&mut reader) else { continue };
        let is_broken = violation.field.is_empty();
        if violations.iter().all(|known| known.field != violation.field) {
            violations.push(violation);
        }
        if is_broken {
            return false;
        }
        wrong_fields += 1;
        if wrong_fields == MAX_WRONG_FIELDS {
            let text =
                format!("expected fewer than {MAX_WRONG_FIELDS} wrong fields: the others are not read");
            violations.push(Violation::new("", text));
            return false;
        }
    }
    true
}

fn broken() -> Violation {
    Violation::new("", "expected an encoded message of this kind")
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn key(&mut self) -> Result<(u32, WireType), Violation> {
        prost::encoding::decode_key(&mut self.rest).map_err(|_| broken())
    }

    pub(super) fn varint(&mut self, wire_type: WireType) -> Result<u64, Violation> {
        if wire_type != WireType::Varint {
            return Err(broken());
        }
        prost::encoding::decode_varint(&mut self.rest).map_err(|_| broken())
    }

    /// Reads an int32, which is the lower half of a 64-bit varint.
    #[allow(clippy::cast_possible_truncation, reason = "as Protocol Buffers prescribe")]
    pub(super) fn int32(&mut self, wire_type: WireType) -> Result<i32, Violation> {
        Ok((self.varint(wire_type)? as u32).cast_signed())
    }

    pub(super) fn double(&mut self, wire_type: WireType) -> Result<f64, Violation> {
        if wire_type != WireType::SixtyFourBit {
            return Err(broken());
        }
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(broken)?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    pub(super) fn bytes(&mut self, wire_type: WireType) -> Result<&'a [u8], Violation> {
        if wire_type != WireType::LengthDelimited {
            return Err(broken());
        }
        let length = prost::encoding::decode_varint(&mut self.rest).map_err(|_| broken())?;
        let length = usize::try_from(length).map_err(|_| broken())?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(broken)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, wire_type: WireType, field: &str) -> Result<&'a str, Violation> {
        let bytes = self.bytes(wire_type)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let text = format!("expected UTF-8, found another byte at {}", error.valid_up_to());
            Violation::new(field, text)
        })
    }

    /// Skips a field that this version of the contract does not have.
    pub(super) fn skip(&mut self, wire_type: WireType) -> Result<(), Violation> {
        let fixed = match wire_type {
            WireType::Varint => return self.varint(wire_type).map(|_| ()),
            WireType::LengthDelimited => return self.bytes(wire_type).map(|_| ()),
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            // Proto3 has no groups.
            WireType::StartGroup | WireType::EndGroup => return Err(broken()),
        };
        self.rest = self.rest.get(fixed..).ok_or_else(broken)?;
        Ok(())
    }
}

/// Reads a `google.protobuf.Timestamp` of the field `timestamp`.
pub fn read_timestamp(bytes: &[u8]) -> Result<Timestamp, Violation> {
    let (seconds, nanos) = read_seconds_nanos(bytes)?;
    Timestamp::from_seconds_nanos(seconds, nanos).ok_or_else(|| {
        Violation::new(
            "timestamp",
            "expected a time in the years 0001 to 9999 with nanos from 0 to 999999999",
        )
    })
}

/// Reads the fields of a `google.protobuf.Timestamp` or `Duration`, which have the same fields.
pub(super) fn read_seconds_nanos(bytes: &[u8]) -> Result<(i64, i32), Violation> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let (number, wire_type) = reader.key()?;
        match number {
            1 => seconds = reader.varint(wire_type)?.cast_signed(),
            2 => nanos = reader.int32(wire_type)?,
            _ => reader.skip(wire_type)?,
        }
    }
    Ok((seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{read_asset_document, read_asset_metric, read_flow_request, read_usage_event};

    /// The invalid fields of a message, for each type of item.
    fn wrong(bytes: &[u8]) -> [Vec<String>; 4] {
        let fields = |read: &dyn Fn(&mut Vec<Violation>)| {
            let mut violations = Vec::new();
            read(&mut violations);
            violations.into_iter().map(|violation| violation.field).collect()
        };
        [
            fields(&|violations| _ = read_usage_event(bytes, violations)),
            fields(&|violations| _ = read_flow_request(bytes, violations)),
            fields(&|violations| _ = read_asset_metric(bytes, violations)),
            fields(&|violations| _ = read_asset_document(bytes, violations)),
        ]
    }

    /// Field 1, which is a text in all of them, with a byte that is not UTF-8.
    const NOT_UTF_8: &[u8] = b"\x0a\x01\xff";

    #[test]
    fn a_repeated_invalid_field_is_one_violation() {
        let few = [vec!["event_id"], vec!["flow_id", "outcome"], vec!["name"], vec!["asset_urn"]];
        assert_eq!(wrong(&NOT_UTF_8.repeat(MAX_WRONG_FIELDS - 1)), few);
        // The rest of the message is not read, so a missing outcome is not a violation.
        let many = [vec!["event_id", ""], vec!["flow_id", ""], vec!["name", ""], vec!["asset_urn", ""]];
        for times in [MAX_WRONG_FIELDS, 1_390_000] {
            assert_eq!(wrong(&NOT_UTF_8.repeat(times)), many);
        }
    }

    #[test]
    fn a_message_with_many_invalid_fields_is_not_read_to_its_end() {
        let name = b"\x0a\x01a";
        let read = |times: usize| {
            let bytes = [&NOT_UTF_8.repeat(times), &name[..]].concat();
            read_asset_metric(&bytes, &mut Vec::new()).name == "a"
        };
        assert!(read(MAX_WRONG_FIELDS - 1));
        assert!(!read(MAX_WRONG_FIELDS));
    }
}
