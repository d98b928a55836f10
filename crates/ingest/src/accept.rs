//! Decides which items of a batch are accepted, and assigns their ids. Pure: the same batch at the same time
//! always gives the same decision.

pub mod assets;
pub mod executions;
pub mod flows;
mod rejections;
pub mod usage;

use std::time::Duration;

use bytes::Bytes;
use flowmeter_core::flow::FlowLimits;
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Limits as EventLimits;
use flowmeter_proto::queue::Request;
use flowmeter_proto::raw::Rejection;
use flowmeter_service::error::{ApiError, Reason};

/// The limits of accepted items.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub batch: BatchLimits,
    /// The limits of a usage event. Reports of executions and asset metrics have the same limits of text
    /// and time.
    pub event: EventLimits,
    /// The limits of a request to the endpoint of a flow.
    pub flow: FlowLimits,
}

/// The size limits of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub max_items: usize,
    pub max_bytes: usize,
}

impl BatchLimits {
    /// Checks the items of a batch, which are in the field `field` of the request.
    fn check(&self, field: &str, items: &[Bytes]) -> Result<(), ApiError> {
        if items.is_empty() {
            return Err(ApiError::field(Reason::InvalidField, field, "expected at least one item"));
        }
        if items.len() > self.max_items {
            let text = format!("expected at most {} {field}, found {}", self.max_items, items.len());
            return Err(ApiError::too_large(text));
        }
        let bytes = total_bytes(items);
        if bytes > self.max_bytes {
            let text = format!("expected {field} of at most {} bytes, found {bytes}", self.max_bytes);
            return Err(ApiError::too_large(text));
        }
        Ok(())
    }
}

/// The bytes of all items.
fn total_bytes(items: &[Bytes]) -> usize {
    items.iter().map(Bytes::len).sum()
}

/// The items of a batch to publish, and the answer to the caller.
#[derive(Debug)]
pub struct Decision {
    /// The accepted items, to be published.
    pub request: Request,
    pub request_id: RequestId,
    /// The number of accepted items.
    pub accepted: usize,
    /// The approximate memory in bytes that `request` takes while it waits for the broker.
    pub bytes: usize,
    pub rejections: Vec<Rejection>,
}

/// How old a request id may be. The ledger keeps request ids for longer, so it always recognizes a retry.
const MAX_REQUEST_AGE: Duration = Duration::from_hours(7 * 24);
/// How far a request id may be ahead of our clock.
const MAX_REQUEST_AHEAD: Duration = Duration::from_hours(1);

/// Reads the id of a request, or generates one if the caller gave none, and starts the request to be published.
fn start(tenant: TenantId, request_id: &str, now: Timestamp) -> Result<(RequestId, Request), ApiError> {
    let id = read_request_id(request_id, now)?;
    let request = Request {
        tenant_id: Bytes::copy_from_slice(tenant.0.as_bytes()),
        request_id: Bytes::copy_from_slice(id.0.as_bytes()),
        ..Request::default()
    };
    Ok((id, request))
}

fn read_request_id(text: &str, now: Timestamp) -> Result<RequestId, ApiError> {
    if text.is_empty() {
        return Ok(RequestId::generate());
    }
    let wrong = |description: String| Err(ApiError::field(Reason::InvalidField, "request_id", description));
    let Some(id) = RequestId::parse(text) else {
        return wrong("expected a UUID of version 7, such as 018f3a5e-7b2c-7def-8123-456789abcdef".into());
    };
    let time = id.timestamp();
    let (oldest, newest) = (now.minus(MAX_REQUEST_AGE), now.plus(MAX_REQUEST_AHEAD));
    if !(oldest..=newest).contains(&time) {
        return wrong(format!("expected an id with a time from {oldest} to {newest}, found {time}"));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    pub const LIMITS: Limits = Limits {
        batch: BatchLimits { max_items: 100, max_bytes: 10_000 },
        event: EventLimits {
            max_event_age: Duration::from_hours(400 * 24),
            max_event_ahead: Duration::from_hours(1),
            max_string_bytes: 1_024,
            max_attributes: 32,
        },
        flow: FlowLimits { max_age: Duration::from_hours(90 * 24), max_ahead: Duration::from_hours(1) },
    };

    pub fn request_at(seconds: u64) -> String {
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
        uuid::Uuid::new_v7(time).to_string()
    }

    fn message<T>(result: Result<T, ApiError>) -> String {
        match result {
            Ok(_) => "accepted".into(),
            Err(error) => tonic::Status::from(error).message().to_owned(),
        }
    }

    #[test]
    fn a_batch_has_size_limits() {
        let limits = BatchLimits { max_items: 3, max_bytes: 200 };
        let checked = |items: &[Bytes]| message(limits.check("events", items));
        assert_eq!(checked(&[]), "events: expected at least one item");
        assert_eq!(checked(&vec![Bytes::new(); 4]), "expected at most 3 events, found 4");
        let large = Bytes::from(vec![0; 201]);
        assert_eq!(checked(&[large]), "expected events of at most 200 bytes, found 201");
        assert_eq!(checked(&[Bytes::new()]), "accepted");
    }

    #[test]
    fn the_time_of_a_request_id_has_limits() {
        let read = |text: &str| message(read_request_id(text, NOW));
        assert!(read("nonsense").starts_with("request_id: expected a UUID of version 7"));
        for (seconds, accepted) in [
            (1_800_000_000 - 7 * 86_400, true),
            (1_800_000_000 - 7 * 86_400 - 1, false),
            (1_800_000_000 + 3_600, true),
            (1_800_000_000 + 3_601, false),
        ] {
            assert_eq!(read(&request_at(seconds)) == "accepted", accepted, "{seconds}");
        }
    }
}
