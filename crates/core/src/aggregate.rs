//! Aggregates of measured values. They form a commutative monoid: the result does not depend on the order or the
//! grouping in which values and aggregates are merged.

use crate::ids::EventId;
use crate::quantity::Quantity;

/// The aggregate of one or more values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    /// The number of values.
    pub count: i64,
    /// The exact sum of the values.
    pub sum: Quantity,
    /// The smallest value.
    pub min: Quantity,
    /// The largest value.
    pub max: Quantity,
    /// The first value by event id, that is by timestamp and then by id.
    pub first: EventValue,
    /// The last value by event id.
    pub last: EventValue,
}

/// The value of one event, ordered by the id of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventValue {
    /// The event.
    pub id: EventId,
    /// The value of the event.
    pub value: Quantity,
}

impl Aggregate {
    /// The aggregate of a single event's value.
    #[must_use]
    pub fn of(id: EventId, value: Quantity) -> Self {
        let only = EventValue { id, value };
        Self { count: 1, sum: value, min: value, max: value, first: only, last: only }
    }

    /// Merges `other` into this aggregate. The two must not contain values of the same event.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum + other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Merges `other` into `slot`, which may still be empty.
    pub fn merge_into(slot: &mut Option<Self>, other: &Self) {
        match slot {
            Some(aggregate) => aggregate.merge(other),
            None => *slot = Some(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0..50_i64, -1_000..1_000_i64), 1..30)
    }

    fn aggregates(values: &[(i64, i64)]) -> Vec<Aggregate> {
        let ids = crate::ids::RequestEventIds::new(
            crate::ids::TenantId::OPERATOR,
            crate::ids::RequestId(uuid::Uuid::nil()),
        );
        let of = |(index, (micros, value)): (usize, &(i64, i64))| {
            Aggregate::of(ids.at(index, Timestamp::from_micros(*micros)), Quantity::from(*value))
        };
        values.iter().enumerate().map(of).collect()
    }

    fn merged(aggregates: &[Aggregate]) -> Aggregate {
        let mut slot = None;
        for aggregate in aggregates {
            Aggregate::merge_into(&mut slot, aggregate);
        }
        slot.unwrap()
    }

    proptest! {
        #[test]
        fn merging_is_commutative(
            (ordered, shuffled) in values()
                .prop_map(|values| aggregates(&values))
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            prop_assert_eq!(merged(&ordered), merged(&shuffled));
        }

        #[test]
        fn merging_is_associative(values in values(), cut: prop::sample::Index) {
            let all = aggregates(&values);
            let cut = cut.index(all.len());
            if cut > 0 {
                let mut halves = merged(&all[..cut]);
                halves.merge(&merged(&all[cut..]));
                prop_assert_eq!(halves, merged(&all));
            }
        }

        #[test]
        fn an_aggregate_matches_its_values(values in values()) {
            let whole = merged(&aggregates(&values));
            let numbers = || values.iter().map(|(_, value)| *value);
            prop_assert_eq!(whole.count, i64::try_from(values.len()).unwrap());
            prop_assert_eq!(whole.sum, Quantity::from(numbers().sum::<i64>()));
            prop_assert_eq!(whole.min, Quantity::from(numbers().min().unwrap()));
            prop_assert_eq!(whole.max, Quantity::from(numbers().max().unwrap()));
            let mut by_time: Vec<_> = values.iter().enumerate().collect();
            by_time.sort_by_key(|(index, (micros, _))| (*micros, *index));
            prop_assert_eq!(whole.first.value, Quantity::from(by_time[0].1.1));
            prop_assert_eq!(whole.last.value, Quantity::from(by_time[by_time.len() - 1].1.1));
        }
    }
}
