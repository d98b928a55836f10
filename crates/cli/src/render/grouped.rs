//! Several series of one answer: a sparkline and figures for each series, or a table of all points.

use std::fmt::Write;

use flowmeter_proto::v1::{Point, Series};

use super::{
    chart,
    series::{Drawing, time, value},
    table::{Align, table},
    text::{self, shorten, width},
};
use crate::decimal::Decimal;

/// The maximum number of series in a chart. The largest are drawn.
const MAX_LINES: usize = 40;

/// Up to this number of series, a table has a column for each series. With more, it has a row for each point.
const MAX_COLUMNS: usize = 6;

/// The maximum width of a label, in terminal columns.
const LABEL: usize = 30;

/// The minimum and the maximum width of a sparkline, in terminal columns.
const LINE: std::ops::RangeInclusive<usize> = 12..=96;

/// Blocks are drawn wider than one column if the sparkline stays within this width.
const WIDE: usize = 48;

/// The text of a label's value. Events without the label form their own series, `(none)`.
pub(crate) fn label(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}

/// The names of the labels, in the requested order.
fn names<'a>(series: &'a [Series], group_by: &'a [String]) -> Vec<&'a str> {
    let mut names: Vec<&str> = group_by.iter().map(String::as_str).collect();
    let mut others: Vec<_> = series.iter().flat_map(|series| series.labels.keys()).collect();
    others.sort();
    for other in others {
        if !names.contains(&other.as_str()) {
            names.push(other);
        }
    }
    names
}

fn labels<'a>(series: &'a Series, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
    names.iter().map(|name| label(series.labels.get(*name).map_or("", String::as_str)))
}

/// A line for each series: its labels, its figures, and a sparkline with its own scale. At most `room` wide,
/// unless the labels and figures alone are wider.
pub(crate) fn lines(series: &[Series], group_by: &[String], drawing: &Drawing, room: usize) -> String {
    let names = names(series, group_by);
    let figures: Vec<_> = series.iter().map(|series| Figures::of(&series.points)).collect();
    let shown = largest(&figures, drawing.is_sum);

    let mut heading: Vec<(&str, Align)> = names.iter().map(|name| (*name, Align::Left)).collect();
    let titles = Figures::titles(&figures, drawing);
    heading.extend(titles.iter().map(|title| (*title, Align::Right)));
    let mut rows: Vec<Vec<String>> = Vec::new();
    for index in &shown {
        let mut row: Vec<_> = labels(&series[*index], &names).map(|label| shorten(label, LABEL)).collect();
        row.extend(titles.iter().map(|title| figures[*index].text(title)));
        rows.push(row);
    }
    let drawn = shown.iter().map(|index| &series[*index]);
    let taken = table(&heading, &rows).lines().map(width).max().unwrap_or(0);
    let (under, legend) = draw(drawn, drawing, room.saturating_sub(taken + 2), &mut rows);
    heading.push(("", Align::Left));
    if !under.is_empty() {
        let mut row = vec![String::new(); heading.len() - 1];
        row.push(under);
        rows.push(row);
    }

    let mut out = table(heading, rows) + &legend;
    if shown.len() < series.len() {
        let measure = if drawing.is_sum { "total" } else { "value" };
        let _ = writeln!(
            out,
            "The {} of {} series with the largest {measure}; --output table lists all.",
            shown.len(),
            series.len()
        );
    }
    out
}

/// Adds a sparkline of each series to its row. Returns the time axis below and the legend.
fn draw<'a>(
    series: impl Iterator<Item = &'a Series>,
    drawing: &Drawing,
    room: usize,
    rows: &mut [Vec<String>],
) -> (String, String) {
    let room = room.clamp(*LINE.start(), *LINE.end());
    let values: Vec<_> = series.map(|series| drawing.values(&series.points)).collect();
    let slots = drawing.timeline.slots();
    if slots == 1 {
        // With one bucket, bars compare the series.
        let values: Vec<_> = values.into_iter().map(|values| values[0]).collect();
        for (row, bar) in rows.iter_mut().zip(chart::bars(&values, room)) {
            row.push(bar);
        }
        return (String::new(), String::new());
    }
    let per = slots.div_ceil(room);
    // Few narrow blocks would be hard to see.
    let wide = (room.min(WIDE) / slots.div_ceil(per)).clamp(1, 4);
    for (row, values) in rows.iter_mut().zip(&values) {
        let line = chart::sparkline(&chart::shared(values, drawing.peak, per));
        row.push(line.chars().flat_map(|block| std::iter::repeat_n(block, wide)).collect());
    }
    let under = chart::place(&drawing.timeline.labels(per, wide));
    let ends = [0, slots - 1].map(|slot| drawing.timeline.time(slot));
    let ends = ends.map(|time| time.map(|time| drawing.clock.time(time)).unwrap_or_default());
    let legend = format!(
        "Buckets from {} to {}.\nEach line has its own scale, up to its MAX.\n{}",
        ends[0],
        ends[1],
        drawing.peak.legend(per, "buckets")
    );
    (under, legend)
}

