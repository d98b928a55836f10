//! The results of calls, as the service returned them.

use bytes::Bytes;
use flowmeter_proto::prost_types::Timestamp;
use flowmeter_proto::raw;
use flowmeter_proto::v1::{AssetMetric, FieldViolation, Rejection};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

/// The result of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The id of the request. A query that passes it as `after_request_id` waits until the request is applied.
    pub request_id: Uuid,
    /// The number of accepted items.
    pub accepted_count: usize,
    /// The rejected items by ascending index. A retry of them would fail again.
    pub rejections: Vec<Rejection>,
}

/// The accepted metrics of an asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// The id of the request. A query that passes it as `after_request_id` waits until the request is applied.
    pub request_id: Uuid,
    /// The time of the metrics.
    pub timestamp: Timestamp,
    /// The metrics with the types of their values.
    pub metrics: Vec<AssetMetric>,
}

/// The result of a batch of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedBatch {
    /// The id of the request. A query that passes it as `after_request_id` waits until the request is applied.
    pub request_id: Uuid,
    /// The time of documents that were sent without a timestamp.
    pub timestamp: Timestamp,
    /// The number of accepted metrics.
    pub accepted_count: usize,
    /// The rejected documents by ascending index. A retry of them would fail again.
    pub rejections: Vec<Rejection>,
}

impl Recorded {
    pub(crate) fn new(request_id: Uuid, accepted_count: i32, rejections: Vec<raw::Rejection>) -> Self {
        Self { request_id, accepted_count: count(accepted_count), rejections: read_rejections(rejections) }
    }
}

impl Emitted {
    pub(crate) fn read(request_id: Uuid, answer: raw::EmitAssetMetricsResponse) -> Result<Self, Status> {
        Ok(Self {
            request_id,
            timestamp: read(answer.timestamp.unwrap_or_default())?,
            metrics: answer.metrics.into_iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

impl EmittedBatch {
    pub(crate) fn read(request_id: Uuid, answer: raw::BatchEmitAssetMetricsResponse) -> Result<Self, Status> {
        Ok(Self {
            request_id,
            timestamp: read(answer.timestamp.unwrap_or_default())?,
            accepted_count: count(answer.accepted_count),
            rejections: read_rejections(answer.rejections),
        })
    }
}

fn count(count: i32) -> usize {
    usize::try_from(count).unwrap_or_default()
}

fn read_rejections(rejections: Vec<raw::Rejection>) -> Vec<Rejection> {
    let violation = |raw::FieldViolation { field, description }| FieldViolation { field, description };
    let rejection = |rejection: raw::Rejection| Rejection {
        index: rejection.index,
        reason: rejection.reason,
        field_violations: rejection.field_violations.into_iter().map(violation).collect(),
    };
    rejections.into_iter().map(rejection).collect()
}

/// Decodes a part of an answer. If it cannot be decoded, the code is INTERNAL, as in tonic.
fn read<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("the answer cannot be decoded: {error}")))
}
