//! The counters of a flow in a bucket of time.

use super::request::{Latency, Outcome};

/// One of the counters of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Requests with this outcome.
    Requests(Outcome),
    /// Requests with this latency.
    Latency(Latency),
    /// Availability checks that succeeded.
    CheckSucceeded,
    /// Availability checks that failed.
    CheckFailed,
}

impl Counter {
    /// The number of counters.
    pub const COUNT: usize = Outcome::ALL.len() + Latency::COUNT + 2;

    /// The index of the counter. It is part of the formats of the queue and the store.
    #[must_use]
    pub const fn index(self) -> usize {
        const CHECKS: usize = Outcome::ALL.len() + Latency::COUNT;
        match self {
            Self::Requests(outcome) => outcome as usize,
            Self::Latency(latency) => Outcome::ALL.len() + latency.index(),
            Self::CheckSucceeded => CHECKS,
            Self::CheckFailed => CHECKS + 1,
        }
    }
}

/// The value of every counter: a commutative monoid under [`Counters::merge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters([i64; Counter::COUNT]);

impl Counters {
    /// Counters from their values by [`Counter::index`]. Missing values are 0. None if a value is negative, or if
    /// there are more values than counters.
    #[must_use]
    pub fn from_values(values: &[i64]) -> Option<Self> {
        let mut counters = Self::default();
        if values.iter().any(|value| *value < 0) {
            return None;
        }
        counters.0.get_mut(..values.len())?.copy_from_slice(values);
        Some(counters)
    }

    /// The values by [`Counter::index`].
    #[must_use]
    pub const fn values(&self) -> &[i64; Counter::COUNT] {
        &self.0
    }

    /// The value of a counter.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> i64 {
        self.0[counter.index()]
    }

    /// Adds to a counter. The counter saturates at its maximum.
    pub fn add(&mut self, counter: Counter, count: i64) {
        self.add_at(counter.index(), count);
    }

    /// Adds to the counter with this [`Counter::index`]. The counter saturates at its maximum.
    ///
    /// # Panics
    ///
    /// If no counter has this index.
    pub fn add_at(&mut self, index: usize, count: i64) {
        let value = &mut self.0[index];
        *value = value.saturating_add(count);
    }

    /// Counts `count` requests with the same outcome and latency.
    pub fn add_requests(&mut self, outcome: Outcome, latency: Option<Latency>, count: i64) {
        self.add(Counter::Requests(outcome), count);
        if let Some(latency) = latency
            && outcome.is_call()
        {
            self.add(Counter::Latency(latency), count);
        }
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (value, other) in self.0.iter_mut().zip(&other.0) {
            *value = value.saturating_add(*other);
        }
    }

    /// The number of requests, whatever their outcome.
    #[must_use]
    pub fn requests(&self) -> i64 {
        Outcome::ALL.iter().fold(0, |sum, outcome| sum.saturating_add(self.get(Counter::Requests(*outcome))))
    }

    /// The number of requests that failed.
    #[must_use]
    pub fn errors(&self) -> i64 {
        self.requests() - self.get(Counter::Requests(Outcome::Succeeded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_counter_has_its_own_index() {
        let outcomes = Outcome::ALL.into_iter().map(Counter::Requests);
        let latencies = Latency::ALL.into_iter().map(Counter::Latency);
        let all: Vec<_> =
            outcomes.chain(latencies).chain([Counter::CheckSucceeded, Counter::CheckFailed]).collect();
        for (index, counter) in all.iter().enumerate() {
            assert_eq!(counter.index(), index);
        }
        assert_eq!(all.len(), Counter::COUNT);
    }

    #[test]
    fn latency_is_counted_only_if_the_endpoint_was_called() {
        let mut counters = Counters::default();
        counters.add_requests(Outcome::TimeoutError, Latency::of(11, 0), 3);
        counters.add_requests(Outcome::CannotBeServed, Latency::of(0, 0), 2);
        counters.add_requests(Outcome::Succeeded, None, 1);
        assert_eq!((counters.requests(), counters.errors()), (6, 5));
        assert_eq!(counters.get(Counter::Latency(Latency::of(11, 0).unwrap())), 3);
        assert_eq!(counters.get(Counter::Latency(Latency::of(0, 0).unwrap())), 0);
    }

    #[test]
    fn there_are_at_most_as_many_values_as_counters() {
        assert_eq!(Counters::from_values(&[]), Some(Counters::default()));
        assert_eq!(Counters::from_values(&[7]).unwrap().requests(), 7);
        assert_eq!(Counters::from_values(&[-1]), None);
        assert_eq!(Counters::from_values(&[0; Counter::COUNT + 1]), None);
    }

    proptest! {
        #[test]
        fn merging_is_commutative(
            parts in prop::collection::vec(prop::collection::vec(0_i64..1_000, Counter::COUNT), 1..9),
        ) {
            let parts: Vec<_> = parts.iter().map(|part| Counters::from_values(part).unwrap()).collect();
            let (mut forth, mut back) = (Counters::default(), Counters::default());
            for part in &parts {
                forth.merge(part);
            }
            for part in parts.iter().rev() {
                back.merge(part);
            }
            prop_assert_eq!(forth, back);
            prop_assert_eq!(forth.requests(), parts.iter().map(Counters::requests).sum::<i64>());
        }
    }
}
