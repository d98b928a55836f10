//! Batches events into requests and records them. Each request keeps its id when it is retried, until the
//! service has acknowledged it.

use flowmeter_proto::v1::{
    RecordUsageRequest, RecordUsageResponse, Rejection, UsageEvent,
    ingest_service_client::IngestServiceClient,
};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use crate::connection::{self, Authorized, Patience};

/// The contract allows 4 MiB of items in a request. This limit leaves room for their framing.
pub(crate) const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024 - 256 * 1024;

/// A request and the lines that its events come from.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) request: RecordUsageRequest,
    pub(crate) lines: Vec<u64>,
}

/// Batches events.
pub(crate) struct Batcher {
    max_events: usize,
    bytes: usize,
    lines: Vec<u64>,
    events: Vec<UsageEvent>,
}

impl Batcher {
    /// A batcher with a maximum number of events.
    pub(crate) fn new(max_events: usize) -> Self {
        Self { max_events, bytes: 0, lines: Vec::new(), events: Vec::new() }
    }

    /// Adds an event. Returns a batch when one is full.
    pub(crate) fn push(&mut self, line: u64, event: UsageEvent) -> Option<Batch> {
        let bytes = event.encoded_len();
        let full = self.events.len() >= self.max_events || self.bytes + bytes > MAX_BATCH_BYTES;
        let batch = if full { self.take() } else { None };
        self.bytes += bytes;
        self.lines.push(line);
        self.events.push(event);
        batch
    }

    /// Whether the batcher contains no events.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the current batch, even if it is not full. None if it is empty.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.events.is_empty() {
            return None;
        }
        self.bytes = 0;
        let request = RecordUsageRequest {
            events: std::mem::take(&mut self.events),
            request_id: Uuid::now_v7().to_string(),
            return_ids: false,
        };
        Some(Batch { request, lines: std::mem::take(&mut self.lines) })
    }
}

/// Records a request, and retries it while a retry can help and time is left. Reports each failure.
pub(crate) async fn deliver(
    client: IngestServiceClient<Authorized>,
    request: &RecordUsageRequest,
    patience: Patience,
    failed: impl Fn(&Status),
) -> Result<RecordUsageResponse, Status> {
    let call = || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { connection::within(patience.call, request, |request| client.record_usage(request)).await }
    };
    connection::repeat(patience.in_all, call, failed).await
}

/// Why an item was rejected, without its index in the request.
pub(crate) fn describe(rejection: &Rejection) -> String {
    let place = format!("[{}].", rejection.index);
    let mut text = rejection.reason.clone();
    for (at, violation) in rejection.field_violations.iter().enumerate() {
        let field = violation.field.split_once(&place).map_or(violation.field.as_str(), |(_, field)| field);
        let gap = if at == 0 { ": " } else { "; " };
        text.extend([gap, field, ": ", &violation.description]);
    }
    text
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::FieldViolation;

    use super::*;

    #[test]
    fn batches_are_limited_in_events_and_bytes() {
        let mut batcher = Batcher::new(2);
        assert!(batcher.take().is_none());
        assert!(batcher.push(1, UsageEvent::default()).is_none());
        assert!(batcher.push(2, UsageEvent::default()).is_none());
        let batch = batcher.push(3, UsageEvent::default()).unwrap();
        assert_eq!(batch.lines, [1, 2]);
        assert_eq!(batch.request.request_id.len(), 36);

        let mut batcher = Batcher::new(10_000);
        let large = UsageEvent { detail: "x".repeat(1 << 20), ..UsageEvent::default() };
        let full: Vec<_> = (0..9).filter_map(|line| batcher.push(line, large.clone())).collect();
        assert_eq!(full.iter().map(|batch| batch.lines.len()).collect::<Vec<_>>(), [3, 3]);
        assert!(full.iter().all(|batch| batch.request.encoded_len() < 4 << 20));
    }

    #[test]
    fn rejections_are_described_without_their_index() {
        let violation = |field: &str, description: &str| FieldViolation {
            field: field.into(),
            description: description.into(),
        };
        let rejection = Rejection {
            index: 3,
            reason: "INVALID_FIELD".into(),
            field_violations: vec![
                violation("events[3].timestamp", "is too old"),
                violation("events[3].user", "is too long"),
            ],
        };
        assert_eq!(describe(&rejection), "INVALID_FIELD: timestamp: is too old; user: is too long");
    }
}
