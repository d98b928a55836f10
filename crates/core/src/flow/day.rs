//! The counters of a flow and a day (UTC) by quarters of an hour.

use std::collections::BTreeMap;

use super::Counters;

/// The counters of the quarters of an hour of a day that have any, by their numbers since midnight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Day(BTreeMap<u8, Counters>);

impl Day {
    /// The quarters of an hour of a day.
    pub const QUARTERS: u8 = 96;

    /// Adds to a quarter.
    ///
    /// # Panics
    ///
    /// If `quarter` is not less than [`Day::QUARTERS`].
    pub fn add(&mut self, quarter: u8, counters: &Counters) {
        assert!(quarter < Self::QUARTERS, "a day has {} quarters, not {quarter}", Self::QUARTERS);
        self.0.entry(quarter).or_default().merge(counters);
    }

    /// Adds what [`to_bytes`](Self::to_bytes) has written. None if it is something else.
    #[must_use]
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        quarters(bytes).try_for_each(|found| {
            let (quarter, counters) = found?;
            self.0.entry(quarter).or_default().add_bytes(counters)
        })
    }

    /// All quarters together.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.0.values().for_each(|counters| total.merge(counters));
        total
    }

    /// The form in which the store keeps them: of each quarter its number, how many bytes its counters take, and
    /// these.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 32);
        for (quarter, counters) in &self.0 {
            bytes.extend([*quarter, 0]);
            let begin = bytes.len();
            counters.write_bytes(&mut bytes);
            bytes[begin - 1] = u8::try_from(bytes.len() - begin).expect("18 numbers of 9 bytes are 162");
        }
        bytes
    }
}

/// The quarters that [`Day::to_bytes`] has written, each with the bytes of its [`Counters`]. None, and then nothing
/// more, where it is something else.
pub fn quarters(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    std::iter::from_fn(move || {
        let found = match *bytes {
            [] => return None,
            [quarter, length, ref rest @ ..] if quarter < Day::QUARTERS => {
                rest.split_at_checked(length.into())
            }
            _ => None,
        };
        let quarter = bytes[0];
        bytes = found.map_or(&[], |(_, rest)| rest);
        Some(found.map(|(counters, _)| (quarter, counters)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Counter, Outcome};
    use proptest::prelude::*;

    fn counters(values: &[i64]) -> Counters {
        Counters::from_values(values).unwrap()
    }

    #[test]
    fn what_is_kept_never_changes_between_releases() {
        let mut day = Day::default();
        day.add(95, &counters(&[1, 300]));
        day.add(0, &counters(&[7]));
        assert_eq!(day.to_bytes(), [0, 1, 7, 95, 3, 1, 0xac, 0x02]);
        assert!(Day::default().to_bytes().is_empty());
    }

    #[test]
    fn other_bytes_are_told() {
        for wrong in [&[0][..], &[96, 1, 7], &[0, 2, 7], &[0, 1, 0x80], &[0, 1, 7, 5]] {
            assert_eq!(Day::default().add_bytes(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_full_day_is_read_again() {
        let mut day = Day::default();
        for quarter in 0..Day::QUARTERS {
            day.add(quarter, &counters(&[i64::MAX; Counter::COUNT]));
        }
        let mut again = Day::default();
        again.add_bytes(&day.to_bytes()).unwrap();
        assert_eq!(again, day);
        assert_eq!(day.total().get(Counter::Requests(Outcome::Succeeded)), i64::MAX);
    }

    proptest! {
        #[test]
        fn adding_bytes_is_adding_what_they_say(
            parts in prop::collection::vec((0..Day::QUARTERS, prop::collection::vec(0_i64..400, Counter::COUNT)), 0..50),
            split in 0_usize..50,
        ) {
            let day = |parts: &[(u8, Vec<i64>)]| {
                let mut day = Day::default();
                for (quarter, values) in parts {
                    day.add(*quarter, &counters(values));
                }
                day
            };
            let (kept, more) = parts.split_at(split.min(parts.len()));
            let mut sum = day(more);
            prop_assert_eq!(sum.add_bytes(&day(kept).to_bytes()), Some(()));
            prop_assert_eq!(&sum, &day(&parts));
            let requests: i64 = parts.iter().map(|(_, values)| counters(values).requests()).sum();
            prop_assert_eq!(sum.total().requests(), requests);
        }

        #[test]
        fn any_bytes_are_a_day_or_none(bytes: Vec<u8>) {
            let mut day = Day::default();
            if day.add_bytes(&bytes).is_some() {
                let mut again = Day::default();
                prop_assert_eq!(again.add_bytes(&day.to_bytes()), Some(()));
                prop_assert_eq!(again, day);
            }
        }
    }
}
