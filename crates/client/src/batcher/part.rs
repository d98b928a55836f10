//! What goes into one request: a batch or, where the service takes no batch so large, a part of it.

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::flows;
use super::settings::IncidentItems;
use crate::error::Error;
use crate::items::{Items, Kind};

/// Items and the request in which they are sent.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) items: Items,
    pub(super) request_id: Uuid,
}

impl Part {
    /// Items that were never sent. The id is made now and not before, because the service takes ids of the last 7
    /// days.
    pub(super) fn new(items: Items) -> Self {
        Self { items, request_id: Uuid::now_v7() }
    }

    /// How many it stands for in [`Stats`](super::Stats).
    pub(super) fn count(&self) -> u64 {
        match self.items.kind {
            Kind::Usage | Kind::Executions => self.items.encoded.len() as u64,
            Kind::FlowRequests => self.all().count(),
        }
    }

    /// All of its items, as they were given.
    pub(super) fn all(&self) -> IncidentItems {
        self.at(0..self.items.encoded.len())
    }

    /// The items at these places, as they were given.
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

    /// Both halves, as requests of their own, if it failed because it is too large.
    ///
    /// Only where that was the answer to the first attempt: then nothing of it was recorded. An earlier attempt,
    /// perhaps at a service with other limits, may have been without an answer, and under other ids its items would
    /// count twice.
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
    /// How many they stand for.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Usage(events) => events.len() as u64,
            Self::FlowRequests(requests) => requests.iter().map(flows::count).sum(),
            Self::Executions(reports) => reports.len() as u64,
        }
    }
}
