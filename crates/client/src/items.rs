//! The encoded items of a batch.

use bytes::Bytes;
use prost::Message;

/// The kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Usage,
    FlowRequests,
    Executions,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Usage, Self::FlowRequests, Self::Executions];

    /// The feature of services that support items of this kind. None if all services do.
    pub(crate) const fn feature(self) -> Option<&'static str> {
        match self {
            Self::Usage | Self::FlowRequests => None,
            Self::Executions => Some("executions"),
        }
    }
}

/// Items of one kind, encoded once for all retries.
#[derive(Debug, Clone)]
pub(crate) struct Items {
    pub(crate) kind: Kind,
    pub(crate) encoded: Vec<Bytes>,
}

impl Items {
    pub(crate) fn encode<M: Message>(kind: Kind, items: &[M]) -> Self {
        Self { kind, encoded: encode(items) }
    }
}

pub(crate) fn encode<M: Message>(items: &[M]) -> Vec<Bytes> {
    items.iter().map(|item| item.encode_to_vec().into()).collect()
}
