//! Decodes usage events.

use flowmeter_core::quantity::Quantity;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_core::violation::Violation;

use super::reader::{Reader, read_fields, read_timestamp};

/// Reads an event. A field that cannot be read is added to `violations` and is absent from the event.
pub fn read_usage_event<'a>(bytes: &'a [u8], violations: &mut Vec<Violation>) -> UsageEvent<'a> {
    let mut event = UsageEvent::default();
    let mut value = EventValue::default();
    read_fields(bytes, violations, |reader| read_field(reader, &mut event, &mut value));
    event.value = value.settle(violations);
    // The last entry of a name wins, as in every map of Protocol Buffers.
    if event.attributes.len() > 1 {
        event.attributes.reverse();
        event.attributes.sort_by_key(|(name, _)| *name);
        event.attributes.dedup_by_key(|(name, _)| *name);
    }
    event
}

/// The text field for its number in the contract.
const fn text_field(number: u32) -> Option<TextField> {
    Some(match number {
        3 => TextField::Provider,
        4 => TextField::Action,
        5 => TextField::Application,
        6 => TextField::Detail,
        7 => TextField::Environment,
        9 => TextField::InvocationId,
        10 => TextField::Method,
        11 => TextField::Service,
        12 => TextField::Type,
        13 => TextField::User,
        _ => return None,
    })
}

fn read_field<'a>(
    reader: &mut Reader<'a>,
    event: &mut UsageEvent<'a>,
    value: &mut EventValue<'a>,
) -> Result<(), Violation> {
    let (number, wire_type) = reader.key()?;
    if let Some(field) = text_field(number) {
        event.texts[field as usize] = reader.text(wire_type, field.name())?;
        return Ok(());
    }
    match number {
        1 => event.event_id = reader.text(wire_type, "event_id")?,
        2 => {
            let bytes = reader.bytes(wire_type)?;
            event.timestamp = Some(read_timestamp(bytes)?);
        }
        8 => event.http_status = Some(reader.int32(wire_type)?),
        14 => event.duration_ms = Some(reader.varint(wire_type)?.cast_signed()),
        15 => event.response_bytes = Some(reader.varint(wire_type)?.cast_signed()),
        16 => value.whole = Some(reader.varint(wire_type)?.cast_signed()),
        17 => value.decimal = reader.text(wire_type, "decimal_value")?,
        18 => {
            let bytes = reader.bytes(wire_type)?;
            event.attributes.push(read_attribute(bytes)?);
        }
        _ => reader.skip(wire_type)?,
    }
    Ok(())
}

fn read_attribute(bytes: &[u8]) -> Result<(&str, &str), Violation> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let (number, wire_type) = reader.key()?;
        match number {
            1 => name = reader.text(wire_type, "attributes")?,
            2 => value = reader.text(wire_type, "attributes")?,
            _ => reader.skip(wire_type)?,
        }
    }
    Ok((name, value))
}

/// The two fields that can hold the value.
#[derive(Default)]
struct EventValue<'a> {
    whole: Option<i64>,
    decimal: &'a str,
}

impl EventValue<'_> {
    fn settle(self, violations: &mut Vec<Violation>) -> Option<Quantity> {
        let whole = self.whole.map(Quantity::from);
        if self.decimal.is_empty() {
            return whole;
        }
        if whole.is_some() {
            violations.push(Violation::new("decimal_value", "expected value or decimal_value, found both"));
            return None;
        }
        match self.decimal.parse() {
            Ok(quantity) => Some(quantity),
            Err(error) => {
                violations.push(Violation::new("decimal_value", error.to_string()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::timestamp::Timestamp;
    use flowmeter_proto::v1;
    use proptest::prelude::*;
    use prost::Message;

    fn full() -> v1::UsageEvent {
        v1::UsageEvent {
            event_id: "order-1".into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            provider: "p".into(),
            action: "a".into(),
            application: "app".into(),
            detail: "d".into(),
            environment: "e".into(),
            httpstatus: Some(404),
            invocation_id: "i".into(),
            method: "GET".into(),
            service: "s".into(),
            r#type: "api".into(),
            user: "u".into(),
            duration: Some(12),
            response_size: Some(34),
            value: Some(-5),
            decimal_value: String::new(),
            attributes: [("queue".to_owned(), "q".to_owned()), ("key".to_owned(), "k".to_owned())].into(),
        }
    }

    fn read(bytes: &[u8]) -> (UsageEvent<'_>, Vec<String>) {
        let mut violations = Vec::new();
        let event = read_usage_event(bytes, &mut violations);
        (event, violations.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_field_is_read() {
        let bytes = full().encode_to_vec();
        let (event, violations) = read(&bytes);
        assert_eq!(violations, Vec::<String>::new());
        let expected = UsageEvent {
            event_id: "order-1",
            timestamp: Some(Timestamp::from_micros(1_700_000_000_123_456)),
            texts: ["p", "a", "app", "d", "e", "i", "GET", "s", "api", "u"],
            http_status: Some(404),
            duration_ms: Some(12),
            response_bytes: Some(34),
            value: Some(Quantity::from(-5)),
            attributes: vec![("key", "k"), ("queue", "q")],
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn a_decimal_value_is_exact_and_excludes_a_value() {
        let decimal = |text: &str, value| {
            let event = v1::UsageEvent { decimal_value: text.into(), value, ..v1::UsageEvent::default() };
            let bytes = event.encode_to_vec();
            let (event, violations) = read(&bytes);
            (event.value.map(|value| value.to_string()), violations)
        };
        assert_eq!(decimal("1.10", None), (Some("1.1".into()), vec![]));
        assert_eq!(decimal("1e3", None).1, ["decimal_value: expected a decimal number such as -12.50"]);
        assert_eq!(decimal("1", Some(1)).1, ["decimal_value: expected value or decimal_value, found both"]);
    }

    #[test]
    fn text_that_is_not_utf8_is_a_violation_of_its_field() {
        let mut bytes = vec![5 << 3 | 2, 3, b'a', 0xff, b'b'];
        bytes.extend(v1::UsageEvent { user: "u".into(), ..v1::UsageEvent::default() }.encode_to_vec());
        let (event, violations) = read(&bytes);
        assert_eq!(violations, ["application: expected UTF-8, found another byte at 1"]);
        assert_eq!(event.text(TextField::User), "u");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_violations(bytes: Vec<u8>) {
            read(&bytes);
        }

        #[test]
        fn a_cut_event_never_panics(cut in 0_usize..200) {
            let bytes = full().encode_to_vec();
            read(&bytes[..cut.min(bytes.len())]);
        }

        #[test]
        fn what_the_generated_decoder_accepts_is_accepted(
            service in "\\PC{0,9}",
            status in any::<Option<i32>>(),
            duration in any::<Option<i64>>(),
        ) {
            let message = v1::UsageEvent {
                service: service.clone(), httpstatus: status, duration, ..v1::UsageEvent::default()
            };
            let bytes = message.encode_to_vec();
            let (event, violations) = read(&bytes);
            prop_assert!(violations.is_empty());
            prop_assert_eq!(event.text(TextField::Service), service);
            prop_assert_eq!(event.http_status, status);
            prop_assert_eq!(event.duration_ms, duration);
        }
    }
}
