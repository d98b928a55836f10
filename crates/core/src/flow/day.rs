//! The counters of a flow and a day (UTC) by quarters of an hour.

use std::collections::BTreeMap;

use super::{Counter, Counters, base128};

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
        if *counters != Counters::default() {
            self.0.entry(quarter).or_default().merge(counters);
        }
    }

    /// Adds what [`to_bytes`](Self::to_bytes) has written. None, and nothing is added, if it is something else.
    #[must_use]
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let mut found = [Counters::default(); Self::QUARTERS as usize];
        for_each_value(bytes, |quarter, index, value| found[usize::from(quarter)].add_at(index, value))?;
        (0..).zip(&found).for_each(|(quarter, counters)| self.add(quarter, counters));
        Some(())
    }

    /// All quarters together.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.0.values().for_each(|counters| total.merge(counters));
        total
    }

    /// The form in which the store keeps them, one for each content: of each counter that is not 0 all day, in
    /// ascending order, its [`Counter::index`] and its values in all quarters, as base-128 numbers like those of
    /// [`Counters::to_bytes`]. Zeros, however many follow one another, are a 0 and a byte that says how many.
    ///
    /// By counters and not by quarters, because most are 0 all day or most of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 * self.0.len());
        for (index, number) in (0..Counter::COUNT).zip(0..) {
            let values = self.0.iter().map(|(quarter, counters)| (*quarter, counters.values()[index]));
            let mut values = values.filter(|(_, value)| *value != 0).peekable();
            if values.peek().is_none() {
                continue;
            }
            bytes.push(number);
            let mut written = 0;
            for (quarter, value) in values {
                write_zeros(quarter - written, &mut bytes);
                base128::write(value, &mut bytes);
                written = quarter + 1;
            }
            write_zeros(Self::QUARTERS - written, &mut bytes);
        }
        bytes
    }
}

fn write_zeros(count: u8, bytes: &mut Vec<u8>) {
    if count > 0 {
        bytes.extend([0, count]);
    }
}

/// Adds the quarters that [`Day::to_bytes`] has written to sums: each to the one in its place, if it has a place. None
/// if it is something else, of which some may have been added.
///
/// # Panics
///
/// If there is no sum in a place.
#[must_use]
pub fn add_quarters(
    bytes: &[u8],
    places: &[Option<usize>; Day::QUARTERS as usize],
    sums: &mut [Counters],
) -> Option<()> {
    for_each_value(bytes, |quarter, index, value| {
        if let Some(place) = places[usize::from(quarter)] {
            sums[place].add_at(index, value);
        }
    })
}

/// The first quarter that has anything, of those that [`Day::to_bytes`] has written. None if there is none, or they are
/// something else.
#[must_use]
pub fn first_quarter(bytes: &[u8]) -> Option<u8> {
    let mut first = Day::QUARTERS;
    for_each_value(bytes, |quarter, _, _| first = first.min(quarter))?;
    (first < Day::QUARTERS).then_some(first)
}

