//! Asset metrics: accepted metrics, the history and the current values of an asset, and the list of
//! assets.

use std::fmt::Write;

use flowmeter_proto::v1::{
    Asset, AssetMetric, EmitAssetMetricsResponse, GetLatestAssetMetricsRequest,
    GetLatestAssetMetricsResponse, LatestAssetMetric, ListAssetMetricsRequest, ListAssetMetricsResponse,
    ListAssetsRequest, ListAssetsResponse, asset_metric::ValueType,
};
use jiff::{Timestamp, tz::TimeZone};
use prost_types::{Value, value::Kind};

use super::{
    chart::{self, Peak, Size},
    series::{Form, MAX_ROWS},
    table::{Align, properties, table},
    text::{self, counted, grouped, printable, short_decimal, shorten},
    timeline::Timeline,
};
use crate::{moment, words};

/// The maximum width of a text in a table, in columns.
const TEXT: usize = 60;
/// The width that a text can always take, in columns, however narrow the terminal is.
const SHORT_TEXT: usize = 16;
/// The widths of a type and of a time to the microsecond, each with the gap before it.
const TYPE: usize = 2 + 7;
const TIME: usize = 2 + 27;

/// The width that is left for texts beside the widest of these names and `more` further columns.
fn room<'a>(columns: usize, names: impl Iterator<Item = &'a str>, more: usize) -> usize {
    let widest = names.map(|name| text::width(&printable(name))).max().unwrap_or_default();
    columns.saturating_sub(widest + 2 + more).clamp(SHORT_TEXT, TEXT)
}

/// The metrics that were accepted for an asset, in either form. Texts are cut to fit `columns`.
pub(crate) fn emitted(urn: &str, answer: &EmitAssetMetricsResponse, columns: usize) -> String {
    let names = answer.metrics.iter().map(|metric| metric.name.as_str()).chain([answer.name.as_str()]);
    let room = room(columns, names, TYPE);
    let row = |name: &str, value: &Option<Value>, value_type| {
        [
            name.to_owned(),
            show(value.as_ref(), value_type, room),
            words::asset::value_type(value_type).to_owned(),
        ]
    };
    let mut rows: Vec<_> =
        answer.metrics.iter().map(|metric| row(&metric.name, &metric.value, metric.value_type())).collect();
    if rows.is_empty() {
        rows.push(row(&answer.name, &answer.value, answer.value_type()));
    }
    let head = properties(&[
        ("asset", urn.to_owned()),
        ("time", moment::rfc3339(answer.timestamp.as_ref())),
        ("request", answer.request_id.clone()),
    ]);
    format!("{head}\n{}", table([("NAME", Align::Left), ("VALUE", Align::Left), ("TYPE", Align::Left)], rows))
}

/// The metrics of an asset by time. A chart of a single numeric metric is at most `width` wide. A table cuts
/// its texts to fit `columns`.
pub(crate) fn history(
    asked: &ListAssetMetricsRequest,
    answer: &ListAssetMetricsResponse,
    form: Form,
    (width, columns): (usize, usize),
) -> String {
    let has_more = !answer.next_page_token.is_empty();
    let times = match (answer.documents.len() as u64, has_more) {
        (0, _) => "no metrics in this time range".to_owned(),
        (count, false) => counted(count, "time"),
        (count, true) => format!("the first {}", counted(count, "time")),
    };
    let head = head(&asked.asset_urn, &times, answer.fresh_through.as_ref());
    if answer.documents.is_empty() {
        return head;
    }
    let points = numbers(asked, answer).filter(|_| form == Form::Chart);
    let body = match points {
        Some(points) => drawing(&asked.names[0], &points, has_more, width),
        None => rows(answer, columns),
    };
    format!("{head}\n{body}")
}

/// The current values of an asset. Texts are cut to fit `columns`.
pub(crate) fn latest(
    asked: &GetLatestAssetMetricsRequest,
    answer: &GetLatestAssetMetricsResponse,
    columns: usize,
) -> String {
    let metrics = match answer.metrics.len() {
        0 => "no matching metrics".to_owned(),
        count => counted(count as u64, "metric"),
    };
    let head = head(&asked.asset_urn, &metrics, answer.fresh_through.as_ref());
    if answer.metrics.is_empty() {
        return head;
    }
    let room = room(columns, answer.metrics.iter().map(|metric| metric.name.as_str()), TYPE + TIME);
    let row = |metric: &LatestAssetMetric| {
        [
            metric.name.clone(),
            show(metric.value.as_ref(), metric.value_type(), room),
            words::asset::value_type(metric.value_type()).to_owned(),
            moment::rfc3339(metric.timestamp.as_ref()),
        ]
    };
    let rows: Vec<_> = answer.metrics.iter().map(row).collect();
    let heading = ["NAME", "VALUE", "TYPE", "TIME"].map(|title| (title, Align::Left));
    format!("{head}\n{}", table(heading, rows))
}

