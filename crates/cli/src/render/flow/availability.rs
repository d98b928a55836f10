//! The checks of the endpoint: a cell for each interval shows whether the endpoint was available.

use std::fmt::Write;

use flowmeter_proto::v1::{Flow, FlowDataPoint, GetFlowMetricResponse};

use super::{
    FEW, Frame, MARGIN, Report,
    points::{Points, count, number, sum},
    section as titled,
};
use crate::{
    render::{
        chart,
        table::{Align, table},
        text::percent,
    },
    words::flow::{FlowMetric, is_checked},
};

/// The keys of checks.
pub(super) const SUCCEEDED: &str = "succeeded";
pub(super) const FAILED: &str = "failed";

/// The maximum number of intervals with failed checks that are listed if availability is the only metric.
const LISTED: usize = 20;

/// The results of the checks of one or more intervals, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Unchecked,
    Up,
    Partly,
    Down,
}

impl Health {
    fn of(point: Option<&FlowDataPoint>) -> Self {
        let counted = |key| point.and_then(|point| number(point, key)).unwrap_or_default() > 0.0;
        match (counted(SUCCEEDED), counted(FAILED)) {
            (false, false) => Self::Unchecked,
            (true, false) => Self::Up,
            (true, true) => Self::Partly,
            (false, true) => Self::Down,
        }
    }

    /// A block whose shape shows the result, so that no colour is needed.
    fn block(self) -> char {
        match self {
            Self::Unchecked => '·',
            Self::Up => '█',
            Self::Partly => '▄',
            Self::Down => '▁',
        }
    }

    /// The block and its meaning.
    fn words(self) -> String {
        let meaning = match self {
            Self::Unchecked => "not checked",
            Self::Up => "up",
            Self::Partly => "some checks failed",
            Self::Down => "down",
        };
        format!("{} {meaning}", self.block())
    }
}

/// The section of availability: how many checks succeeded, and when checks failed.
pub(super) fn section(report: &Report<'_>, frame: &Frame) -> String {
    let points = report.points(FlowMetric::Availability);
    let by_slot = points.by_slot(&frame.timeline);
    let Some(mut figures) = figures(points) else {
        return titled("Availability", "no checks", &why_not(report.flow));
    };
    let worst = worst(&by_slot);
    if let Some(slot) = worst.first().filter(|_| by_slot.len() > 1) {
        let _ =
            write!(figures, ", down to {}{}", by_slot[*slot].map(share).unwrap_or_default(), frame.at(*slot));
    }
    if by_slot.len() == 1 {
        return titled("Availability", &figures, "");
    }
    if by_slot.len() <= FEW {
        return titled("Availability", &figures, &rows(&by_slot, frame));
    }
    let mut drawing = strip(&by_slot, frame);
    if report.is_alone() && !worst.is_empty() {
        drawing.push('\n');
        drawing.push_str(&list(&by_slot, worst, frame));
    }
    titled("Availability", &figures, &drawing)
}

/// Why the flow was not checked. Empty if the reason is unknown.
pub(super) fn why_not(flow: &Flow) -> String {
    // The definition of a deleted flow is unknown.
    if flow.version > 0 && !is_checked(flow) {
        return "Checks need an --endpoint-url and a --data-api-version of 3.0 or later.\n".into();
    }
    String::new()
}

/// The share of successful checks in a whole history. None without checks.
pub(crate) fn in_words(checks: &GetFlowMetricResponse) -> Option<String> {
    figures(Points::of(checks.metric.as_ref()))
}

fn figures(points: Points<'_>) -> Option<String> {
    let (succeeded, all) = (points.total(SUCCEEDED), points.sum());
    let checks = if all <= 1.0 { "check" } else { "checks" };
    (all > 0.0).then(|| format!("{} of {} {checks}", percent(succeeded, all, 2), count(all)))
}

/// The share of successful checks in an interval.
pub(super) fn share(point: &FlowDataPoint) -> String {
    percent(number(point, SUCCEEDED).unwrap_or_default(), sum(point), 2)
}

/// The slots with failed checks, the worst first.
fn worst(by_slot: &[Option<&FlowDataPoint>]) -> Vec<usize> {
    let failed = |slot: &usize| {
        by_slot[*slot].map_or(0.0, |point| number(point, FAILED).unwrap_or_default() / sum(point).max(1.0))
    };
    let mut slots: Vec<_> = (0..by_slot.len()).filter(|slot| failed(slot) > 0.0).collect();
    slots.sort_by(|one, other| failed(other).total_cmp(&failed(one)));
    slots
}

/// A cell for each interval above the time axis, and the legend.
fn strip(by_slot: &[Option<&FlowDataPoint>], frame: &Frame) -> String {
    let grid = frame.grid();
    let health: Vec<_> = by_slot.iter().map(|point| Health::of(*point)).collect();
    let shared: Vec<_> = health
        .chunks(grid.per)
        .map(|slots| slots.iter().copied().max().unwrap_or(Health::Unchecked))
        .collect();
    let cells: String = shared.iter().map(|health| grid.cell(health.block())).collect();
    let labels = chart::place(&frame.timeline.labels(grid.per, grid.wide));
    let indent = " ".repeat(MARGIN + 2);
    let mut out = String::new();
    for line in [cells, labels].iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(out, "{indent}{}", line.trim_end());
    }
    let mut legend = shared;
    legend.sort_unstable();
    legend.dedup();
    let legend: Vec<_> = legend.into_iter().map(Health::words).collect();
    let _ = writeln!(out, "{indent}{}", legend.join("   "));
    if grid.per > 1 && frame.is_alone {
        let _ = writeln!(out, "Each cell shows the worst of {} {}.", grid.per, frame.interval(false));
    }
    out
}

/// A row for each interval.
fn rows(by_slot: &[Option<&FlowDataPoint>], frame: &Frame) -> String {
    let row = |(slot, point): (usize, Option<&FlowDataPoint>)| {
        let checks = point.map(|point| count(sum(point))).unwrap_or_default();
        [frame.time(slot), checks, point.map(share).unwrap_or_default(), Health::of(point).words()]
    };
    let heading =
        [("TIME", Align::Left), ("CHECKS", Align::Right), ("AVAILABLE", Align::Right), ("", Align::Left)];
    table(heading, by_slot.iter().copied().enumerate().map(row).collect::<Vec<_>>())
}

/// The intervals with failed checks, by time.
fn list(by_slot: &[Option<&FlowDataPoint>], mut worst: Vec<usize>, frame: &Frame) -> String {
    let all = worst.len();
    worst.truncate(LISTED);
    worst.sort_unstable();
    let row = |slot: &usize| {
        let number = |key| by_slot[*slot].and_then(|point| number(point, key)).unwrap_or_default();
        let share = by_slot[*slot].map(share).unwrap_or_default();
        [frame.time(*slot), count(number(SUCCEEDED)), count(number(FAILED)), share]
    };
    let heading = [
        ("TIME", Align::Left),
        ("SUCCEEDED", Align::Right),
        ("FAILED", Align::Right),
        ("AVAILABLE", Align::Right),
    ];
    let mut out = table(heading, worst.iter().map(row).collect::<Vec<_>>());
    if all > LISTED {
        let of = frame.interval(false);
        let _ =
            writeln!(out, "The {LISTED} worst of {all} {of} with failed checks; --output table lists all.");
    }
    out
}
