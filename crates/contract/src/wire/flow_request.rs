//! Decodes requests to the endpoints of flows.

use flowmeter_core::flow::{FlowRequest, Latency, Outcome};
use flowmeter_core::violation::Violation;

use super::reader::{Reader, read_fields, read_seconds_nanos, read_timestamp};

/// Reads a request. A field that cannot be read is added to `violations` and is absent from the request.
pub fn read_flow_request<'a>(bytes: &'a [u8], violations: &mut Vec<Violation>) -> FlowRequest<'a> {
    let mut request = FlowRequest::default();
    let mut has_outcome = false;
    let is_whole =
        read_fields(bytes, violations, |reader| read_field(reader, &mut request, &mut has_outcome));
    if is_whole && !has_outcome {
        violations.push(Violation::new("outcome", "expected an outcome such as FLOW_OUTCOME_SUCCEEDED"));
    }
    request
}

fn read_field<'a>(
    reader: &mut Reader<'a>,
    request: &mut FlowRequest<'a>,
    has_outcome: &mut bool,
) -> Result<(), Violation> {
    let (number, wire_type) = reader.key()?;
    match number {
        1 => request.flow_id = reader.text(wire_type, "flow_id")?,
        2 => request.timestamp = Some(read_timestamp(reader.bytes(wire_type)?)?),
        3 => request.latency = Some(read_latency(reader.bytes(wire_type)?)?),
        4 => {
            let number = reader.int32(wire_type)?;
            *has_outcome = number != 0;
            request.outcome = outcome(number)?;
        }
        5 => request.count = Some(reader.int32(wire_type)?),
        _ => reader.skip(wire_type)?,
    }
    Ok(())
}

/// The outcome for its number in the contract. None if the outcome is unspecified.
fn outcome(number: i32) -> Result<Option<Outcome>, Violation> {
    let Some(index) = number.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else {
        if number == 0 {
            return Ok(None);
        }
        return Err(unknown(number));
    };
    Outcome::ALL.get(index).copied().map(Some).ok_or_else(|| unknown(number))
}

fn unknown(number: i32) -> Violation {
    Violation::new("outcome", format!("expected an outcome from 1 to {}, found {number}", Outcome::ALL.len()))
}

fn read_latency(bytes: &[u8]) -> Result<Latency, Violation> {
    let (seconds, nanos) = read_seconds_nanos(bytes)?;
    Latency::of(seconds, nanos).ok_or_else(|| {
        let text =
            format!("expected zero or more with nanos from 0 to 999999999, found {seconds} s and {nanos} ns");
        Violation::new("latency", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::timestamp::Timestamp;
    use flowmeter_proto::v1::{self, FlowOutcome};
    use proptest::prelude::*;
    use prost::Message;

    fn full() -> v1::FlowRequest {
        v1::FlowRequest {
            flow_id: "f".into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            latency: Some(prost_types::Duration { seconds: 1, nanos: 1 }),
            outcome: FlowOutcome::TimeoutError.into(),
            count: Some(7),
        }
    }

    fn violations(request: &v1::FlowRequest) -> Vec<String> {
        let bytes = request.encode_to_vec();
        let mut violations = Vec::new();
        read_flow_request(&bytes, &mut violations);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_field_is_read() {
        let bytes = full().encode_to_vec();
        let mut violations = Vec::new();
        let request = read_flow_request(&bytes, &mut violations);
        assert!(violations.is_empty());
        let expected = FlowRequest {
            flow_id: "f",
            timestamp: Some(Timestamp::from_micros(1_700_000_000_123_456)),
            latency: Latency::of(1, 1),
            outcome: Some(Outcome::TimeoutError),
            count: Some(7),
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn outcomes_have_the_numbers_of_the_contract() {
        for (number, core) in (1..).zip(Outcome::ALL) {
            let name = FlowOutcome::try_from(number).unwrap().as_str_name();
            assert_eq!(name.to_lowercase(), format!("flow_outcome_{}", core.name()));
            assert_eq!(outcome(number), Ok(Some(core)));
        }
        assert!(FlowOutcome::try_from(6).is_err());
    }

    #[test]
    fn invalid_fields_are_violations() {
        assert_eq!(
            violations(&v1::FlowRequest { outcome: 0, ..full() }),
            ["outcome: expected an outcome such as FLOW_OUTCOME_SUCCEEDED"]
        );
        for number in [6, -1, i32::MIN, i32::MAX] {
            assert_eq!(
                violations(&v1::FlowRequest { outcome: number, ..full() }),
                [format!("outcome: expected an outcome from 1 to 5, found {number}")]
            );
        }
        let latency = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        assert_eq!(
            violations(&v1::FlowRequest { latency, ..full() }),
            ["latency: expected zero or more with nanos from 0 to 999999999, found -1 s and 0 ns"]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_violations(bytes: Vec<u8>) {
            read_flow_request(&bytes, &mut Vec::new());
        }

        #[test]
        fn a_cut_request_never_panics(cut in 0_usize..100) {
            let bytes = full().encode_to_vec();
            read_flow_request(&bytes[..cut.min(bytes.len())], &mut Vec::new());
        }
    }
}
