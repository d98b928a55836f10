//! Segments: the events of one tenant and one span of time, kept column by column.
//!
//! A segment has one column for each field of an event ([`Column`]). Each column is encoded by itself, so a
//! reader fetches and decodes only the columns that its question needs. [`SegmentWriter`] turns events into a
//! [`Segment`], [`SegmentReader`] gives them back exactly as they were, and [`select()`] evaluates a filter on the
//! encoded columns: once for each distinct text rather than once for each event.
//!
//! This crate is pure: it knows nothing of PostgreSQL, of the wire format, or of how segments are merged. Nothing in
//! here panics on damaged bytes; reading them gives [`Corrupt`].
//!
//! # Format
//!
//! The first byte of a column says how the rest is encoded. An empty column means that no event has the field. The
//! number of events is not part of the bytes: whoever keeps the segment keeps it.
//!
//! | column | encodings |
//! | --- | --- |
//! | times | microseconds, each as the difference from the one before |
//! | ids | what tells events of one time apart, relative to the request that they came from |
//! | text | one value for all, a dictionary and packed codes, plain texts, or hexadecimal digits in one shape |
//! | numbers | integers, and where some are absent a bitmap of those that are there |
//! | values | integers of the coarsest decimal scale that keeps all of them exact, else 128 bits each |
//! | attributes | a column of text for each frequent name, and one of pairs for the other names |

mod attributes;
mod bitmap;
mod bytes;
mod codes;
mod column;
mod hex;
mod ids;
mod integers;
mod labels;
mod merge;
mod numbers;
mod read;
mod select;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use bitmap::Bitmap;
pub use bytes::Corrupt;
pub use column::Column;
pub use labels::Labels;
pub use merge::merge;
pub use numbers::{Measured, Numbers};
pub use read::{Event, Ids, SegmentReader};
pub use select::{matching, search, select};
pub use write::{Segment, SegmentWriter};

/// The most events that a segment can have. It bounds the memory that decoding a column can take.
pub const MAX_EVENTS: usize = 1 << 18;
