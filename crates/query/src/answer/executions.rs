//! Encodes time series of executions.

use flowmeter_proto::v1::{ExecutionPoint, ExecutionSeries, Point, Series};

/// The series that have calls. A series of the whole range has a total and no points.
pub fn to_proto(series: Vec<Series>, is_total: bool) -> Vec<ExecutionSeries> {
    let has_calls = series.into_iter().filter(|series| !series.points.is_empty());
    has_calls.map(|series| series_to_proto(series, is_total)).collect()
}

fn series_to_proto(series: Series, is_total: bool) -> ExecutionSeries {
    let calls = |point: &Point| point.value.as_deref().map_or(0, call_count);
    let total = series.points.iter().fold(0_i64, |sum, point| sum.saturating_add(calls(point)));
    let points = series.points.iter().filter(|_| !is_total);
    let points = points.map(|point| ExecutionPoint { timestamp: point.timestamp, count: calls(point) });
    ExecutionSeries { points: points.collect(), labels: series.labels, total }
}

/// A sum of calls, which is a natural number. A sum that does not fit into the response becomes the largest
/// number that does.
fn call_count(value: &str) -> i64 {
    value.parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_does_not_fit_becomes_the_largest_number() {
        for (text, expected) in
            [("7", 7), ("9223372036854775807", i64::MAX), ("9223372036854775808", i64::MAX)]
        {
            assert_eq!(call_count(text), expected, "{text}");
        }
    }
}
