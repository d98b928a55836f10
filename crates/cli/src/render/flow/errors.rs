//! The failed requests by error, and the error rate.

use std::fmt::Write;

use super::{
    Frame, Report, Unit,
    points::{count, largest, number, sum},
    section as titled,
};
use crate::{
    render::{
        chart::{self, Peak},
        table::{Align, table},
        text::{percent, width},
    },
    words::flow::FlowMetric,
};

/// The keys of errors, and their titles in a narrow column.
pub(super) const KEYS: [(&str, &str); 4] = [
    ("timeout_error", "TIMEOUT"),
    ("unexpected_http_status_code", "HTTP STATUS"),
    ("cannot_be_served", "NOT SERVED"),
    ("no_http_response_error", "NO RESPONSE"),
];

/// The maximum width of a bar.
const BAR: usize = 30;

/// The section of errors: the number of each error, and its course over time if errors are the only metric.
pub(super) fn section(report: &Report<'_>, frame: &Frame) -> String {
    let points = report.points(FlowMetric::Errors);
    let (failed, all) = (points.sum(), report.points(FlowMetric::Requests).sum());
    if failed == 0.0 {
        return titled("Errors", "none", "");
    }
    let figures = if report.is_alone() {
        let by_slot = points.by_slot(&frame.timeline);
        let values: Vec<_> = by_slot.into_iter().map(|point| point.map(sum)).collect();
        match largest(&values).filter(|_| values.len() > 1) {
            Some((slot, most)) => format!("{}, up to {}{}", count(failed), count(most), frame.at(slot)),
            None => count(failed),
        }
    } else {
        format!("{}, {} of the requests", count(failed), percent(failed, all, 2))
    };
    let mut drawing = by_kind(report, frame);
    if report.is_alone() && frame.timeline.slots() > 1 {
        drawing.push('\n');
        drawing.push_str(&lines(report, frame));
    }
    titled("Errors", &figures, &drawing)
}

/// A row for each error that occurred: its count, its share and a bar.
fn by_kind(report: &Report<'_>, frame: &Frame) -> String {
    let points = report.points(FlowMetric::Errors);
    let totals: Vec<_> =
        KEYS.iter().map(|(key, _)| (*key, points.total(key))).filter(|(_, total)| *total > 0.0).collect();
    let row =
        |(key, total): &(&str, f64)| vec![(*key).to_owned(), count(*total), percent(*total, points.sum(), 1)];
    let mut rows: Vec<_> = totals.iter().map(row).collect();
    let mut heading = vec![("ERROR", Align::Left), ("COUNT", Align::Right), ("SHARE", Align::Right)];
    let taken = table(&heading, &rows).lines().map(width).max().unwrap_or(0);
    let room = frame.width.saturating_sub(taken + 2).clamp(8, BAR);
    let values: Vec<_> = totals.iter().map(|(_, total)| Some(*total)).collect();
    for (row, bar) in rows.iter_mut().zip(chart::bars(&values, room)) {
        row.push(bar);
    }
    heading.push(("", Align::Left));
    table(heading, rows)
}

/// A sparkline for each error that occurred, each with its own scale.
fn lines(report: &Report<'_>, frame: &Frame) -> String {
    let by_slot = report.points(FlowMetric::Errors).by_slot(&frame.timeline);
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for (key, _) in KEYS {
        let values: Vec<_> = by_slot.iter().map(|point| number((*point)?, key)).collect();
        if let Some((slot, most)) = largest(&values) {
            rows.push(vec![key.to_owned(), count(most), frame.time(slot)]);
            lines.push(values);
        }
    }
    let mut heading = vec![("ERROR", Align::Left), ("MAX", Align::Right), ("AT", Align::Left)];
    let taken = table(&heading, &rows).lines().map(width).max().unwrap_or(0);
    let grid = chart::Grid::new(by_slot.len(), frame.width.saturating_sub(taken + 2).max(12));
    for (row, values) in rows.iter_mut().zip(&lines) {
        let line = chart::sparkline(&chart::shared(values, Peak::Highest, grid.per));
        row.push(line.chars().map(|block| grid.cell(block)).collect());
    }
    heading.push(("", Align::Left));
    let labels = chart::place(&frame.timeline.labels(grid.per, grid.wide));
    rows.push(vec![String::new(), String::new(), String::new(), labels]);
    let mut out = table(heading, rows);
    let _ = writeln!(out, "Each line has its own scale, up to its MAX.");
    out.push_str(&Peak::Highest.legend(grid.per, frame.interval(false)));
    out
}

/// The section of the error rate: the share of failed requests in each interval.
pub(super) fn rate_section(report: &Report<'_>, frame: &Frame) -> String {
    let rates = report.points(FlowMetric::ErrorRate).values(&frame.timeline);
    let Some((slot, most)) = largest(&rates) else { return titled("Error rate", "no requests", "") };
    let (failed, all) = (report.points(FlowMetric::Errors).sum(), report.points(FlowMetric::Requests).sum());
    let figures = match (report.is_alone(), frame.timeline.slots()) {
        (_, 1) => percent(most, 1.0, 2),
        (true, _) => format!("up to {}{}", percent(most, 1.0, 2), frame.at(slot)),
        (false, _) => {
            format!("{}, up to {}{}", percent(failed, all, 2), percent(most, 1.0, 2), frame.at(slot))
        }
    };
    if most == 0.0 {
        return titled("Error rate", "0 %", "");
    }
    let in_percent: Vec<_> = rates.iter().map(|rate| rate.map(|rate| rate * 100.0)).collect();
    titled("Error rate", &figures, &frame.over_time("ERROR RATE", &in_percent, Unit::Percent))
}
