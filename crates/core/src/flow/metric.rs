//! The metrics of flows, computed from their counters.

use super::counters::{Counter, Counters};
use super::request::{Latency, Outcome};

/// A metric of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowMetric {
    /// All requests.
    RequestCount,
    /// The failed requests by outcome.
    RequestError,
    /// The share of failed requests among all requests.
    RequestErrorRate,
    /// The requests by latency.
    RequestLatencySecondsCeil,
    /// The availability checks by result.
    Availability,
}

impl FlowMetric {
    /// All metrics.
    pub const ALL: [Self; 5] = [
        Self::RequestCount,
        Self::RequestError,
        Self::RequestErrorRate,
        Self::RequestLatencySecondsCeil,
        Self::Availability,
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestCount => "ENDPOINT_REQUEST_COUNT",
            Self::RequestError => "ENDPOINT_REQUEST_ERROR",
            Self::RequestErrorRate => "ENDPOINT_REQUEST_ERROR_RATE",
            Self::RequestLatencySecondsCeil => "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL",
            Self::Availability => "ENDPOINT_AVAILABILITY",
        }
    }

    /// The metric with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// The data of the metric: each key with its number. Empty if nothing was counted.
    #[must_use]
    pub fn data(self, counters: &Counters) -> Vec<(&'static str, f64)> {
        let counted = |keys: &mut dyn Iterator<Item = (&'static str, Counter)>| {
            keys.map(|(key, counter)| (key, counters.get(counter)))
                .filter(|(_, count)| *count > 0)
                .map(|(key, count)| (key, to_number(count)))
                .collect()
        };
        match self {
            Self::RequestCount => match counters.requests() {
                0 => Vec::new(),
                requests => vec![("value", to_number(requests))],
            },
            Self::RequestErrorRate => match counters.requests() {
                0 => Vec::new(),
                requests => vec![("value", to_number(counters.errors()) / to_number(requests))],
            },
            Self::RequestError => {
                let errors = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Succeeded);
                counted(&mut errors.map(|outcome| (outcome.name(), Counter::Requests(outcome))))
            }
            Self::RequestLatencySecondsCeil => counted(
                &mut Latency::ALL.into_iter().map(|latency| (latency.key(), Counter::Latency(latency))),
            ),
            Self::Availability => counted(
                &mut [("succeeded", Counter::CheckSucceeded), ("failed", Counter::CheckFailed)].into_iter(),
            ),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "the contract states up to which value counts are exact")]
fn to_number(count: i64) -> f64 {
    count as f64
}

/// How a period is divided into points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// One point per day.
    Day,
    /// One point per hour.
    Hour,
    /// A single point.
    Lifetime,
}

impl Granularity {
    /// All granularities.
    pub const ALL: [Self; 3] = [Self::Day, Self::Hour, Self::Lifetime];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Hour => "HOUR",
            Self::Lifetime => "LIFETIME",
        }
    }

    /// The granularity with this name, in upper or lower case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|granularity| granularity.name().eq_ignore_ascii_case(name))
    }

    /// How many days before today a period may begin. None if there is no limit.
    #[must_use]
    pub const fn max_days(self) -> Option<i32> {
        match self {
            Self::Day => Some(90),
            Self::Hour => Some(30),
            Self::Lifetime => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the reference, except for the sums in its prose, which are wrong.
    #[test]
    fn the_examples_of_the_reference() {
        let mut counters = Counters::default();
        counters.add_requests(Outcome::Succeeded, Latency::of(0, 700_000_000), 300);
        counters.add_requests(Outcome::TimeoutError, None, 5);
        counters.add_requests(Outcome::UnexpectedHttpStatusCode, None, 10);
        assert_eq!(FlowMetric::RequestCount.data(&counters), [("value", 315.0)]);
        assert_eq!(
            FlowMetric::RequestError.data(&counters),
            [("timeout_error", 5.0), ("unexpected_http_status_code", 10.0)]
        );

        let mut counters = Counters::default();
        counters.add_requests(Outcome::Succeeded, None, 19);
        counters.add_requests(Outcome::NoHttpResponseError, None, 6);
        assert_eq!(FlowMetric::RequestErrorRate.data(&counters), [("value", 0.24)]);

        let mut counters = Counters::default();
        for (seconds, nanos, count) in [(0, 900_000_000, 410), (2, 1, 61), (10, 0, 2), (10, 1, 33)] {
            counters.add_requests(Outcome::Succeeded, Latency::of(seconds, nanos), count);
        }
        assert_eq!(
            FlowMetric::RequestLatencySecondsCeil.data(&counters),
            [("1", 410.0), ("3", 61.0), ("10", 2.0), ("10+", 33.0)]
        );

        let mut counters = Counters::default();
        counters.add(Counter::CheckSucceeded, 10);
        counters.add(Counter::CheckFailed, 5);
        assert_eq!(FlowMetric::Availability.data(&counters), [("succeeded", 10.0), ("failed", 5.0)]);
        assert!(FlowMetric::RequestErrorRate.data(&counters).is_empty(), "there were no requests");
    }

    #[test]
    fn names_are_found_again() {
        for metric in FlowMetric::ALL {
            assert_eq!(FlowMetric::named(metric.name()), Some(metric));
        }
        assert_eq!(Granularity::named("day"), Some(Granularity::Day));
        assert_eq!(Granularity::named("Lifetime"), Some(Granularity::Lifetime));
        assert_eq!(Granularity::named("week"), None);
    }
}
