//! Stored usage events, in segments: appending, finding, listing and settling them.

mod append;
mod keys;
mod list;
mod pending;
pub(crate) mod scan;
mod settle;
mod stored;
mod values;

pub use flowmeter_segment::Event;

pub(crate) use append::{NewSegments, append_segments};
pub(crate) use keys::{EventKey, insert_keys, insert_missing_keys};
pub use list::{
    EventPage, EventPosition, EventSelection, ListedEvent, OrderBy, OrderKey, SortKey, count_events,
    get_event, list_events,
};
pub(crate) use pending::{PendingEvents, pending_backfill};
pub use settle::{Settled, Settler};
pub(crate) use stored::{SettledWeeks, stored_events};
pub use values::{FieldValue, FieldValuesQuery, list_field_values};

#[cfg(test)]
mod tests;
