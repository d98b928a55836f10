//! The API calls of executions: their number, a breakdown by type and another label, or a timeline. This
//! module writes the lines above them; the submodules draw the calls.

mod cut;
mod over_time;

use std::fmt::Write;

use flowmeter_proto::v1::{ExecutionSeries, QueryExecutionsRequest, QueryExecutionsResponse};
use jiff::Timestamp;

use self::cut::Cut;
use super::{
    clock::Clock,
    grouped::label,
    series::Form,
    text::{grouped, printable, shorten},
};
use crate::moment;

/// The maximum width of the list of commands without calls, in terminal columns.
const ABSENT: usize = 76;

/// A request, the answer to it, and how to show the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) asked: &'a QueryExecutionsRequest,
    pub(crate) answer: &'a QueryExecutionsResponse,
    pub(crate) form: Form,
    /// The maximum width of a drawing, in columns.
    pub(crate) width: usize,
}

/// The calls by integration and type. A chart has a bar for each integration, divided by type.
pub(crate) fn types(page: Page<'_>) -> String {
    let cut = Cut::of(&page.answer.series, "integration");
    let body = match page.form {
        Form::Table => cut.table(),
        Form::Chart => cut.stacked(page.width),
    };
    whole(page, "integration", &body)
}

/// The calls by command and type. A chart has a bar for each type of each command. Requested commands without
/// calls are listed below.
pub(crate) fn commands(page: Page<'_>, asked_for: &[String]) -> String {
    let cut = Cut::of(&page.answer.series, "command");
    let mut body = match page.form {
        Form::Table => cut.table(),
        Form::Chart => cut.side_by_side(page.width),
    };
    let mut absent: Vec<_> =
        asked_for.iter().map(String::as_str).filter(|name| !cut.has(name)).map(label).collect();
    absent.dedup();
    if !absent.is_empty() {
        let _ = writeln!(body, "No calls of {}.", shorten(&absent.join(", "), ABSENT));
    }
    whole(page, "command", &body)
}

/// The number of rate-limited calls.
pub(crate) fn limited(page: Page<'_>) -> String {
    head(page, "rate-limited calls", "")
}

/// The calls by type over time. A chart has a sparkline for each type.
pub(crate) fn timeline(page: Page<'_>) -> String {
    let (note, body) = over_time::note_and_body(page);
    let by = if page.answer.calendar == "#PT1H" { " by hour and type" } else { " by day and type" };
    let head = head(page, "calls", by) + &note;
    if page.answer.series.is_empty() { head + &nothing(page, "instance") } else { format!("{head}\n{body}") }
}

/// The heading, then the calls by this field and type, or a sentence if there are none.
fn whole(page: Page<'_>, field: &str, body: &str) -> String {
    let head = head(page, "calls", &format!(" by {field} and type"));
    if page.answer.series.is_empty() { head + &nothing(page, field) } else { format!("{head}\n{body}") }
}

/// The heading: the number of calls, the time range, the time zone and the filter.
fn head(page: Page<'_>, of: &str, by: &str) -> String {
    let Page { asked, answer, .. } = page;
    let clock = clock(answer);
    let calls = total(&answer.series);
    let of = if calls == 1 { of.trim_end_matches('s') } else { of };
    let end = |time: &Option<prost_types::Timestamp>| {
        time.as_ref().and_then(moment::from_wire).map(|time| clock.time(time)).unwrap_or_default()
    };
    let mut out = String::new();
    let _ = writeln!(out, "{} {of}{by}", grouped(calls));
    let (start, until) = (end(&answer.start_time), end(&answer.end_time));
    let _ = writeln!(out, "{start} to {until}{}", printable(clock.label()));
    if !asked.filter.is_empty() {
        let _ = writeln!(out, "where {}", printable(&asked.filter));
    }
    match &answer.fresh_through {
        Some(time) => {
            let _ = writeln!(out, "fresh through {}", moment::rfc3339(Some(time)));
        }
        None => out.push_str("no data yet\n"),
    }
    out
}

/// Says that there are no calls. If the query has a filter, it names the command that lists possible values.
fn nothing(page: Page<'_>, field: &str) -> String {
    if page.asked.filter.is_empty() {
        return "\nNo calls in this range. `flowmeter executions report` reports them.\n".into();
    }
    format!("\nNo matching calls in this range. `flowmeter values {field}` lists the values of this field.\n")
}

/// The clock that shows all times of an answer.
fn clock(answer: &QueryExecutionsResponse) -> Clock {
    let points = answer.series.iter().flat_map(|series| &series.points);
    let times = points.filter_map(|point| point.timestamp.as_ref());
    let ends = [&answer.start_time, &answer.end_time].into_iter().flatten();
    let times: Vec<Timestamp> = times.chain(ends).filter_map(moment::from_wire).collect();
    Clock::new(&answer.time_zone, times)
}

fn total<'a>(series: impl IntoIterator<Item = &'a ExecutionSeries>) -> i64 {
    series.into_iter().fold(0, |sum, series| sum.saturating_add(series.total))
}

#[cfg(test)]
mod tests;
