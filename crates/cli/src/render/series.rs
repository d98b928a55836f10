//! The answer to a time series query: a heading, then a single series as rows, bars or a column chart.
//! `grouped` shows several series.

use std::{borrow::Cow, fmt::Write};

use flowmeter_proto::v1::{Observed, Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use jiff::Timestamp;

use super::{
    chart::{self, Peak, Size},
    clock::Clock,
    grouped, notes,
    table::{Align, table},
    text::{self, printable, short_decimal},
    timeline::Timeline,
};
use crate::{moment, words};

/// The maximum number of buckets that a chart shows as rows with bars. A series with more buckets is a column
/// chart, so that it does not flood the terminal with rows.
pub(crate) const MAX_ROWS: usize = 40;

/// How to show an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All points, as text.
    Table,
    /// A chart, which includes the points if there are few.
    Chart,
}

/// The whole answer as text. A chart is at most `width` wide.
pub(crate) fn page(
    asked: &QueryTimeSeriesRequest,
    answer: &QueryTimeSeriesResponse,
    form: Form,
    width: usize,
) -> String {
    let (answer, to_come) = notes::split_future(answer, form);
    let answer = answer.as_ref();
    let points = answer.series.iter().flat_map(|series| &series.points);
    let times: Vec<Timestamp> = points.filter_map(time).collect();
    let ends = [&answer.start_time, &answer.end_time];
    let ends = ends.into_iter().flatten().filter_map(moment::from_wire);
    let clock = Clock::new(&answer.time_zone, times.iter().copied().chain(ends));

    let mut out = header(asked, answer, &clock);
    // A sentence says more than an empty chart. A table is still shown with its rows.
    let is_empty = answer.series.iter().flat_map(|series| &series.points).all(|point| point.count == 0);
    let timeline = Timeline::new(&answer.calendar, clock.zone(), times);
    let Some(timeline) = timeline.filter(|_| form == Form::Table || !is_empty) else {
        out.push('\n');
        out.push_str(&notes::nothing(asked, answer));
        return out;
    };
    out.push_str(&notes::of(asked, answer, &timeline, to_come, form));
    out.push('\n');
    let is_sum = matches!(answer.observed(), Observed::Summed | Observed::CountTrue | Observed::CountFalse);
    let drawing = Drawing { timeline, clock, peak: peak(answer), is_sum };
    match (answer.series.as_slice(), form) {
        ([series], form) if form == Form::Chart || series.labels.is_empty() => {
            let mut labels: Vec<_> = series.labels.iter().collect();
            labels.sort();
            for (name, value) in labels {
                let _ = writeln!(out, "{} = {}", printable(name), printable(grouped::label(value)));
            }
            out.push_str(&single(series, &drawing, form, width));
        }
        (series, Form::Table) => out.push_str(&grouped::rows(series, &asked.group_by, &drawing)),
        (series, Form::Chart) => out.push_str(&grouped::lines(series, &asked.group_by, &drawing, width)),
    }
    out
}

/// The properties that the series of an answer have in common.
#[derive(Debug)]
pub(crate) struct Drawing {
    /// The buckets of all series.
    pub(crate) timeline: Timeline,
    /// How to show times.
    pub(crate) clock: Clock,
    /// Which of the buckets that share a column is drawn.
    pub(crate) peak: Peak,
    /// Whether values can be added up.
    pub(crate) is_sum: bool,
}

impl Drawing {
    /// Whether the counts of points differ from their values.
    pub(crate) fn has_counts<'a>(&self, points: impl IntoIterator<Item = &'a Point>) -> bool {
        let is_count = |point: &Point| point.count == 0 || point.count.to_string() == value(point);
        !self.is_sum || !points.into_iter().all(is_count)
    }

    /// The point of each slot of the timeline.
    pub(crate) fn by_slot<'a>(&self, points: &'a [Point]) -> Vec<Option<&'a Point>> {
        let mut by_slot = vec![None; self.timeline.slots()];
        for point in points {
            if let Some(place) = time(point).and_then(|time| by_slot.get_mut(self.timeline.slot(time))) {
                *place = Some(point);
            }
        }
        by_slot
    }

    /// The value of each slot, to be drawn.
    pub(crate) fn values(&self, points: &[Point]) -> Vec<Option<f64>> {
        self.by_slot(points).into_iter().map(|point| double(point?)).collect()
    }
}

