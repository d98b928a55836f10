//! The metrics of a flow as a table of plain numbers, with a row for each interval with data.

use flowmeter_proto::v1::FlowDataPoint;

use super::{
    Frame, Report, availability, errors, latency,
    points::{number, sum},
};
use crate::{
    render::{
        table::{Align, table},
        text::percent,
    },
    words::flow::FlowMetric,
};

/// A column: its title, and a text for each slot, which is empty if there is no value.
type Column = (&'static str, Vec<String>);

/// All requested metrics in one table.
pub(super) fn all(report: &Report<'_>, frame: &Frame) -> String {
    let columns: Vec<Column> = if report.is_alone() { alone(report, frame) } else { together(report, frame) };
    let mut heading = vec![("TIME", Align::Left)];
    heading.extend(columns.iter().map(|(title, _)| (*title, Align::Right)));
    let mut rows = Vec::new();
    for slot in 0..frame.timeline.slots() {
        let cells = || columns.iter().map(|(_, texts)| texts[slot].clone());
        if cells().any(|cell| !cell.is_empty()) {
            rows.push(std::iter::once(frame.time(slot)).chain(cells()).collect::<Vec<_>>());
        }
    }
    table(heading, rows)
}

/// The columns of a single metric.
fn alone(report: &Report<'_>, frame: &Frame) -> Vec<Column> {
    let of = |metric| Source { points: report.points(metric).by_slot(&frame.timeline) };
    match report.answers[0].0 {
        FlowMetric::Requests => vec![of(FlowMetric::Requests).counts("REQUESTS", "value")],
        FlowMetric::Errors => {
            let errors = of(FlowMetric::Errors);
            errors::KEYS.iter().map(|(key, title)| errors.counts(title, key)).collect()
        }
        FlowMetric::ErrorRate => vec![of(FlowMetric::ErrorRate).rates()],
        FlowMetric::Latency => {
            let latency = of(FlowMetric::Latency);
            let mut columns: Vec<_> = latency::KEYS.iter().map(|key| latency.counts(key, key)).collect();
            columns.extend(latency.classes());
            columns
        }
        FlowMetric::Availability => {
            let checks = of(FlowMetric::Availability);
            let [succeeded, failed] = [availability::SUCCEEDED, availability::FAILED];
            vec![
                checks.counts("SUCCEEDED", succeeded),
                checks.counts("FAILED", failed),
                checks.each("AVAILABLE", availability::share),
            ]
        }
    }
}

/// The most important columns of each metric.
fn together(report: &Report<'_>, frame: &Frame) -> Vec<Column> {
    let of = |metric| Source { points: report.points(metric).by_slot(&frame.timeline) };
    let checks = of(FlowMetric::Availability);
    let mut columns = vec![
        of(FlowMetric::Requests).counts("REQUESTS", "value"),
        of(FlowMetric::Errors).each("ERRORS", |point| sum(point).to_string()),
        of(FlowMetric::ErrorRate).rates(),
    ];
    columns.extend(of(FlowMetric::Latency).classes());
    columns.push(checks.each("CHECKS", |point| sum(point).to_string()));
    columns.push(checks.each("AVAILABLE", availability::share));
    // An interval with requests but without errors has zero errors.
    for slot in 0..frame.timeline.slots() {
        if !columns[0].1[slot].is_empty() && columns[1].1[slot].is_empty() {
            columns[1].1[slot] = "0".into();
        }
    }
    columns
}

/// The points of a metric by slot.
struct Source<'a> {
    points: Vec<Option<&'a FlowDataPoint>>,
}

impl Source<'_> {
    fn each(&self, title: &'static str, text: impl Fn(&FlowDataPoint) -> String) -> Column {
        (title, self.points.iter().map(|point| point.map(&text).unwrap_or_default()).collect())
    }

    /// The numbers of a key, or zero in intervals where only other keys have numbers.
    fn counts(&self, title: &'static str, key: &str) -> Column {
        self.each(title, |point| number(point, key).unwrap_or_default().to_string())
    }

    fn rates(&self) -> Column {
        self.each("ERROR RATE", |point| percent(number(point, "value").unwrap_or_default(), 1.0, 2))
    }

    /// The classes of latency within which 50 % and 95 % of the requests ended.
    fn classes(&self) -> [Column; 2] {
        [("P50", 50), ("P95", 95)]
            .map(|(title, share)| self.each(title, |point| latency::within(&latency::counts(point), share)))
    }
}