/// The indexes of the series to draw: all in their order, or the largest in descending order if there are too
/// many.
fn largest(figures: &[Figures], is_sum: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..figures.len()).collect();
    if figures.len() <= MAX_LINES {
        return order;
    }
    let size = |index: &usize| if is_sum { figures[*index].total } else { figures[*index].max };
    order.sort_by_key(|index| std::cmp::Reverse(size(index)));
    order.truncate(MAX_LINES);
    order
}

/// The figures of one series, which are shown with at most three decimals.
#[derive(Debug, Default)]
struct Figures {
    total: Option<Decimal>,
    last: Option<Decimal>,
    min: Option<Decimal>,
    max: Option<Decimal>,
    count: i64,
}

impl Figures {
    fn of(points: &[Point]) -> Self {
        let count = points.iter().map(|point| point.count).sum();
        let values = points.iter().filter_map(|point| point.value.as_deref()).map(Decimal::parse);
        let Some(values) = values.collect::<Option<Vec<_>>>() else {
            // A value is too large for a `Decimal`. Figures of the other values would be wrong.
            return Self { count, ..Self::default() };
        };
        Self {
            total: values.iter().copied().try_fold(Decimal::default(), Decimal::checked_add),
            last: values.last().copied(),
            min: values.iter().copied().min(),
            max: values.iter().copied().max(),
            count,
        }
    }

    /// The titles of the figures to show, without meaningless and redundant ones.
    fn titles(figures: &[Self], drawing: &Drawing) -> Vec<&'static str> {
        let mut titles = match (drawing.timeline.slots(), drawing.is_sum) {
            (1, _) => vec!["VALUE"],
            (_, true) => vec!["TOTAL", "LAST", "MIN", "MAX"],
            (_, false) => vec!["LAST", "MIN", "MAX"],
        };
        let is_count = |figures: &Self| figures.text("TOTAL") == figures.text("COUNT");
        if !(drawing.is_sum && figures.iter().all(is_count)) {
            titles.push("COUNT");
        }
        titles
    }

    fn text(&self, title: &str) -> String {
        let number = |number: Option<Decimal>| {
            number.map(|number| text::grouped(number.rounded())).unwrap_or_default()
        };
        match title {
            "TOTAL" => number(self.total),
            "MIN" => number(self.min),
            "MAX" => number(self.max),
            "COUNT" => text::grouped(self.count),
            _ => number(self.last),
        }
    }
}

/// A table of all points. It has a column for each series if there are few series with short labels, and
/// otherwise a row for each point.
pub(crate) fn rows(series: &[Series], group_by: &[String], drawing: &Drawing) -> String {
    let names = names(series, group_by);
    let titles: Vec<String> =
        series.iter().map(|series| labels(series, &names).collect::<Vec<_>>().join(" / ")).collect();
    if series.len() <= MAX_COLUMNS && titles.iter().all(|title| width(title) <= LABEL) {
        return wide(series, &names, &titles, drawing);
    }
    let has_counts = drawing.has_counts(series.iter().flat_map(|series| &series.points));
    let mut heading = vec![("TIME", Align::Left)];
    heading.extend(names.iter().map(|name| (*name, Align::Left)));
    heading.push(("VALUE", Align::Right));
    heading.extend(has_counts.then_some(("COUNT", Align::Right)));
    let mut rows = Vec::new();
    for series in series {
        for point in &series.points {
            let mut row = vec![time(point).map(|time| drawing.clock.time(time)).unwrap_or_default()];
            row.extend(labels(series, &names).map(str::to_owned));
            row.push(value(point).into_owned());
            row.extend(has_counts.then(|| point.count.to_string()));
            rows.push(row);
        }
    }
    table(heading, rows)
}

