//! The buckets of many series on one day: what batches add to the series of one metric and label set.

use std::collections::BTreeMap;

use flowmeter_core::ids::SeriesId;
use flowmeter_core::timestamp::Timestamp;
use uuid::Uuid;

use super::number::{Input, put, put_counted};
use super::{Malformed, RollupDay};

/// The only format so far.
const SORTED: u8 = 1;

/// The buckets of series on one day, by series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SeriesDays(pub(crate) BTreeMap<SeriesId, RollupDay>);

impl SeriesDays {
    /// Encodes the series: their number, and for each the id and the buckets.
    pub(crate) fn encode(&self, day: Timestamp) -> Vec<u8> {
        let mut out = vec![SORTED];
        put(&mut out, self.0.len() as u64);
        for (series, buckets) in &self.0 {
            out.extend_from_slice(series.0.as_bytes());
            put_counted(&mut out, &buckets.encode(day));
        }
        out
    }

    /// Adds encoded series.
    pub(crate) fn add_encoded(&mut self, bytes: &[u8], day: Timestamp) -> Result<(), Malformed> {
        for_each_series(bytes, |series, buckets| self.0.entry(series).or_default().add_encoded(buckets, day))
    }
}

/// Calls `see` with the id and the encoded buckets of each series.
pub(crate) fn for_each_series<'a>(
    bytes: &'a [u8],
    mut see: impl FnMut(SeriesId, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut input = Input::new(bytes);
    if input.byte()? != SORTED {
        return Err(Malformed);
    }
    for _ in 0..input.number()? {
        let id = Uuid::from_slice(input.take(16)?).map_err(|_| Malformed)?;
        see(SeriesId(id), input.counted()?.rest())?;
    }
    if input.is_empty() { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::day::counted;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn series_are_read_as_written(entries in vec((0..9_u128, 0..1_440_u16, 1..1_000_i64), 0..40)) {
            let day = Timestamp::from_micros(0);
            let mut series = SeriesDays::default();
            for (id, minute, count) in entries {
                let id = SeriesId(Uuid::from_u128(id));
                series.0.entry(id).or_insert_with(|| RollupDay::new(false)).add(minute, &counted(count));
            }
            let bytes = series.encode(day);
            let mut read = SeriesDays::default();
            read.add_encoded(&bytes, day).unwrap();
            prop_assert_eq!(&read, &series);
            for end in 0..bytes.len() {
                prop_assert_eq!(SeriesDays::default().add_encoded(&bytes[..end], day), Err(Malformed));
            }
        }
    }
}
