//! `flowmeter series`: a metric over time, as table, chart or JSON.

use std::{fmt::Write, io::IsTerminal, process::ExitCode};

use anyhow::Result;
use clap::{Args, ValueEnum};
use flowmeter_proto::v1::{
    Observed as WireObserved, Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, TimeSeries,
};
use jiff::Timestamp;

use super::show;
use crate::{
    arguments::{Output, Remote},
    connection, json, moment,
    render::{
        chart::{self, Peak},
        table::{Align, table},
        text::printable,
        timeline::Timeline,
    },
};

/// A series of more buckets is drawn as columns over a time axis instead of as bars
/// beside its rows, and a terminal is not flooded with its table.
const MAX_ROWS: usize = 40;

/// The width of charts where it is not known, as in a pipe.
const USUAL_WIDTH: usize = 80;

/// Show a metric as a time series
///
/// Needs a token with the scope query.
///
/// On a terminal: up to 40 buckets as a table with bars, more as a column chart.
/// Elsewhere: a table. --output table, chart or json decides otherwise.
///
/// Examples:
///   flowmeter series ODSLRequest/ReadRequests --calendar '#PT1H' --range 2026-11-20
///   flowmeter series ODSLRequest/ReadRequestDuration --observed high --range 'from(2026-11)' \
///     --filter 'application = "web-shop" AND httpstatus = 200'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Series {
    /// The metric as provider/name, such as ODSLRequest/ReadRequests.
    metric: String,

    /// What cuts time into buckets, in UTC: # and an ISO 8601 duration, such as #PT1M,
    /// #PT15M, #PT1H, #P1D, #P1W or #P1M. Quote it: # begins a comment in a shell.
    #[arg(long, default_value = "#PT1H")]
    calendar: String,

    /// The time range: between(D,D), from(D) or D alone, where D is a year, month, date,
    /// hour, minute or second in UTC, such as 2026, 2026-11, 2026-11-20, 2026-11-20T10 or
    /// 2026-11-20T10:30:15. A start means the first instant of its period, an end the last.
    #[arg(long)]
    range: String,

    /// How the values of a bucket become one. Default: summed for counts, averaged for
    /// other metrics.
    #[arg(long)]
    observed: Option<Observed>,

    /// Which events count: a JSON object such as {"application":"api","httpstatus":200} or
    /// an expression such as 'application = "api" AND httpstatus = 200'. Default: all.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,

    /// Wait until this request is applied: read your own writes.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// How the values of a bucket become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Observed {
    /// The exact sum.
    #[value(alias = "sum")]
    Summed,
    /// The sum divided by the number of values.
    Averaged,
    /// The largest value.
    High,
    /// The smallest value.
    Low,
    /// The first value by time.
    Beginning,
    /// The last value by time.
    End,
}

impl From<Observed> for WireObserved {
    fn from(observed: Observed) -> Self {
        match observed {
            Observed::Summed => Self::Summed,
            Observed::Averaged => Self::Averaged,
            Observed::High => Self::High,
            Observed::Low => Self::Low,
            Observed::Beginning => Self::Beginning,
            Observed::End => Self::End,
        }
    }
}

