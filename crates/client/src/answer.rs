//! What became of what was reported, as the service answered.

use bytes::Bytes;
use flowmeter_proto::raw;
use flowmeter_proto::v1::{AssetMetric, FieldViolation, Rejection};
use prost::Message;
use prost_types::Timestamp;
use tonic::Status;
use uuid::Uuid;

/// What became of a batch that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The id of the request. A question that names it as `after_request_id` is answered with it in.
    pub request_id: Uuid,
    /// The number of items that were accepted.
    pub accepted_count: usize,
    /// The items that were not accepted, and why, by ascending index. They are wrong for good.
    pub rejections: Vec<Rejection>,
}

/// Metrics of an asset that were accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// The id of the request. A question that names it as `after_request_id` is answered with it in.
    pub request_id: Uuid,
    /// The time of the metrics.
    pub timestamp: Timestamp,
    /// The metrics, with what their values were taken for.
    pub metrics: Vec<AssetMetric>,
}

/// What became of a batch of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedBatch {
    /// The id of the request. A question that names it as `after_request_id` is answered with it in.
    pub request_id: Uuid,
    /// The time of the documents that gave none.
    pub timestamp: Timestamp,
    /// The number of metrics that were accepted.
    pub accepted_count: usize,
    /// The documents that were not accepted, and why, by ascending index. They are wrong for good.
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

/// Decodes a part of an answer. One that cannot be decoded is INTERNAL, as for tonic.
fn read<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("the answer cannot be decoded: {error}")))
}