/// A table of assets.
pub(crate) fn list(asked: &ListAssetsRequest, answer: &ListAssetsResponse) -> String {
    match answer.assets.as_slice() {
        [] if asked.prefix.is_empty() => {
            "No assets. `flowmeter asset emit URN NAME=VALUE` creates one.".into()
        }
        [] => "No assets have a URN with this prefix.".into(),
        assets => {
            let row = |asset: &Asset| [asset.urn.clone(), moment::rfc3339(asset.create_time.as_ref())];
            let rows: Vec<_> = assets.iter().map(row).collect();
            table([("URN", Align::Left), ("CREATED", Align::Left)], rows)
        }
    }
}

fn head(urn: &str, what: &str, fresh_through: Option<&prost_types::Timestamp>) -> String {
    let mut head = format!("{}, {what}\n", printable(urn));
    if fresh_through.is_some() {
        let _ = writeln!(head, "fresh through {}", moment::rfc3339(fresh_through));
    }
    head
}

/// A value as a table shows it. A text is at most `columns` wide. A number looks the same whether it came as
/// a double or as a text, and no digit of it is cut.
fn show(value: Option<&Value>, value_type: ValueType, columns: usize) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(double)) => short_decimal(&double.to_string()).into_owned(),
        Some(Kind::BoolValue(boolean)) => boolean.to_string(),
        Some(Kind::StringValue(text)) if value_type == ValueType::Number => printable(text).into_owned(),
        Some(Kind::StringValue(text)) => shorten(text, columns),
        _ => String::new(),
    }
}

/// A row for each metric. Only the first row of each time shows the time.
fn rows(answer: &ListAssetMetricsResponse, columns: usize) -> String {
    let metrics = answer.documents.iter().flat_map(|document| &document.metrics);
    let room = room(columns, metrics.map(|metric| metric.name.as_str()), TYPE + TIME);
    let mut rows = Vec::new();
    for document in &answer.documents {
        for (at, metric) in document.metrics.iter().enumerate() {
            let time = moment::rfc3339(document.timestamp.as_ref());
            rows.push([
                if at == 0 { time } else { String::new() },
                metric.name.clone(),
                show(metric.value.as_ref(), metric.value_type(), room),
                words::asset::value_type(metric.value_type()).to_owned(),
            ]);
        }
    }
    table(["TIME", "NAME", "VALUE", "TYPE"].map(|title| (title, Align::Left)), rows)
}

/// A number at a time.
struct Point {
    time: Timestamp,
    /// The digits of the number.
    text: String,
    /// The number for drawing.
    double: f64,
}

/// The points of the requested metric. None unless a single metric was requested and all values are numbers.
fn numbers(asked: &ListAssetMetricsRequest, answer: &ListAssetMetricsResponse) -> Option<Vec<Point>> {
    if asked.names.len() != 1 {
        return None;
    }
    let point = |time: Option<Timestamp>, metric: &AssetMetric| {
        let text = show(metric.value.as_ref(), metric.value_type(), TEXT);
        let double = text.parse().ok().filter(|_| metric.value_type() == ValueType::Number)?;
        Some(Point { time: time?, text, double })
    };
    let documents = answer.documents.iter();
    let points = documents.flat_map(|document| {
        let time = document.timestamp.as_ref().and_then(moment::from_wire);
        document.metrics.iter().map(move |metric| point(time, metric))
    });
    points.collect()
}

