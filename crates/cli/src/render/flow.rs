//! The metrics of a flow: one of them, or all as a dashboard. Each metric has its own module; this one
//! contains what they share: the time axis and the heading.

mod availability;
mod errors;
mod latency;
mod points;
mod requests;
mod rows;

use std::fmt::Write;

use flowmeter_proto::v1::{Flow, FlowDataPoint, GetFlowMetricResponse};
use jiff::{Timestamp, tz::TimeZone};

pub(crate) use availability::in_words as availability_in_words;
pub(crate) use requests::in_words as requests_in_words;

use super::{
    chart::{self, Grid, Peak, Size},
    clock::Clock,
    series::{Form, MAX_ROWS},
    table::{Align, table},
    text::{percent, printable, shorten, width},
    timeline::Timeline,
};
use crate::{
    moment,
    words::flow::{FlowMetric, Granularity},
};
use points::{Points, count, time};

/// The width of the labels of all axes of a dashboard, so that its charts are aligned. Wide enough for `0.005
/// %`.
const MARGIN: usize = 7;

/// Up to this number of intervals, a dashboard has a row for each: a column chart of them would have no room
/// for its times and would not be shorter.
const FEW: usize = 10;

/// The maximum width of a name, in terminal columns.
const NAME: usize = 40;

/// The minimum height of the column charts of a dashboard, in lines.
const LINES: usize = 6;

/// A flow and its metrics, to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// The flow. Only its id is known if it is deleted.
    pub(crate) flow: &'a Flow,
    /// The length of a point of the answers.
    pub(crate) granularity: Granularity,
    /// The answers, for one metric or for all.
    pub(crate) answers: &'a [(FlowMetric, GetFlowMetricResponse)],
}

impl<'a> Report<'a> {
    /// The points of a metric. Empty if the metric was not requested.
    fn points(&self, metric: FlowMetric) -> Points<'a> {
        let found = self.answers.iter().find(|(known, _)| *known == metric);
        Points::of(found.and_then(|(_, answer)| answer.metric.as_ref()))
    }

    /// The points of all metrics.
    fn all_points(&self) -> impl Iterator<Item = &'a FlowDataPoint> {
        let answers: &'a [_] = self.answers;
        answers.iter().filter_map(|(_, answer)| answer.metric.as_ref()).flat_map(|metric| &metric.data_points)
    }

    /// Whether there is only one metric, so that there is room for its details.
    fn is_alone(&self) -> bool {
        self.answers.len() == 1
    }
}

/// The unit of values over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Requests,
    Percent,
    /// Classes of latency: seconds, rounded up, and 11 for more than ten seconds.
    SecondsCeil,
}

impl Unit {
    /// The unit after the numbers of an axis.
    fn label(self) -> &'static str {
        match self {
            Self::Requests => "",
            Self::Percent => " %",
            Self::SecondsCeil => " s",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Requests => count(value),
            Self::Percent => percent(value, 100.0, 2),
            Self::SecondsCeil => latency::class(value),
        }
    }
}

/// The time axis that the metrics of a report share, and the available width.
#[derive(Debug)]
struct Frame {
    granularity: Granularity,
    timeline: Timeline,
    clock: Clock,
    /// In terminal columns.
    width: usize,
    is_alone: bool,
}

impl Frame {
    /// When the interval of a slot starts. A day is shown as a date.
    fn time(&self, slot: usize) -> String {
        match (self.timeline.time(slot), self.granularity) {
            (None, _) => String::new(),
            (Some(time), Granularity::Hour) => self.clock.time(time),
            (Some(time), Granularity::Day | Granularity::Lifetime) => {
                self.clock.zone().to_datetime(time).date().to_string()
            }
        }
    }

    /// The time of a slot with a preposition: ` on` a day or ` at` an hour. Empty if there is only one
    /// interval.
    fn at(&self, slot: usize) -> String {
        match self.granularity {
            _ if self.timeline.slots() == 1 => String::new(),
            Granularity::Hour => format!(" at {}", self.time(slot)),
            Granularity::Day | Granularity::Lifetime => format!(" on {}", self.time(slot)),
        }
    }

    /// The word for one interval or for several.
    fn interval(&self, is_one: bool) -> &'static str {
        match (self.granularity, is_one) {
            (Granularity::Hour, true) => "hour",
            (Granularity::Hour, false) => "hours",
            (_, true) => "day",
            (_, false) => "days",
        }
    }

    /// The layout of slots above the time axis of a dashboard.
    fn grid(&self) -> Grid {
        Grid::new(self.timeline.slots(), self.width.saturating_sub(MARGIN + 2).max(8))
    }

    /// Values over time: a row with a bar for each value if there are few, and otherwise a column chart.
    /// Empty if there is only one value.
    fn over_time(&self, title: &str, values: &[Option<f64>], unit: Unit) -> String {
        let few = if self.is_alone { MAX_ROWS } else { FEW };
        match self.timeline.slots() {
            1 => String::new(),
            slots if slots <= few => self.rows_with_bars(title, values, unit),
            _ if self.is_alone => {
                let size = Size { unit: unit.label(), ..Size::alone(self.width) };
                let (drawing, per) = chart::columns(&self.timeline, values, Peak::Highest, size);
                drawing + &Peak::Highest.legend(per, self.interval(false))
            }
            _ => {
                let size = Size { columns: self.width, lines: LINES, margin: MARGIN, unit: unit.label() };
                chart::columns(&self.timeline, values, Peak::Highest, size).0
            }
        }
    }

    fn rows_with_bars(&self, title: &str, values: &[Option<f64>], unit: Unit) -> String {
        let text = |value: &Option<f64>| value.map(|value| unit.text(value)).unwrap_or_default();
        let texts: Vec<_> = values.iter().map(text).collect();
        let times: Vec<_> = (0..values.len()).map(|slot| self.time(slot)).collect();
        let widest = |texts: &[String], title: &str| {
            texts.iter().map(|text| width(text)).max().unwrap_or(0).max(width(title))
        };
        let taken = widest(&times, "TIME") + widest(&texts, title) + 4;
        let bars = chart::bars(values, self.width.saturating_sub(taken).clamp(8, 60));
        let rows = times.into_iter().zip(texts).zip(bars).map(|((time, text), bar)| [time, text, bar]);
        let heading = [("TIME", Align::Left), (title, Align::Right), ("", Align::Left)];
        table(heading, rows.collect::<Vec<_>>())
    }
}