/// A table with a column for each series and a row for each bucket in which a series has a value.
fn wide(series: &[Series], names: &[&str], titles: &[String], drawing: &Drawing) -> String {
    let mut heading = vec![("TIME", Align::Left)];
    heading.extend(titles.iter().map(|title| (title.as_str(), Align::Right)));
    let columns: Vec<_> = series.iter().map(|series| drawing.by_slot(&series.points)).collect();
    let mut rows = Vec::new();
    for slot in 0..drawing.timeline.slots() {
        let points: Vec<_> = columns.iter().map(|column| column[slot]).collect();
        let Some(known) = points.iter().flatten().next() else { continue };
        let mut row = vec![time(known).map(|time| drawing.clock.time(time)).unwrap_or_default()];
        row.extend(points.iter().map(|point| point.map(value).unwrap_or_default().into_owned()));
        rows.push(row);
    }
    format!("by {}\n{}", text::printable(&names.join(" / ")), table(heading, rows))
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::{Observed, QueryTimeSeriesRequest, QueryTimeSeriesResponse};
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        moment,
        render::series::{Form, page},
    };

    /// A series of hours with these labels. An hour whose value is `None` has no point.
    fn series(labels: &[(&str, &str)], values: &[Option<i64>]) -> Series {
        let start: Timestamp = "2026-11-20T06:00:00Z".parse().unwrap();
        let point = |(hour, value): (i64, &Option<i64>)| {
            let timestamp = Some(moment::to_wire(start + SignedDuration::from_hours(hour)));
            value.map(|value| Point { timestamp, value: Some(value.to_string()), count: value })
        };
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Series { labels: labels.collect(), points: (0..).zip(values).filter_map(point).collect() }
    }

    fn shown(group_by: &[&str], series: Vec<Series>, form: Form, zone: &str) -> String {
        let asked = QueryTimeSeriesRequest {
            group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
            ..QueryTimeSeriesRequest::default()
        };
        let answer = QueryTimeSeriesResponse {
            calendar: "#PT1H".into(),
            observed: Observed::Summed.into(),
            series,
            time_zone: zone.into(),
            ..QueryTimeSeriesResponse::default()
        };
        let page = page(&asked, &answer, form, 80);
        page.split_once("\n\n").unwrap().1.to_owned()
    }

    fn waves(hours: i64, height: i64) -> Vec<Option<i64>> {
        (0..hours).map(|hour| (hour % 11 != 7).then_some(height * (hour % 12))).collect()
    }

    fn three() -> Vec<Series> {
        let by = |application, user| [("application", application), ("user", user)];
        vec![
            series(&by("", "ann"), &waves(24, 1)),
            series(&by("web-shop", "ann"), &waves(20, 1000)),
            series(&by("言語処理", "an extraordinarily long name of a user"), &[None, Some(5)]),
        ]
    }

    #[test]
    fn meaningless_and_redundant_figures_are_left_out() {
        let mut series = vec![series(&[("s", "a")], &waves(30, 1)), series(&[("s", "b")], &waves(30, 2))];
        series[0].points[3].count += 1;
        let heading = shown(&["s"], series, Form::Chart, "").lines().next().unwrap().to_owned();
        assert_eq!(heading, "s  TOTAL  LAST  MIN  MAX  COUNT");
    }

    #[test]
    fn each_series_is_a_line() {
        let shown = shown(&["user", "application"], three(), Form::Chart, "Europe/Berlin");
        insta::assert_snapshot!(shown, @r"
        user                            application   TOTAL   LAST  MIN     MAX
        ann                             (none)          119     11    0      11  ▁▂▄▄▇█▁▂▄▅▇█
        ann                             web-shop     81 000  7 000    0  11 000  ▁▂▄▄▇█▁▂▄▅
        an extraordinarily long name …  言語処理          5      5    5       5  █
        Buckets from 2026-11-20T07:00:00 to 2026-11-21T06:00:00.
        Each line has its own scale, up to its MAX.
        Each column shows the highest of 2 buckets.
        ");
    }

    #[test]
    fn a_few_blocks_are_drawn_wide() {
        let two = vec![
            series(&[("s", "a")], &[Some(1), Some(4), Some(2)]),
            series(&[("s", "b")], &[Some(9), None, Some(3)]),
        ];
        insta::assert_snapshot!(shown(&["s"], two, Form::Chart, "UTC"), @r"
        s  TOTAL  LAST  MIN  MAX
        a      7     2    1    4  ▂▂▂▂████▄▄▄▄
        b     12     3    3    9  ████    ▃▃▃▃
        Buckets from 2026-11-20T06:00:00Z to 2026-11-20T08:00:00Z.
        Each line has its own scale, up to its MAX.
        ");
    }

    #[test]
    fn one_bucket_is_compared_by_bars() {
        let one = |name: &str, value| series(&[("service", name)], &[Some(value)]);
        let series = vec![one("nova-api", 90), one("nova-metadata", 45), one("", 1)];
        insta::assert_snapshot!(shown(&["service"], series, Form::Chart, "UTC"), @r"
        service        VALUE
        nova-api          90  ██████████████████████████████████████████████████████████
        nova-metadata     45  █████████████████████████████
        (none)             1  ▋
        ");
    }

    #[test]
    fn long_lines_share_columns() {
        let two = vec![series(&[("s", "a")], &waves(240, 1)), series(&[("s", "b")], &waves(240, 3))];
        insta::assert_snapshot!(shown(&["s"], two, Form::Chart, "UTC"), @r"
        s  TOTAL  LAST  MIN  MAX
        a  1 205    11    0   11  ▃▇█▅█▃▇█▆█▄█▃▇█▅█▄▇▂▆█▄█▃▇█▄█▄▇█▆█▄█▃▇█▅█▄▇█▆▇▄█
        b  3 615    33    0   33  ▃▇█▅█▃▇█▆█▄█▃▇█▅█▄▇▂▆█▄█▃▇█▄█▄▇█▆█▄█▃▇█▅█▄▇█▆▇▄█
                                               2026-11-23
        Buckets from 2026-11-20T06:00:00Z to 2026-11-30T05:00:00Z.
        Each line has its own scale, up to its MAX.
        Each column shows the highest of 5 buckets.
        ");
    }

    #[test]
    fn few_series_are_columns_of_a_table() {
        let two = vec![
            series(&[("service", "nova-api"), ("user", "")], &[Some(1), None, None, Some(4)]),
            series(&[("service", "größe"), ("user", "ann")], &[Some(10), Some(20), None, None]),
        ];
        insta::assert_snapshot!(shown(&["service", "user"], two, Form::Table, ""), @r"
        by service / user
        TIME                  nova-api / (none)  größe / ann
        2026-11-20T06:00:00Z                  1           10
        2026-11-20T07:00:00Z                              20
        2026-11-20T09:00:00Z                  4
        ");
    }

    #[test]
    fn many_series_or_long_labels_are_rows_of_a_table() {
        let shown_long = shown(&["application", "user"], three(), Form::Table, "");
        let last: Vec<_> = shown_long.lines().skip(38).collect();
        insta::assert_snapshot!(last.join("\n"), @r"
        2026-11-20T22:00:00Z  web-shop     ann                                      4000
        2026-11-20T23:00:00Z  web-shop     ann                                      5000
        2026-11-21T01:00:00Z  web-shop     ann                                      7000
        2026-11-20T07:00:00Z  言語処理     an extraordinarily long name of a user      5
        ");
        let many = (0..7).map(|n| series(&[("user", &n.to_string())], &[Some(n), Some(n)])).collect();
        let shown = shown(&["user"], many, Form::Table, "");
        assert_eq!(shown.lines().count(), 15, "{shown}");
    }

    #[test]
    fn only_the_largest_of_many_series_are_drawn() {
        let many = (0..100).map(|n| series(&[("user", &format!("u{n:02}"))], &[Some(n * 7 % 100), Some(1)]));
        let shown = shown(&["user"], many.collect(), Form::Chart, "");
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines[1 + 40 + 2],
            "The 40 of 100 series with the largest total; --output table lists all."
        );
        assert!(!shown.contains("u00") && shown.contains("u57"), "{shown}");
    }

    proptest! {
        #[test]
        fn figures_are_exact(values in prop::collection::vec(prop::option::of(-1000_i64..1000), 1..50)) {
            let figures = Figures::of(&series(&[], &values).points);
            let known: Vec<i64> = values.iter().flatten().copied().collect();
            let text = |number: Option<i64>| number.map(text::grouped).unwrap_or_default();
            let total: i64 = known.iter().sum();
            prop_assert_eq!(figures.text("TOTAL"), text(Some(total)));
            prop_assert_eq!(figures.text("LAST"), text(known.last().copied()));
            prop_assert_eq!(figures.text("MIN"), text(known.iter().min().copied()));
            prop_assert_eq!(figures.text("MAX"), text(known.iter().max().copied()));
            prop_assert_eq!(figures.count, total);
        }

        #[test]
        fn lines_fit_the_width(
            hours in 1_i64..400,
            names in prop::collection::vec("\\PC{0,12}", 2..10),
        ) {
            let series = names.iter().map(|name| series(&[("l", name)], &waves(hours, 900)));
            let shown = shown(&["l"], series.collect(), Form::Chart, "");
            for line in shown.lines().filter(|line| !line.starts_with("Buckets")) {
                prop_assert!(width(line) <= 80, "{shown}");
            }
        }
    }

    #[test]
    fn a_series_with_a_too_large_value_has_no_figures() {
        let mut points = series(&[], &[Some(1), Some(2)]).points;
        points[0].value = Some("9".repeat(40));
        let figures = Figures::of(&points);
        let shown = ["TOTAL", "LAST", "MIN", "MAX", "COUNT"].map(|title| figures.text(title));
        assert_eq!(shown, ["", "", "", "", "3"]);
    }
}