/// Carries out the command.
pub(crate) async fn run(series: Series, remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::query(remote)?;
    let filter = series.filter.clone();
    let request = QueryTimeSeriesRequest {
        metric: series.metric,
        calendar: series.calendar,
        observed: series.observed.map_or(WireObserved::Unspecified, WireObserved::from).into(),
        range: series.range,
        filter: series.filter,
        after_request_id: series.after,
    };
    let call = connection::within(remote.timeout, request, |request| client.query_time_series(request));
    let answer = call.await?;
    if remote.json() {
        show(&json::pretty("QueryTimeSeriesResponse", &answer)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let form = match remote.output {
        Some(Output::Chart) => Form::Chart,
        None if std::io::stdout().is_terminal() => Form::Chart,
        Some(Output::Table | Output::Json) | None => Form::Table,
    };
    let width = terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| width.0.into());
    show(&page(&answer, &filter, form, width))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Chart,
}

/// The whole answer for people.
fn page(answer: &QueryTimeSeriesResponse, filter: &str, form: Form, width: usize) -> String {
    let mut out = header(answer, filter);
    for series in &answer.series {
        out.push('\n');
        let mut labels: Vec<_> = series.labels.iter().collect();
        labels.sort();
        for (name, value) in labels {
            let _ = writeln!(out, "{} = {}", printable(name), printable(value));
        }
        out.push_str(&body(series, answer, form, width));
    }
    out
}

fn header(answer: &QueryTimeSeriesResponse, filter: &str) -> String {
    let observed = answer.observed().as_str_name().trim_start_matches("OBSERVED_").to_lowercase();
    let unit = match answer.unit.as_str() {
        "1" | "" => "count",
        "By" => "bytes",
        unit => unit,
    };
    let mut out = format!(
        "{}, {observed} by {}, in {}\n{} to {}\n",
        printable(&answer.metric),
        printable(&answer.calendar),
        printable(unit),
        moment::rfc3339(answer.start_time.as_ref()),
        moment::rfc3339(answer.end_time.as_ref())
    );
    if !filter.is_empty() {
        let _ = writeln!(out, "where {}", printable(filter));
    }
    match &answer.fresh_through {
        Some(time) => {
            let _ = writeln!(out, "fresh through {}", moment::rfc3339(Some(time)));
        }
        None => out.push_str("no data yet\n"),
    }
    out
}

fn body(series: &TimeSeries, answer: &QueryTimeSeriesResponse, form: Form, width: usize) -> String {
    let times: Vec<Timestamp> =
        series.points.iter().filter_map(|point| moment::from_wire(point.timestamp.as_ref()?)).collect();
    let Some(timeline) = Timeline::new(&answer.calendar, &times) else {
        return "No events in this range.\n".into();
    };
    if form == Form::Table {
        return rows(&series.points);
    }
    if timeline.slots() <= MAX_ROWS {
        return rows_with_bars(&series.points, &timeline, width);
    }
    let values: Vec<f64> = series.points.iter().map(double).collect();
    let peak = if answer.observed() == WireObserved::Low { Peak::Lowest } else { Peak::Highest };
    let mut out = chart::columns(&timeline, &values, peak, width);
    let _ = writeln!(out, "{} points; --output table lists them.", values.len());
    out
}

fn rows(points: &[Point]) -> String {
    let row = |point: &Point| {
        [moment::rfc3339(point.timestamp.as_ref()), point.value.clone(), point.count.to_string()]
    };
    let rows: Vec<_> = points.iter().map(row).collect();
    table([("TIME", Align::Left), ("VALUE", Align::Right), ("COUNT", Align::Right)], &rows)
}

/// The table with a bar beside each value, and an empty row for each bucket that has
/// none.
fn rows_with_bars(points: &[Point], timeline: &Timeline, width: usize) -> String {
    let mut by_slot: Vec<Option<&Point>> = vec![None; timeline.slots()];
    for (index, point) in points.iter().enumerate() {
        by_slot[timeline.slot(index)] = Some(point);
    }
    let widest = |of: fn(&Point) -> usize| points.iter().map(of).max().unwrap_or(0).max(5);
    // The time, three gaps of two, and the two numbers come before the bar.
    let taken = 20 + 6 + widest(|p| p.value.len()) + widest(|p| p.count.to_string().len());
    let room = width.saturating_sub(taken).clamp(8, 60);
    let values: Vec<_> = by_slot.iter().map(|point| point.map(double)).collect();
    let bars = chart::bars(&values, room);
    let row = |(slot, bar): (usize, String)| {
        let time = timeline.time(slot).map(|time| time.to_string()).unwrap_or_default();
        let (value, count) = by_slot[slot]
            .map_or_else(Default::default, |point| (point.value.clone(), point.count.to_string()));
        [time, value, count, bar]
    };
    let rows: Vec<_> = bars.into_iter().enumerate().map(row).collect();
    let heading =
        [("TIME", Align::Left), ("VALUE", Align::Right), ("COUNT", Align::Right), ("", Align::Left)];
    table(heading, &rows)
}

/// The value for drawing.
fn double(point: &Point) -> f64 {
    point.value.parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn answer(calendar: &str, step: SignedDuration, values: &[Option<&str>]) -> QueryTimeSeriesResponse {
        let start: Timestamp = "2026-11-20T06:00:00Z".parse().unwrap();
        let mut points = Vec::new();
        let mut time = start;
        for value in values {
            if let Some(value) = value {
                let timestamp = Some(moment::to_wire(time));
                points.push(Point { timestamp, value: (*value).to_owned(), count: 7 });
            }
            time += step;
        }
        QueryTimeSeriesResponse {
            metric: "ODSLRequest/ReadRequestDuration".into(),
            calendar: calendar.into(),
            observed: WireObserved::Averaged.into(),
            unit: "ms".into(),
            start_time: Some(moment::to_wire(start)),
            end_time: Some(moment::to_wire(time)),
            series: vec![TimeSeries { labels: std::collections::HashMap::new(), points }],
            fresh_through: Some(moment::to_wire(time)),
        }
    }

    #[test]
    fn few_buckets_are_rows_with_bars() {
        let values = [Some("12.5"), Some("40"), None, Some("27.333333333")];
        let answer = answer("#PT1H", SignedDuration::from_hours(1), &values);
        let shown = page(&answer, "user = \"u\"", Form::Chart, 70);
        insta::assert_snapshot!(shown, @r#"
        ODSLRequest/ReadRequestDuration, averaged by #PT1H, in ms
        2026-11-20T06:00:00Z to 2026-11-20T10:00:00Z
        where user = "u"
        fresh through 2026-11-20T10:00:00Z

        TIME                         VALUE  COUNT
        2026-11-20T06:00:00Z          12.5      7  ████████▌
        2026-11-20T07:00:00Z            40      7  ███████████████████████████
        2026-11-20T08:00:00Z
        2026-11-20T09:00:00Z  27.333333333      7  ██████████████████▌
        "#);
    }

    #[test]
    fn a_table_lists_points_only() {
        let answer = answer("#PT1H", SignedDuration::from_hours(1), &[Some("1"), None, Some("2")]);
        insta::assert_snapshot!(page(&answer, "", Form::Table, 80), @r"
        ODSLRequest/ReadRequestDuration, averaged by #PT1H, in ms
        2026-11-20T06:00:00Z to 2026-11-20T09:00:00Z
        fresh through 2026-11-20T09:00:00Z

        TIME                  VALUE  COUNT
        2026-11-20T06:00:00Z      1      7
        2026-11-20T08:00:00Z      2      7
        ");
    }

    #[test]
    fn many_buckets_are_columns() {
        let texts: Vec<String> = (0..96).map(|i| (i * (96 - i)).to_string()).collect();
        let values: Vec<_> = texts.iter().map(|text| Some(text.as_str())).collect();
        let answer = answer("#PT15M", SignedDuration::from_mins(15), &values);
        insta::assert_snapshot!(page(&answer, "", Form::Chart, 80), @r"
        ODSLRequest/ReadRequestDuration, averaged by #PT15M, in ms
        2026-11-20T06:00:00Z to 2026-11-21T06:00:00Z
        fresh through 2026-11-21T06:00:00Z

        3000 ┤
             │
             │                     ▁▁▂▂▂▁▁
             │                ▃▄▆▇█████████▇▅▃▂
        2000 ┤            ▁▄▆██████████████████▇▅▂
             │          ▂▆████████████████████████▇▄▁
             │        ▃▇█████████████████████████████▅▁
             │      ▃▇█████████████████████████████████▅
        1000 ┤    ▁▆█████████████████████████████████████▄
             │   ▄████████████████████████████████████████▇▁
             │ ▁▇███████████████████████████████████████████▄
             │▃██████████████████████████████████████████████▆
           0 └────────────┬───────────────────────┬───────────
                          12:00                   2026-11-21
        Each column shows the highest of 2 buckets.
        96 points; --output table lists them.
        ");
    }

    #[test]
    fn nothing_is_said_in_words() {
        let mut answer = answer("#PT1H", SignedDuration::ZERO, &[]);
        answer.fresh_through = None;
        let shown = page(&answer, "", Form::Chart, 80);
        assert!(shown.ends_with("no data yet\n\nNo events in this range.\n"), "{shown}");
    }
}
