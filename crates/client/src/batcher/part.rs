//! The items of one request: a batch or, if the batch is too large for the service, a part of it.

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::flows;
use super::settings::IncidentItems;
use crate::error::Error;
use crate::items::{Items, Kind};

/// Items and the id of the request in which they are sent.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) items: Items,
    pub(super) request_id: Uuid,
}

impl Part {
    /// Items that were not sent yet. The id is generated now, because the service accepts ids of the last 7 days.
    pub(super) fn new(items: Items) -> Self {
        Self { items, request_id: Uuid::now_v7() }
    }

    /// The number of items that it counts as in [`Stats`](super::Stats).
    pub(super) fn count(&self) -> u64 {
        match self.items.kind {
            Kind::Usage | Kind::Executions => self.items.encoded.len() as u64,
            Kind::FlowRequests => self.all().count(),
        }
    }

    /// All items, decoded.
    pub(super) fn all(&self) -> IncidentItems {
        self.at(0..self.items.encoded.len())
    }

    /// The items at these positions, decoded.
    pub(super) fn at(&self, places: impl Iterator<Item = usize>) -> IncidentItems {
        fn at<M: Message + Default>(items: &[Bytes], places: impl Iterator<Item = usize>) -> Vec<M> {
            let items = places.filter_map(|place| items.get(place));
            items.map(|item| M::decode(item.clone()).expect("it was encoded here")).collect()
        }
        let Items { kind, encoded } = &self.items;
        match kind {
            Kind::Usage => IncidentItems::Usage(at(encoded, places)),
            Kind::FlowRequests => IncidentItems::FlowRequests(at(encoded, places)),
            Kind::Executions => IncidentItems::Executions(at(encoded, places)),
        }
    }

    /// Both halves as new requests, if the request failed because it was too large.
    ///
    /// None unless the first attempt failed for that reason, because then nothing was recorded. If an earlier attempt had
    /// no answer, the service may have recorded it, and the items would count twice under the new ids.
    pub(super) fn halves(&self, error: &Error) -> Option<[Self; 2]> {
        let Items { kind, encoded } = &self.items;
        let (first, second) = encoded.split_at(encoded.len() / 2);
        if !error.is_too_large() || error.attempts() > 1 || first.is_empty() {
            return None;
        }
        Some([first, second].map(|half| Self::new(Items { kind: *kind, encoded: half.to_vec() })))
    }
}

impl IncidentItems {
    /// The number of items that they count as.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Usage(events) => events.len() as u64,
            Self::FlowRequests(requests) => requests.iter().map(flows::count).sum(),
            Self::Executions(reports) => reports.len() as u64,
        }
    }
}
