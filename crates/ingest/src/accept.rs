//! Decides what of a batch is accepted, and gives it its ids. Pure: the same batch at
//! the same time always gives the same answer.

pub mod assets;
pub mod executions;
pub mod flows;
mod rejections;
pub mod usage;

use std::time::Duration;

use bytes::Bytes;
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::Request;
use flowmeter_proto::raw::Rejection;
use flowmeter_service::error::{ApiError, Reason};

/// How large a batch may be.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub max_items: usize,
    pub max_bytes: usize,
}

impl BatchLimits {
    /// Checks a batch of what is called `field` in its request.
    pub fn check(&self, field: &str, items: &[Bytes]) -> Result<(), ApiError> {
        if items.is_empty() {
            let text = format!("expected one of the {field} at least");
            return Err(ApiError::field(Reason::InvalidField, field, text));
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

/// The bytes of a batch.
pub fn total_bytes(items: &[Bytes]) -> usize {
    items.iter().map(Bytes::len).sum()
}

/// What became of a batch, and what is to be queued of it.
#[derive(Debug)]
pub struct Decision {
    pub request: Request,
    pub request_id: RequestId,
    pub accepted: usize,
    /// The memory that it takes while it waits for the broker, about.
    pub bytes: usize,
    pub rejections: Vec<Rejection>,
}

/// How old a request id may be. The ledger remembers requests for longer, so that a
/// repetition is always found there.
const MAX_REQUEST_AGE: Duration = Duration::from_hours(7 * 24);
/// How far ahead of our clock a request id may be.
const MAX_REQUEST_AHEAD: Duration = Duration::from_hours(1);

/// Reads the id of a request, or makes one.
fn request_id(text: &str, now: Timestamp) -> Result<RequestId, ApiError> {
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
        return wrong(format!("expected an id made between {oldest} and {newest}, found one of {time}"));
    }
    Ok(id)
}

/// The request to be queued, with nothing in it yet.
fn empty_request(tenant: TenantId, id: RequestId) -> Request {
    Request {
        tenant_id: Bytes::copy_from_slice(tenant.0.as_bytes()),
        request_id: Bytes::copy_from_slice(id.0.as_bytes()),
        ..Request::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

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
    fn batches_have_limits() {
        let limits = BatchLimits { max_items: 3, max_bytes: 200 };
        let checked = |items: &[Bytes]| message(limits.check("events", items));
        assert_eq!(checked(&[]), "events: expected one of the events at least");
        assert_eq!(checked(&vec![Bytes::new(); 4]), "expected at most 3 events, found 4");
        let large = Bytes::from(vec![0; 201]);
        assert_eq!(checked(&[large]), "expected events of at most 200 bytes, found 201");
        assert_eq!(checked(&[Bytes::new()]), "accepted");
    }

    #[test]
    fn a_request_id_is_of_our_time() {
        let read = |text: &str| message(request_id(text, NOW));
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
