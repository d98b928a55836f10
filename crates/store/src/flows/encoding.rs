//! The byte formats in which the store keeps the counters of flows. They never change between releases: the
//! functions `flow_counters` and `flow_quarters` of the schema decode them in SQL.

mod base128;
mod day;

pub(super) use day::{FlowDay, add_quarters, first_quarter};

use flowmeter_core::flow::{Counter, Counters};

/// Encodes counters: the values in the order of [`Counter::index`] as base-128 numbers, without the zeros at
/// the end.
pub(super) fn encode_counters(counters: &Counters) -> Vec<u8> {
    let values = counters.values();
    let used = values.iter().rposition(|value| *value != 0).map_or(0, |last| last + 1);
    let mut bytes = Vec::with_capacity(2 * Counter::COUNT);
    values[..used].iter().for_each(|value| base128::write(*value, &mut bytes));
    bytes
}

/// Decodes the output of [`encode_counters`]. None if the bytes are malformed.
pub(super) fn decode_counters(bytes: &[u8]) -> Option<Counters> {
    let mut counters = Counters::default();
    add_encoded_counters(&mut counters, bytes).map(|()| counters)
}

/// Adds the output of [`encode_counters`] to `sum`. None if the bytes are malformed; `sum` may then have changed.
pub(super) fn add_encoded_counters(sum: &mut Counters, mut bytes: &[u8]) -> Option<()> {
    let mut indexes = 0..Counter::COUNT;
    while !bytes.is_empty() {
        sum.add_at(indexes.next()?, base128::read(&mut bytes)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::flow::Outcome;
    use proptest::prelude::*;

    #[test]
    fn the_encoding_of_counters_never_changes() {
        let mut counters = Counters::default();
        counters.add(Counter::Requests(Outcome::TimeoutError), 300);
        assert_eq!(encode_counters(&counters), [0, 0xac, 0x02]);
        counters.add(Counter::CheckFailed, i64::MAX);
        let bytes = encode_counters(&counters);
        assert_eq!(bytes.len(), 3 + 15 + 9);
        assert_eq!(decode_counters(&bytes), Some(counters));
        for malformed in [&[0x80][..], &[0xff; 10], &[0; Counter::COUNT + 1]] {
            assert_eq!(decode_counters(malformed), None);
        }
    }

    proptest! {
        #[test]
        fn encoded_counters_are_decoded_again(values in prop::collection::vec(0..=i64::MAX, 0..=Counter::COUNT)) {
            let counters = Counters::from_values(&values).unwrap();
            prop_assert_eq!(decode_counters(&encode_counters(&counters)), Some(counters));
        }

        #[test]
        fn any_bytes_are_counters_or_malformed(bytes: Vec<u8>) {
            if let Some(counters) = decode_counters(&bytes) {
                prop_assert!(counters.values().iter().all(|value| *value >= 0));
            }
        }
    }
}
