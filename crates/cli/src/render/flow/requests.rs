//! The requests of every outcome.

use flowmeter_proto::v1::GetFlowMetricResponse;

use super::{
    Frame, Report, Unit,
    points::{Points, count, largest},
    section as titled,
};
use crate::{render::text::percent, words::flow::FlowMetric};

/// The section of requests: their number, their peak, and their course over time.
pub(super) fn section(report: &Report<'_>, frame: &Frame) -> String {
    let points = report.points(FlowMetric::Requests);
    let values = points.values(&frame.timeline);
    let Some((slot, most)) = largest(&values) else { return titled("Requests", "none", "") };
    let figures = match frame.timeline.slots() {
        1 => count(points.sum()),
        _ => format!("{}, up to {}{}", count(points.sum()), count(most), frame.at(slot)),
    };
    titled("Requests", &figures, &frame.over_time("REQUESTS", &values, Unit::Requests))
}

/// The number of requests in a whole history, and the share of failed ones. None without requests.
pub(crate) fn in_words(requests: &GetFlowMetricResponse, errors: &GetFlowMetricResponse) -> Option<String> {
    let points = Points::of(requests.metric.as_ref());
    let (all, failed) = (points.sum(), Points::of(errors.metric.as_ref()).sum());
    points.start()?;
    Some(format!("{}, {} failed", count(all), percent(failed, all, 2)))
}
