//! Label sets: what events say in the fields that tell kinds of calls apart, and that have few
//! combinations of values. Every event carries the number of its label set, also in the index of the
//! primary key, and a dictionary says what the numbers stand for. So a question for rare ones looks up
//! their numbers and reads the index alone, until it has found the events themselves. Weeks that have
//! ended have an index in which it meets no others.
//!
//! A number is a hash and may stand for two label sets, and 0 stands for all that are not in the
//! dictionary: it tells which events cannot be meant. What is found is always held against the
//! question itself.

mod index;
mod read;
mod write;

use flowmeter_core::usage::TextField;

pub use index::LabelSetIndexes;
pub(crate) use read::{PageStart, RareLabels, Reads, push_events, push_indexed_events, rare_labels};
pub(crate) use write::{LabelSets, Numbering};

/// The fields, of which the numbers are hashes in this order. The status is none of them: it says
/// how a call went, not which it was, and would multiply the combinations.
const FIELDS: [TextField; 7] = [
    TextField::Provider,
    TextField::Action,
    TextField::Application,
    TextField::Environment,
    TextField::Method,
    TextField::Service,
    TextField::Type,
];

#[cfg(test)]
mod tests;