/// Calls with what [`Day::to_bytes`] has written: the quarter of every value that is not 0, the index of its counter
/// and the value. None, and then no more, where it is something else.
fn for_each_value(mut bytes: &[u8], mut found: impl FnMut(u8, usize, i64)) -> Option<()> {
    let mut unread = 0..Counter::COUNT;
    while let Some(number) = base128::take(&mut bytes) {
        let index = unread.find(|index| *index == usize::from(number))?;
        let mut quarter = 0;
        while quarter < Day::QUARTERS {
            let mut value = base128::read(&mut bytes)?;
            if value == 0 {
                let zeros = base128::take(&mut bytes)?;
                if !(1..Day::QUARTERS).contains(&zeros) || zeros > Day::QUARTERS - quarter {
                    return None;
                }
                quarter += zeros;
                if quarter == Day::QUARTERS {
                    break;
                }
                value = base128::read(&mut bytes).filter(|value| *value != 0)?;
            }
            found(quarter, index, value);
            quarter += 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Outcome;
    use proptest::prelude::*;

    fn counters(values: &[i64]) -> Counters {
        Counters::from_values(values).unwrap()
    }

    #[test]
    fn what_is_kept_never_changes_between_releases() {
        let mut day = Day::default();
        day.add(95, &counters(&[1, 300]));
        day.add(0, &counters(&[7]));
        day.add(2, &counters(&[5, 0, 0, 9]));
        let bytes = [0, 7, 0, 1, 5, 0, 92, 1, 1, 0, 95, 0xac, 0x02, 3, 0, 2, 9, 0, 93];
        assert_eq!(day.to_bytes(), bytes);
        assert_eq!(first_quarter(&bytes), Some(0));
        assert!(Day::default().to_bytes().is_empty());
        assert_eq!(first_quarter(&[]), None);
    }

    #[test]
    fn other_bytes_are_told() {
        let right = [3, 0, 2, 9, 0, 93];
        assert_eq!(Day::default().add_bytes(&right), Some(()));
        assert_eq!(first_quarter(&right), Some(2));
        for wrong in [
            // Less than a day, or more.
            &[3][..],
            &[3, 0],
            &[3, 0, 2],
            &[3, 0, 2, 9],
            &[3, 0, 2, 9, 0],
            &[3, 0, 2, 9, 0, 92],
            &[3, 0, 2, 9, 0, 94],
            &[3, 0, 2, 9, 0, 255],
            // A counter that does not exist, twice, or in the wrong order.
            &[18, 0, 2, 9, 0, 93],
            &[3, 0, 2, 9, 0, 93, 3, 0, 2, 9, 0, 93],
            &[3, 0, 2, 9, 0, 93, 2, 0, 2, 9, 0, 93],
            // What has another form.
            &[3, 0, 96],
            &[3, 0, 1, 0, 1, 9, 0, 93],
            &[3, 0, 0, 9, 0, 95],
            &[3, 0, 2, 0x89, 0, 0, 93],
        ] {
            assert_eq!(Day::default().add_bytes(wrong), None, "{wrong:?}");
            assert_eq!(first_quarter(wrong), None, "{wrong:?}");
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
        fn quarters_are_added_in_their_places(
            parts in prop::collection::vec((0..Day::QUARTERS, prop::collection::vec(0_i64..400, Counter::COUNT)), 0..50),
            edge in 0..usize::from(Day::QUARTERS),
        ) {
            let (mut day, mut expected) = (Day::default(), [Counters::default(); 2]);
            for (quarter, values) in &parts {
                day.add(*quarter, &counters(values));
                // In the last hour nothing is asked for.
                if *quarter < 92 {
                    expected[usize::from(usize::from(*quarter) >= edge)].merge(&counters(values));
                }
            }
            let places = std::array::from_fn(|quarter| (quarter < 92).then_some(usize::from(quarter >= edge)));
            let mut sums = [Counters::default(); 2];
            prop_assert_eq!(add_quarters(&day.to_bytes(), &places, &mut sums), Some(()));
            prop_assert_eq!(sums, expected);
            prop_assert_eq!(first_quarter(&day.to_bytes()), parts.iter().map(|(quarter, _)| *quarter).min());
        }

        #[test]
        fn any_bytes_are_a_day_or_none(bytes: Vec<u8>) {
            let mut day = Day::default();
            if day.add_bytes(&bytes).is_some() {
                prop_assert_eq!(day.to_bytes(), bytes);
            }
        }

        #[test]
        fn damaged_bytes_are_another_day_or_none(
            parts in prop::collection::vec((0..Day::QUARTERS, prop::collection::vec(0_i64..400, 1..4)), 1..9),
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut day = Day::default();
            for (quarter, values) in &parts {
                day.add(*quarter, &counters(values));
            }
            let mut bytes = day.to_bytes();
            for (place, byte) in damages {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            let mut again = Day::default();
            if again.add_bytes(&bytes).is_some() {
                prop_assert_eq!(again.to_bytes(), bytes);
            } else {
                prop_assert_ne!(day.to_bytes(), bytes);
                prop_assert_eq!(again, Day::default());
            }
        }
    }
}
