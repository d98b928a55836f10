//! The points of an answer while it is being read, whatever they are read from: aggregates by labels and bucket, which
//! are merged in any order.

use std::collections::HashMap;

use flowmeter_core::aggregate::Aggregate;
use flowmeter_core::metric::{Measure, Observed};
use flowmeter_core::quantity::Quantity;

use crate::points::{LabelledPoints, Point, ReadError};

/// Aggregates by labels and bucket.
#[derive(Debug)]
pub(super) struct Groups {
    numbers: HashMap<Vec<String>, usize>,
    cells: HashMap<(usize, usize), Aggregate>,
    max_points: u64,
}

/// So many points are counted before reading ends because they are too many: a bound on memory.
const MOST_POINTS: u64 = 200_000;

impl Groups {
    pub(super) fn new(max_points: u64) -> Self {
        Self { numbers: HashMap::new(), cells: HashMap::new(), max_points }
    }

    /// The number of the group with these labels.
    pub(super) fn group<'a>(&mut self, labels: impl Iterator<Item = &'a str>) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(labels.map(str::to_owned).collect()).or_insert(next)
    }

    /// Adds to a bucket of a group.
    pub(super) fn add(&mut self, group: usize, bucket: usize, aggregate: &Aggregate) {
        self.cells.entry((group, bucket)).and_modify(|known| known.merge(aggregate)).or_insert(*aggregate);
    }

    /// Adds those of another answer.
    pub(super) fn merge(&mut self, other: Self) {
        let mut names: Vec<_> = other.numbers.into_iter().collect();
        names.sort_unstable_by_key(|(_, number)| *number);
        let numbers = names.into_iter().map(|(labels, _)| {
            let next = self.numbers.len();
            *self.numbers.entry(labels).or_insert(next)
        });
        let numbers: Vec<_> = numbers.collect();
        for ((group, bucket), aggregate) in other.cells {
            self.add(numbers[group], bucket, &aggregate);
        }
    }

    /// Fails if there are more points than reading may find.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        if self.cells.len() as u64 > self.max_points.max(MOST_POINTS) { Err(self.too_many()) } else { Ok(()) }
    }

    fn too_many(&self) -> ReadError {
        ReadError::TooManyPoints { asked: i64::try_from(self.cells.len()).unwrap_or(i64::MAX) }
    }

    /// The series, in the order of their labels.
    pub(super) fn finish(
        self,
        measure: Measure,
        observed: Observed,
    ) -> Result<Vec<LabelledPoints>, ReadError> {
        if self.cells.len() as u64 > self.max_points {
            return Err(self.too_many());
        }
        let mut series: Vec<_> = self.numbers.into_iter().collect();
        series.sort_unstable_by_key(|(_, number)| *number);
        let series = series.into_iter().map(|(labels, _)| LabelledPoints { labels, points: Vec::new() });
        let mut series: Vec<_> = series.collect();
        for ((group, bucket), aggregate) in self.cells {
            let value = value(&aggregate, measure, observed);
            series[group].points.push(Point { bucket, value, count: aggregate.count });
        }
        series.retain(|series| !series.points.is_empty());
        for series in &mut series {
            series.points.sort_unstable_by_key(|point| point.bucket);
        }
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }
}

fn value(aggregate: &Aggregate, measure: Measure, observed: Observed) -> String {
    let quantity = match (measure, observed) {
        (Measure::Count, Observed::Summed) => return aggregate.count.to_string(),
        // Each event counts one.
        (Measure::Count, _) => return "1".to_owned(),
        (_, Observed::Summed) => aggregate.sum,
        (_, Observed::Averaged) => average(aggregate),
        (_, Observed::High) => aggregate.max,
        (_, Observed::Low) => aggregate.min,
        (_, Observed::Beginning) => aggregate.first.value,
        (_, Observed::End) => aggregate.last.value,
    };
    quantity.to_string()
}

/// The average, rounded to billionths, halves away from zero.
fn average(aggregate: &Aggregate) -> Quantity {
    let (sum, count) = (aggregate.sum.billionths(), i128::from(aggregate.count));
    let (quotient, rest) = (sum / count, sum % count);
    let is_half = 2 * rest.abs() >= count;
    Quantity::from_billionths(if is_half { quotient + sum.signum() } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::EventId;
    use uuid::Uuid;

    fn of(billionths: i128, count: i64) -> Aggregate {
        let sum = Quantity::from_billionths(billionths);
        Aggregate { count, ..Aggregate::of(EventId(Uuid::nil()), sum) }
    }

    #[test]
    fn averages_are_rounded_away_from_zero() {
        for (sum, count, expected) in [
            (1, 2, "0.000000001"),
            (-1, 2, "-0.000000001"),
            (1, 3, "0"),
            (2, 3, "0.000000001"),
            (-5_000_000_000, 2, "-2.5"),
            (10_000_000_000, 3, "3.333333333"),
        ] {
            assert_eq!(average(&of(sum, count)).to_string(), expected, "{sum} / {count}");
        }
    }

    #[test]
    fn groups_are_merged_by_their_labels() {
        let mut one = Groups::new(10);
        let (a, b) = (one.group(["a"].into_iter()), one.group(["b"].into_iter()));
        one.add(a, 0, &of(1, 1));
        one.add(b, 0, &of(2, 1));
        let mut other = Groups::new(10);
        let (b, c) = (other.group(["b"].into_iter()), other.group(["c"].into_iter()));
        other.add(b, 0, &of(3, 2));
        other.add(c, 1, &of(4, 1));
        one.merge(other);
        let found = one.finish(Measure::Count, Observed::Summed).unwrap();
        let shown: Vec<_> =
            found.iter().map(|series| (series.labels[0].as_str(), series.points[0].count)).collect();
        assert_eq!(shown, [("a", 1), ("b", 3), ("c", 1)]);
    }
}