/// When the bucket of a point starts.
pub(crate) fn time(point: &Point) -> Option<Timestamp> {
    moment::from_wire(point.timestamp.as_ref()?)
}

/// The value as a table shows it. Empty without a value.
pub(crate) fn value(point: &Point) -> Cow<'_, str> {
    short_decimal(point.value.as_deref().unwrap_or_default())
}

/// The value for drawing.
fn double(point: &Point) -> Option<f64> {
    point.value.as_ref()?.parse().ok()
}

fn peak(answer: &QueryTimeSeriesResponse) -> Peak {
    if answer.observed() == Observed::Low { Peak::Lowest } else { Peak::Highest }
}

fn header(asked: &QueryTimeSeriesRequest, answer: &QueryTimeSeriesResponse, clock: &Clock) -> String {
    let mut out = String::new();
    if !asked.time_series.is_empty() {
        let _ = writeln!(out, "{}", printable(&asked.time_series));
    }
    let end = |time: &Option<prost_types::Timestamp>| {
        time.as_ref().and_then(moment::from_wire).map(|time| clock.time(time)).unwrap_or_default()
    };
    let unit = match words::unit(&answer.unit) {
        // A count needs no unit: the name of the metric or the aggregation says what is counted.
        "" | "count" => String::new(),
        unit => format!(", in {}", printable(unit)),
    };
    let _ = writeln!(
        out,
        "{}, {} by {}{unit}\n{} to {}{}",
        printable(&answer.metric),
        words::observed(answer.observed()),
        printable(&answer.calendar),
        end(&answer.start_time),
        end(&answer.end_time),
        printable(clock.label())
    );
    let mut conditions = Vec::new();
    for (name, value) in [("service", &asked.service), ("key", &asked.key)] {
        if !value.is_empty() {
            conditions.push(format!("{name} {}", printable(value)));
        }
    }
    if !conditions.is_empty() {
        let _ = writeln!(out, "of {}", conditions.join(", "));
    }
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

fn single(series: &Series, drawing: &Drawing, form: Form, width: usize) -> String {
    if form == Form::Table {
        return rows(&series.points, drawing);
    }
    if drawing.timeline.slots() <= MAX_ROWS {
        return rows_with_bars(&series.points, drawing, width);
    }
    let values = drawing.values(&series.points);
    let (mut out, per) = chart::columns(&drawing.timeline, &values, drawing.peak, Size::alone(width));
    out.push_str(&drawing.peak.legend(per, "buckets"));
    let _ = writeln!(out, "{} points; --output table lists them.", series.points.len());
    out
}

fn rows(points: &[Point], drawing: &Drawing) -> String {
    let has_counts = drawing.has_counts(points);
    let row = |point: &Point| {
        let time = time(point).map(|time| drawing.clock.time(time)).unwrap_or_default();
        let mut row = vec![time, value(point).into_owned()];
        row.extend(has_counts.then(|| point.count.to_string()));
        row
    };
    let rows: Vec<_> = points.iter().map(row).collect();
    table(heading(has_counts), rows)
}

fn heading(has_counts: bool) -> Vec<(&'static str, Align)> {
    let mut heading = vec![("TIME", Align::Left), ("VALUE", Align::Right)];
    heading.extend(has_counts.then_some(("COUNT", Align::Right)));
    heading
}

/// The table with a bar beside each value, and an empty row for each bucket without a point.
fn rows_with_bars(points: &[Point], drawing: &Drawing, width: usize) -> String {
    let by_slot = drawing.by_slot(points);
    let has_counts = drawing.has_counts(points);
    let time_of = |slot: usize| {
        let own = by_slot[slot].and_then(time).or_else(|| drawing.timeline.time(slot));
        own.map(|time| drawing.clock.time(time)).unwrap_or_default()
    };
    let widest = |of: fn(&Point) -> usize| points.iter().map(of).max().unwrap_or(0).max(5);
    let widest_time = (0..by_slot.len()).map(|slot| time_of(slot).len()).max().unwrap_or(0);
    // The time and the numbers come before the bar, each followed by a gap of two columns.
    let counts = if has_counts { widest(|p| p.count.to_string().len()) + 2 } else { 0 };
    let taken = widest_time + 4 + widest(|p| text::width(&value(p))) + counts;
    let room = width.saturating_sub(taken).clamp(8, 60);
    let bars = chart::bars(&drawing.values(points), room);
    let row = |(slot, bar): (usize, String)| {
        let point = by_slot[slot];
        let mut row = vec![time_of(slot), point.map(value).unwrap_or_default().into_owned()];
        if has_counts {
            row.push(point.map(|point| point.count.to_string()).unwrap_or_default());
        }
        row.push(bar);
        row
    };
    let rows: Vec<_> = bars.into_iter().enumerate().map(row).collect();
    let mut heading = heading(has_counts);
    heading.push(("", Align::Left));
    table(heading, rows)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn asked(filter: &str) -> QueryTimeSeriesRequest {
        QueryTimeSeriesRequest { filter: filter.into(), ..QueryTimeSeriesRequest::default() }
    }

    fn answer(calendar: &str, step: SignedDuration, values: &[Option<&str>]) -> QueryTimeSeriesResponse {
        let start: Timestamp = "2026-11-20T06:00:00Z".parse().unwrap();
        let mut points = Vec::new();
        let mut time = start;
        for value in values {
            if let Some(value) = value {
                let timestamp = Some(moment::to_wire(time));
                points.push(Point { timestamp, value: Some((*value).to_owned()), count: 7 });
            }
            time += step;
        }
        QueryTimeSeriesResponse {
            metric: "ODSLRequest/ReadRequestDuration".into(),
            calendar: calendar.into(),
            observed: Observed::Averaged.into(),
            unit: "ms".into(),
            start_time: Some(moment::to_wire(start)),
            end_time: Some(moment::to_wire(time)),
            series: vec![Series { labels: std::collections::HashMap::new(), points }],
            fresh_through: Some(moment::to_wire(time)),
            time_zone: "UTC".into(),
        }
    }

    #[test]
    fn few_buckets_are_rows_with_bars() {
        let values = [Some("12.5"), Some("40"), None, Some("27.333333333")];
        let answer = answer("#PT1H", SignedDuration::from_hours(1), &values);
        let shown = page(&asked("user = \"u\""), &answer, Form::Chart, 70);
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
        insta::assert_snapshot!(page(&asked(""), &answer, Form::Table, 80), @r"
        ODSLRequest/ReadRequestDuration, averaged by #PT1H, in ms
        2026-11-20T06:00:00Z to 2026-11-20T09:00:00Z
        fresh through 2026-11-20T09:00:00Z

        TIME                  VALUE  COUNT
        2026-11-20T06:00:00Z      1      7
        2026-11-20T08:00:00Z      2      7
        ");
    }

    #[test]
    fn very_large_and_small_values_keep_a_table_readable() {
        let large = format!("1{}", "0".repeat(300));
        let long = format!("{}.333333333", "12345".repeat(11));
        let small = format!("0.{}5", "0".repeat(323));
        let values = [Some(large.as_str()), Some(&long), Some(&small), Some("0.5")];
        let answer = answer("#PT1H", SignedDuration::from_hours(1), &values);
        let shown = page(&asked(""), &answer, Form::Table, 80);
        insta::assert_snapshot!(shown.split_once("\n\n").unwrap().1, @r"
        TIME                                   VALUE  COUNT
        2026-11-20T06:00:00Z                   1e300      7
        2026-11-20T07:00:00Z  1.2345123451234512…e54      7
        2026-11-20T08:00:00Z                  5e-324      7
        2026-11-20T09:00:00Z                     0.5      7
        ");
        let drawn = page(&asked(""), &answer, Form::Chart, 80);
        assert!(drawn.lines().all(|line| text::width(line) <= 80), "{drawn}");
        assert!(drawn.contains("1e300      7  ████"), "{drawn}");
    }

    #[test]
    fn counts_of_booleans_are_shown_beside_their_number() {
        let mut answer = answer("#P1D", SignedDuration::from_hours(24), &[Some("2"), Some("0")]);
        answer.metric = "asset/isFresh".into();
        (answer.observed, answer.unit) = (Observed::CountTrue.into(), "1".into());
        insta::assert_snapshot!(page(&asked(""), &answer, Form::Table, 80), @r"
        asset/isFresh, count-true by #P1D
        2026-11-20T06:00:00Z to 2026-11-22T06:00:00Z
        fresh through 2026-11-22T06:00:00Z

        TIME                  VALUE  COUNT
        2026-11-20T06:00:00Z      2      7
        2026-11-21T06:00:00Z      0      7
        ");
        answer.series[0].points.clear();
        let shown = page(&asked("asset_urn = x"), &answer, Form::Chart, 80);
        assert!(shown.ends_with("\n\nNo matching values in this range.\n"), "{shown}");
    }

    #[test]
    fn many_buckets_are_a_column_chart() {
        let texts: Vec<String> = (0..96).map(|i| (i * (96 - i)).to_string()).collect();
        let values: Vec<_> = texts.iter().map(|text| Some(text.as_str())).collect();
        let answer = answer("#PT15M", SignedDuration::from_mins(15), &values);
        insta::assert_snapshot!(page(&asked(""), &answer, Form::Chart, 80), @r"
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
    fn an_answer_without_events_is_a_sentence() {
        let mut answer = answer("#PT1H", SignedDuration::ZERO, &[]);
        answer.fresh_through = None;
        let shown = page(&asked(""), &answer, Form::Chart, 80);
        assert!(shown.ends_with("no data yet\n\nNo events in this range.\n"), "{shown}");
        answer.series.clear();
        assert_eq!(page(&asked(""), &answer, Form::Table, 80), shown);
    }

    #[test]
    fn the_day_of_25_hours_has_25_rows() {
        let values: Vec<_> = (0..25).map(|hour| (hour != 20).then_some("5")).collect();
        let mut answer = answer("#PT1H", SignedDuration::from_hours(1), &values);
        // Midnight in Berlin, where the clocks go back from 03:00 to 02:00.
        let midnight: Timestamp = "2026-10-24T22:00:00Z".parse().unwrap();
        for (hour, point) in (0..25).filter(|hour| *hour != 20).zip(&mut answer.series[0].points) {
            point.timestamp = Some(moment::to_wire(midnight + SignedDuration::from_hours(hour)));
        }
        answer.series[0].points[1].value = None;
        answer.series[0].points[1].count = 0;
        answer.start_time = Some(moment::to_wire(midnight));
        answer.end_time = Some(moment::to_wire(midnight + SignedDuration::from_hours(25)));
        answer.time_zone = "Europe/Berlin".into();
        let mut asked = asked("");
        asked.time_series = "objects/AAA/timeSeries/HOURLY".into();
        asked.service = "nova-api".into();
        asked.key = "AAA".into();
        let shown = page(&asked, &answer, Form::Chart, 60);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 7 + 25, "{shown}");
        insta::assert_snapshot!(lines[..12].join("\n"), @r"
        objects/AAA/timeSeries/HOURLY
        ODSLRequest/ReadRequestDuration, averaged by #PT1H, in ms
        2026-10-25T00:00:00+02:00 to 2026-10-26T00:00:00+01:00 in Europe/Berlin, where the clocks change
        of service nova-api, key AAA
        fresh through 2026-11-21T07:00:00Z

        TIME                       VALUE  COUNT
        2026-10-25T00:00:00+02:00      5      7  ███████████████████
        2026-10-25T01:00:00+02:00             0
        2026-10-25T02:00:00+02:00      5      7  ███████████████████
        2026-10-25T02:00:00+01:00      5      7  ███████████████████
        2026-10-25T03:00:00+01:00      5      7  ███████████████████
        ");
        assert_eq!(lines[27], "2026-10-25T19:00:00+01:00");
        answer.time_zone = "America/New_York".into();
        let shown = page(&asked, &answer, Form::Table, 60);
        insta::assert_snapshot!(shown.lines().skip(2).take(6).collect::<Vec<_>>().join("\n"), @r"
        2026-10-24T18:00:00 to 2026-10-25T19:00:00 in America/New_York, -04:00
        of service nova-api, key AAA
        fresh through 2026-11-21T07:00:00Z

        TIME                 VALUE  COUNT
        2026-10-24T18:00:00      5      7
        ");
    }
}
