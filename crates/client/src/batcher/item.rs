//! An item of a batcher: its kind, its size, and the number of events or requests that it stands for.

use bytes::Bytes;
use flowmeter_proto::v1::{ExecutionReport, FlowRequest, UsageEvent};
use prost::Message;

use super::executions;
use super::flows;
use crate::items::Kind;

#[derive(Debug)]
pub(super) enum Item {
    /// Encoded.
    Usage(Bytes),
    /// Encoded later, because similar requests are merged.
    FlowRequest(FlowRequest),
    /// Encoded.
    Execution { report: Bytes, metrics: usize, reserved_bytes: usize },
}

impl Item {
    pub(super) fn usage(event: &UsageEvent) -> Self {
        Self::Usage(event.encode_to_vec().into())
    }

    pub(super) fn execution(report: &ExecutionReport) -> Self {
        Self::Execution {
            report: report.encode_to_vec().into(),
            metrics: report.metrics.len(),
            reserved_bytes: executions::reserved_bytes(report),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Usage(_) => Kind::Usage,
            Self::FlowRequest(_) => Kind::FlowRequests,
            Self::Execution { .. } => Kind::Executions,
        }
    }

    /// The bytes to reserve in the batch and in the buffer.
    pub(super) fn reserved_bytes(&self) -> usize {
        match self {
            Self::Usage(event) => event.len(),
            Self::FlowRequest(request) => flows::reserved_bytes(request),
            Self::Execution { reserved_bytes, .. } => *reserved_bytes,
        }
    }

    /// The number of items that it counts as in [`Stats`](super::Stats).
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Usage(_) | Self::Execution { .. } => 1,
            Self::FlowRequest(request) => flows::count(request),
        }
    }

    /// The number of metrics that it adds to its batch.
    pub(super) fn metrics(&self) -> usize {
        match self {
            Self::Usage(_) | Self::FlowRequest(_) => 0,
            Self::Execution { metrics, .. } => *metrics,
        }
    }
}
