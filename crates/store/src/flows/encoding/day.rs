//! The counters of one flow on one day (UTC), by quarter-hour.

use std::collections::BTreeMap;

use flowmeter_core::flow::{Counter, Counters};

use super::base128;

/// The counters of those quarter-hours of a day that counted anything, by their number since midnight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FlowDay(BTreeMap<u8, Counters>);

impl FlowDay {
    /// The number of quarter-hours in a day.
    pub(crate) const QUARTERS: u8 = 96;

    /// Adds counters to a quarter-hour.
    ///
    /// # Panics
    ///
    /// If `quarter` is not less than [`FlowDay::QUARTERS`].
    pub(crate) fn add(&mut self, quarter: u8, counters: &Counters) {
        assert!(quarter < Self::QUARTERS, "a day has {} quarters, not {quarter}", Self::QUARTERS);
        if *counters != Counters::default() {
            self.0.entry(quarter).or_default().merge(counters);
        }
    }

    /// Adds the output of [`encode`](Self::encode). None, and nothing is added, if the bytes are malformed.
    pub(crate) fn add_encoded(&mut self, bytes: &[u8]) -> Option<()> {
        let mut found = [Counters::default(); Self::QUARTERS as usize];
        for_each_value(bytes, |quarter, index, value| found[usize::from(quarter)].add_at(index, value))?;
        (0..).zip(&found).for_each(|(quarter, counters)| self.add(quarter, counters));
        Some(())
    }