/// The whole report as text. A chart is at most `width` wide.
pub(crate) fn page(report: &Report<'_>, form: Form, width: usize) -> String {
    let mut out = heading(report);
    let times: Vec<Timestamp> = report.all_points().filter_map(time).collect();
    let zone_name = match report.flow.time_zone.as_str() {
        "" => "UTC",
        name => name,
    };
    let clock = Clock::new(zone_name, times.iter().copied());
    // A report of the whole lifetime has one slot, whatever the calendar.
    let calendar = if report.granularity == Granularity::Hour { "#PT1H" } else { "#P1D" };
    let Some(timeline) = Timeline::new(calendar, clock.zone(), times) else {
        out.push_str(&fresh(report));
        out.push('\n');
        out.push_str(&nothing(report));
        return out;
    };
    let frame =
        Frame { granularity: report.granularity, timeline, clock, width, is_alone: report.is_alone() };
    out.push_str(&extent(&frame, zone_name));
    out.push_str(&fresh(report));
    out.push_str(&notes(report, &frame, form));
    out.push('\n');
    out.push_str(&match form {
        Form::Table => rows::all(report, &frame),
        Form::Chart => drawings(report, &frame),
    });
    out
}

/// The metric, the flow and the granularity.
fn heading(report: &Report<'_>) -> String {
    let flow = report.flow;
    let what = match report.answers {
        [(metric, _)] => format!("{} of ", metric.name()),
        _ => String::new(),
    };
    let name = match shorten(&flow.name, NAME) {
        name if name.is_empty() => String::new(),
        name => format!(" ({name})"),
    };
    let cut = match report.granularity {
        Granularity::Day => "by day",
        Granularity::Hour => "by hour",
        Granularity::Lifetime => "in total",
    };
    format!("{what}{}{name}, {cut}\n", printable(&flow.id))
}

/// The times of the first and the last interval with data, and the time zone.
fn extent(frame: &Frame, zone_name: &str) -> String {
    let (first, last) = (frame.time(0), frame.time(frame.timeline.slots() - 1));
    // Each hour shows its UTC offset.
    let zone = match (frame.granularity, frame.clock.zone() == &TimeZone::UTC) {
        (Granularity::Hour, _) => frame.clock.label().to_owned(),
        (_, true) => String::new(),
        (_, false) => format!(" in {zone_name}"),
    };
    match frame.granularity {
        Granularity::Lifetime => format!("since {first}{zone}\n"),
        _ if first == last => format!("{first}{zone}\n"),
        _ => format!("{first} to {last}{zone}\n"),
    }
}

fn fresh_through(report: &Report<'_>) -> Option<Timestamp> {
    let times = report.answers.iter().filter_map(|(_, answer)| answer.fresh_through.as_ref());
    times.filter_map(moment::from_wire).min()
}

fn fresh(report: &Report<'_>) -> String {
    match fresh_through(report) {
        Some(time) => format!("fresh through {time}\n"),
        None => "no data yet\n".into(),
    }
}

/// Notes that explain the rest of the report.
fn notes(report: &Report<'_>, frame: &Frame, form: Form) -> String {
    let mut out = String::new();
    let goes_on = fresh_through(report).is_some_and(|fresh| frame.timeline.goes_on(fresh));
    if goes_on && report.granularity != Granularity::Lifetime {
        let _ = writeln!(out, "the last {} is not over yet", frame.interval(true));
    }
    let per = frame.grid().per;
    if per > 1 && form == Form::Chart && !frame.is_alone {
        let of = frame.interval(false);
        let _ = writeln!(out, "each column shows the highest of {per} {of}, or the worst for availability");
    }
    out
}

fn nothing(report: &Report<'_>) -> String {
    match report.answers {
        [(FlowMetric::Availability, _)] => {
            format!("No checks in this period.\n{}", availability::why_not(report.flow))
        }
        [(FlowMetric::Errors, _)] => "No failed requests in this period.\n".into(),
        [(FlowMetric::Latency, _)] => "No requests with a known latency in this period.\n".into(),
        [_] => "No requests in this period.\n".into(),
        _ => "No requests and no checks in this period.\n".into(),
    }
}

/// The sections of the requested metrics.
fn drawings(report: &Report<'_>, frame: &Frame) -> String {
    let section = |(metric, _): &(FlowMetric, GetFlowMetricResponse)| match metric {
        FlowMetric::Requests => requests::section(report, frame),
        FlowMetric::Errors => errors::section(report, frame),
        FlowMetric::ErrorRate => errors::rate_section(report, frame),
        FlowMetric::Latency => latency::section(report, frame),
        FlowMetric::Availability => availability::section(report, frame),
    };
    report.answers.iter().map(section).collect::<Vec<_>>().join("\n")
}

/// A section: a title and figures, then a chart or a table.
fn section(title: &str, figures: &str, drawing: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{title:<12}  {figures}");
    out.push_str(drawing);
    out
}

#[cfg(test)]
mod tests;
