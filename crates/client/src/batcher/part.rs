//! What goes into one request: a batch or, where the service takes no batch so large, a part of it.

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::flows;
use super::settings::IncidentItems;
use crate::client::Items;
use crate::error::Error;

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
        match &self.items {
            Items::Usage(events) => events.len() as u64,
            Items::FlowRequests(_) => self.all().count(),
        }
    }

    /// All of its items, as they were given.
    pub(super) fn all(&self) -> IncidentItems {
        self.at(0..self.items.len())
    }

    /// The items at these places, as they were given.
    pub(super) fn at(&self, places: impl Iterator<Item = usize>) -> IncidentItems {
        fn at<M: Message + Default>(items: &[Bytes], places: impl Iterator<Item = usize>) -> Vec<M> {
            let items = places.filter_map(|place| items.get(place));
            items.map(|item| M::decode(item.clone()).expect("it was encoded here")).collect()
        }
        match &self.items {
            Items::Usage(items) => IncidentItems::Usage(at(items, places)),
            Items::FlowRequests(items) => IncidentItems::FlowRequests(at(items, places)),
        }
    }

    /// Both halves, as requests of their own, if it failed because it is too large.
    ///
    /// Only where that was the answer to the first attempt: then nothing of it was recorded. An earlier attempt,
    /// perhaps at a service with other limits, may have been without an answer, and under other ids its items would
    /// count twice.
    pub(super) fn halves(&self, error: &Error) -> Option<[Self; 2]> {
        let half = self.items.len() / 2;
        if !error.is_too_large() || error.attempts() > 1 || half == 0 {
            return None;
        }
        let halves = |items: &[Bytes]| (items[..half].to_vec(), items[half..].to_vec());
        Some(match &self.items {
            Items::Usage(items) => {
                let (first, second) = halves(items);
                [Items::Usage(first), Items::Usage(second)].map(Self::new)
            }
            Items::FlowRequests(items) => {
                let (first, second) = halves(items);
                [Items::FlowRequests(first), Items::FlowRequests(second)].map(Self::new)
            }
        })
    }
}

impl IncidentItems {
    /// How many they stand for.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Usage(events) => events.len() as u64,
            Self::FlowRequests(requests) => requests.iter().map(flows::count).sum(),
        }
    }
}
