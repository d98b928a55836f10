//! One item as a batcher is given it: the room that it takes, and what it stands for.

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
    /// Those that are alike are added up, so it is encoded later.
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

    /// The bytes to set aside for it in its batch and in the buffer.
    pub(super) fn reserved_bytes(&self) -> usize {
        match self {
            Self::Usage(event) => event.len(),
            Self::FlowRequest(request) => flows::reserved_bytes(request),
            Self::Execution { reserved_bytes, .. } => *reserved_bytes,
        }
    }

    /// How many it stands for in [`Stats`](super::Stats).
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Usage(_) | Self::Execution { .. } => 1,
            Self::FlowRequest(request) => flows::count(request),
        }
    }

    /// The metrics that it adds to those of its batch.
    pub(super) fn metrics(&self) -> usize {
        match self {
            Self::Usage(_) | Self::FlowRequest(_) => 0,
            Self::Execution { metrics, .. } => *metrics,
        }
    }
}