/// A bar beside each value, or a column chart if there are many values. `has_more` says that further values
/// exist.
fn drawing(name: &str, points: &[Point], has_more: bool, width: usize) -> String {
    if points.len() > MAX_ROWS {
        return columns(name, points, has_more, width);
    }
    let values: Vec<_> = points.iter().map(|point| Some(point.double)).collect();
    let times: Vec<_> = points.iter().map(|point| point.time.to_string()).collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    // The time and the number come before the bar, each followed by a gap of two columns.
    let taken = widest(&mut times.iter().map(String::len))
        + widest(&mut points.iter().map(|point| point.text.len())).max(text::width(&printable(name)))
        + 4;
    let bars = chart::bars(&values, width.saturating_sub(taken).clamp(8, 60));
    let rows =
        times.into_iter().zip(points).zip(bars).map(|((time, point), bar)| [time, point.text.clone(), bar]);
    let rows: Vec<_> = rows.collect();
    table([("TIME", Align::Left), (name, Align::Right), ("", Align::Left)], rows)
}

/// The lengths of time that a column can stand for, from the shortest to the longest. If all are too short,
/// it is a year.
const STEPS: [(&str, &str); 13] = [
    ("#PT1S", "second"),
    ("#PT10S", "10 seconds"),
    ("#PT1M", "minute"),
    ("#PT5M", "5 minutes"),
    ("#PT15M", "15 minutes"),
    ("#PT30M", "30 minutes"),
    ("#PT1H", "hour"),
    ("#PT3H", "3 hours"),
    ("#PT6H", "6 hours"),
    ("#PT12H", "12 hours"),
    ("#P1D", "day"),
    ("#P1W", "week"),
    ("#P1M", "month"),
];

/// The step for histories that are long or terminals that are narrow.
const YEARS: (&str, &str) = ("#P1Y", "year");

/// A column chart of the highest value in each step of time. The step is the shortest for which there is
/// room. Steps without values have no column.
fn columns(name: &str, points: &[Point], has_more: bool, width: usize) -> String {
    let times: Vec<_> = points.iter().map(|point| point.time).collect();
    // The labels on the left are about 10 columns wide.
    let room = width.saturating_sub(10);
    let on = |(calendar, step)| Some((Timeline::new(calendar, &TimeZone::UTC, times.clone())?, step));
    let fits = |step: &(Timeline, _)| step.0.slots() <= room;
    let Some((timeline, step)) = STEPS.into_iter().filter_map(on).find(fits).or_else(|| on(YEARS)) else {
        return String::new();
    };
    let mut values: Vec<Option<f64>> = vec![None; timeline.slots()];
    for point in points {
        if let Some(highest) = values.get_mut(timeline.slot(point.time)) {
            *highest = Some(highest.map_or(point.double, |value| value.max(point.double)));
        }
    }
    let (columns, _) = chart::columns(&timeline, &values, Peak::Highest, Size::alone(width));
    let first = if has_more { "The first " } else { "" };
    format!(
        "{}, highest value per {step}\n{columns}{first}{} values; --output table lists them.\n",
        printable(name),
        grouped(points.len())
    )
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn texts_are_cut_to_leave_room_for_other_columns() {
        let names = ["score", "größe"];
        assert_eq!(room(80, names.into_iter(), TYPE + TIME), 35);
        assert_eq!(room(40, names.into_iter(), TYPE + TIME), SHORT_TEXT);
        assert_eq!(room(usize::MAX, names.into_iter(), TYPE), TEXT);
    }

    /// The first line and the width of a drawing of `count` values, one every `hours` hours.
    fn drawn(hours: i64, count: usize, width: usize) -> (String, usize) {
        let start: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        let times = start.series(hours.hours()).take(count);
        let points: Vec<_> = times.map(|time| Point { time, text: "1".into(), double: 1.0 }).collect();
        let drawing = columns("n", &points, false, width);
        let widest = drawing.lines().filter(|line| line.contains('█')).map(text::width).max();
        (drawing.lines().next().unwrap().to_owned(), widest.unwrap())
    }

    #[test]
    fn column_charts_fit_their_width() {
        for (hours, count, width, step) in [
            (1, 48, 80, "hour"),
            (1, 100, 80, "3 hours"),
            (24, 60, 80, "day"),
            (24, 365, 80, "week"),
            (24, 365, 120, "week"),
            (24, 2_000, 20, "year"),
            (24 * 365, 60, 10, "year"),
        ] {
            let (title, widest) = drawn(hours, count, width);
            assert_eq!(title, format!("n, highest value per {step}"));
            // The narrowest drawing consists of eight columns and the labels.
            assert!(widest <= width.max(14), "{widest} columns of {width}, by {step}");
        }
    }
}