    /// The sum over all quarter-hours.
    pub(crate) fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.0.values().for_each(|counters| total.merge(counters));
        total
    }

    /// Encodes the day column by column; equal days have equal encodings. For each counter that is not 0 all
    /// day, in ascending order: its [`Counter::index`], then its values in all quarter-hours as base-128
    /// numbers. A run of zeros is written as a 0 and a byte with the length of the run.
    ///
    /// The columns are counters rather than quarter-hours, because most counters are 0 for all or most of the
    /// day.
    pub(crate) fn encode(&self) -> Vec<u8> {
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

/// Adds the quarter-hours of an encoded day to `sums`: quarter-hour `i` to `sums[places[i]]`, or nowhere if
/// its place is None. None if the bytes are malformed; some of them may then have been added.
///
/// # Panics
///
/// If a place is not an index of `sums`.
pub(crate) fn add_quarters(
    bytes: &[u8],
    places: &[Option<usize>; FlowDay::QUARTERS as usize],
    sums: &mut [Counters],
) -> Option<()> {
    for_each_value(bytes, |quarter, index, value| {
        if let Some(place) = places[usize::from(quarter)] {
            sums[place].add_at(index, value);
        }
    })
}

/// The first quarter-hour of an encoded day that counted anything. None if there is none, or if the bytes are
/// malformed.
pub(crate) fn first_quarter(bytes: &[u8]) -> Option<u8> {
    let mut first = FlowDay::QUARTERS;
    for_each_value(bytes, |quarter, _, _| first = first.min(quarter))?;
    (first < FlowDay::QUARTERS).then_some(first)
}

/// Decodes the output of [`FlowDay::encode`]: calls `found` with the quarter-hour, the index of the counter
/// and the value of every value that is not 0. Stops and returns None if the bytes are malformed.
fn for_each_value(mut bytes: &[u8], mut found: impl FnMut(u8, usize, i64)) -> Option<()> {
    let mut unread = 0..Counter::COUNT;
    while let Some(number) = base128::take(&mut bytes) {
        let index = unread.find(|index| *index == usize::from(number))?;
        let mut quarter = 0;
        while quarter < FlowDay::QUARTERS {
            let mut value = base128::read(&mut bytes)?;
            if value == 0 {
                let zeros = base128::take(&mut bytes)?;
                if !(1..FlowDay::QUARTERS).contains(&zeros) || zeros > FlowDay::QUARTERS - quarter {
                    return None;
                }
                quarter += zeros;
                if quarter == FlowDay::QUARTERS {
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
    use flowmeter_core::flow::Outcome;
    use proptest::prelude::*;

    fn counters(values: &[i64]) -> Counters {
        Counters::from_values(values).unwrap()
    }

    #[test]
    fn the_encoding_of_a_day_never_changes() {
        let mut day = FlowDay::default();
        day.add(95, &counters(&[1, 300]));
        day.add(0, &counters(&[7]));
        day.add(2, &counters(&[5, 0, 0, 9]));
        let bytes = [0, 7, 0, 1, 5, 0, 92, 1, 1, 0, 95, 0xac, 0x02, 3, 0, 2, 9, 0, 93];
        assert_eq!(day.encode(), bytes);
        assert_eq!(first_quarter(&bytes), Some(0));
        assert!(FlowDay::default().encode().is_empty());
        assert_eq!(first_quarter(&[]), None);
    }

    #[test]
    fn malformed_bytes_are_rejected() {
        let valid = [3, 0, 2, 9, 0, 93];
        assert_eq!(FlowDay::default().add_encoded(&valid), Some(()));
        assert_eq!(first_quarter(&valid), Some(2));
        for malformed in [
            // Shorter or longer than a day.
            &[3][..],
            &[3, 0],
            &[3, 0, 2],
            &[3, 0, 2, 9],
            &[3, 0, 2, 9, 0],
            &[3, 0, 2, 9, 0, 92],
            &[3, 0, 2, 9, 0, 94],
            &[3, 0, 2, 9, 0, 255],
            // A counter that does not exist, is repeated, or is out of order.
            &[18, 0, 2, 9, 0, 93],
            &[3, 0, 2, 9, 0, 93, 3, 0, 2, 9, 0, 93],
            &[3, 0, 2, 9, 0, 93, 2, 0, 2, 9, 0, 93],
            // Not the canonical encoding.
            &[3, 0, 96],
            &[3, 0, 1, 0, 1, 9, 0, 93],
            &[3, 0, 0, 9, 0, 95],
            &[3, 0, 2, 0x89, 0, 0, 93],
        ] {
            assert_eq!(FlowDay::default().add_encoded(malformed), None, "{malformed:?}");
            assert_eq!(first_quarter(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn a_day_of_maximal_counters_is_decoded_again() {
        let mut day = FlowDay::default();
        for quarter in 0..FlowDay::QUARTERS {
            day.add(quarter, &counters(&[i64::MAX; Counter::COUNT]));
        }
        let mut again = FlowDay::default();
        again.add_encoded(&day.encode()).unwrap();
        assert_eq!(again, day);
        assert_eq!(day.total().get(Counter::Requests(Outcome::Succeeded)), i64::MAX);
    }

    proptest! {
        #[test]
        fn adding_an_encoded_day_adds_its_counters(
            parts in prop::collection::vec((0..FlowDay::QUARTERS, prop::collection::vec(0_i64..400, Counter::COUNT)), 0..50),
            split in 0_usize..50,
        ) {
            let day = |parts: &[(u8, Vec<i64>)]| {
                let mut day = FlowDay::default();
                for (quarter, values) in parts {
                    day.add(*quarter, &counters(values));
                }
                day
            };
            let (kept, more) = parts.split_at(split.min(parts.len()));
            let mut sum = day(more);
            prop_assert_eq!(sum.add_encoded(&day(kept).encode()), Some(()));
            prop_assert_eq!(&sum, &day(&parts));
            let requests: i64 = parts.iter().map(|(_, values)| counters(values).requests()).sum();
            prop_assert_eq!(sum.total().requests(), requests);
        }

        #[test]
        fn quarter_hours_are_added_at_their_places(
            parts in prop::collection::vec((0..FlowDay::QUARTERS, prop::collection::vec(0_i64..400, Counter::COUNT)), 0..50),
            edge in 0..usize::from(FlowDay::QUARTERS),
        ) {
            let (mut day, mut expected) = (FlowDay::default(), [Counters::default(); 2]);
            for (quarter, values) in &parts {
                day.add(*quarter, &counters(values));
                // The last hour has no place.
                if *quarter < 92 {
                    expected[usize::from(usize::from(*quarter) >= edge)].merge(&counters(values));
                }
            }
            let places = std::array::from_fn(|quarter| (quarter < 92).then_some(usize::from(quarter >= edge)));
            let mut sums = [Counters::default(); 2];
            prop_assert_eq!(add_quarters(&day.encode(), &places, &mut sums), Some(()));
            prop_assert_eq!(sums, expected);
            prop_assert_eq!(first_quarter(&day.encode()), parts.iter().map(|(quarter, _)| *quarter).min());
        }

        #[test]
        fn any_bytes_are_a_canonical_day_or_malformed(bytes: Vec<u8>) {
            let mut day = FlowDay::default();
            if day.add_encoded(&bytes).is_some() {
                prop_assert_eq!(day.encode(), bytes);
            }
        }

        #[test]
        fn corrupted_bytes_are_a_canonical_day_or_malformed(
            parts in prop::collection::vec((0..FlowDay::QUARTERS, prop::collection::vec(0_i64..400, 1..4)), 1..9),
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut day = FlowDay::default();
            for (quarter, values) in &parts {
                day.add(*quarter, &counters(values));
            }
            let mut bytes = day.encode();
            for (place, byte) in damages {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            let mut again = FlowDay::default();
            if again.add_encoded(&bytes).is_some() {
                prop_assert_eq!(again.encode(), bytes);
            } else {
                prop_assert_ne!(day.encode(), bytes);
                prop_assert_eq!(again, FlowDay::default());
            }
        }
    }
}
