//! The data points of one metric, read by key and by slot. Counts are doubles on the wire and exact up to
//! 2^53, which is enough for shares with one or two decimals.

use flowmeter_proto::v1::{FlowDataPoint, FlowMetric};
use jiff::Timestamp;

use crate::{
    moment,
    render::{text::grouped, timeline::Timeline},
};

/// The key of a metric with a single number.
const VALUE: &str = "value";

/// The points of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points<'a>(&'a [FlowDataPoint]);

impl<'a> Points<'a> {
    /// The points of a metric. Empty without a metric.
    pub(super) fn of(metric: Option<&'a FlowMetric>) -> Self {
        Self(metric.map_or(&[], |metric| &metric.data_points))
    }

    /// The sum of the numbers with this key.
    pub(super) fn total(self, key: &str) -> f64 {
        self.0.iter().filter_map(|point| number(point, key)).sum()
    }

    /// The sum of all numbers.
    pub(super) fn sum(self) -> f64 {
        self.0.iter().map(sum).sum()
    }

    /// When the first interval starts.
    pub(super) fn start(self) -> Option<Timestamp> {
        self.0.iter().find_map(time)
    }

    /// The point of each slot of the timeline.
    pub(super) fn by_slot(self, timeline: &Timeline) -> Vec<Option<&'a FlowDataPoint>> {
        let mut by_slot = vec![None; timeline.slots()];
        for point in self.0 {
            if let Some(place) = time(point).and_then(|time| by_slot.get_mut(timeline.slot(time))) {
                *place = Some(point);
            }
        }
        by_slot
    }

    /// The single number of each slot.
    pub(super) fn values(self, timeline: &Timeline) -> Vec<Option<f64>> {
        self.by_slot(timeline).into_iter().map(|point| number(point?, VALUE)).collect()
    }
}

/// When the interval of a point starts.
pub(super) fn time(point: &FlowDataPoint) -> Option<Timestamp> {
    moment::from_wire(point.timestamp.as_ref()?)
}

/// The number with this key, if there is one.
pub(super) fn number(point: &FlowDataPoint, key: &str) -> Option<f64> {
    point.data.iter().find(|datum| datum.key == key).and_then(|datum| datum.value)
}

/// The sum of all numbers of a point.
pub(super) fn sum(point: &FlowDataPoint) -> f64 {
    point.data.iter().filter_map(|datum| datum.value).sum()
}

/// A count with its thousands separated.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are integers and not negative"
)]
pub(super) fn count(number: f64) -> String {
    grouped(number.max(0.0).round() as u64)
}

/// The first slot with the largest value, and that value.
pub(super) fn largest(values: &[Option<f64>]) -> Option<(usize, f64)> {
    let known = values.iter().enumerate().filter_map(|(slot, value)| Some((slot, (*value)?)));
    known.reduce(|largest, other| if other.1 > largest.1 { other } else { largest })
}
