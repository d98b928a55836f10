//! The format of a message: an envelope of whole requests, and headers with the time at which the message was
//! enqueued and the trace that it belongs to.

use bytes::Bytes;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, Request};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use prost::Message;
use tokio::sync::OwnedSemaphorePermit;

/// The W3C `traceparent` of the span that a message belongs to.
pub type TraceContext = Option<String>;

/// An accepted request on its way to the queue.
#[derive(Debug)]
pub struct Accepted {
    /// The request.
    pub request: Request,
    /// The trace of its sender.
    pub trace: TraceContext,
    /// Its share of the memory for waiting requests. The share is free again when the request is confirmed,
    /// rejected or dropped, and not already when its sender stops waiting.
    pub room: OwnedSemaphorePermit,
}

const CONTENT_TYPE: &str = "application/x-protobuf; messageType=flowmeter.queue.v1.Envelope";
const ENQUEUED_AT: &str = "x-flowmeter-enqueued-at";
const TRACEPARENT: &str = "traceparent";
/// The broker writes the message to disk before it confirms it.
const PERSISTENT: u8 = 2;

pub(crate) fn encode(requests: Vec<Request>) -> Vec<u8> {
    Envelope { requests }.encode_to_vec()
}

pub(crate) fn decode(data: Bytes) -> Result<Envelope, prost::DecodeError> {
    Envelope::decode(data)
}

pub(crate) fn properties(enqueued_at: Option<Timestamp>, trace: TraceContext) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(enqueued_at) = enqueued_at {
        headers.insert(ENQUEUED_AT.into(), AMQPValue::LongLongInt(enqueued_at.micros()));
    }
    if let Some(trace) = trace {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(trace.into()));
    }
    BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

/// When a message was enqueued, by the clock of the ingest service. None if the message does not say.
pub(crate) fn enqueued_at(properties: &BasicProperties) -> Option<Timestamp> {
    match properties.headers().as_ref()?.inner().get(ENQUEUED_AT)? {
        AMQPValue::LongLongInt(micros) => Some(Timestamp::from_micros(*micros)),
        _ => None,
    }
}

pub(crate) fn trace(properties: &BasicProperties) -> TraceContext {
    match properties.headers().as_ref()?.inner().get(TRACEPARENT)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}
