//! The byte formats of roll-ups: the buckets of a series on one day, and such days of many series.

mod day;
mod number;
mod series;

pub(crate) use day::{Part, RollupDay};
pub(crate) use series::{SeriesDays, for_each_series};

use crate::StoreError;

/// Bytes that are not what this module wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for StoreError {
    fn from(Malformed: Malformed) -> Self {
        Self::Refused("a stored roll-up is malformed".to_owned())
    }
}
