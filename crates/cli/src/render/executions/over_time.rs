//! Calls by type over hours or days.

use flowmeter_proto::v1::{ExecutionPoint, ExecutionSeries, Point, QueryExecutionsResponse, Series};
use jiff::{RoundMode, Timestamp, Unit, ZonedDateTimeRound};

use super::{Page, clock as clock_of};
use crate::{
    moment,
    render::{
        chart::Peak,
        clock::Clock,
        grouped,
        series::{Drawing, Form},
        timeline::Timeline,
    },
};

/// The maximum number of buckets that are filled with zeros where they have no calls. A longer range begins
/// long before the first execution, and no terminal can show it.
const MAX_FILLED: usize = 10_000;

/// The note above, and the table or chart. Both are empty if there are no calls.
pub(super) fn note_and_body(page: Page<'_>) -> (String, String) {
    let clock = clock_of(page.answer);
    let mut series: Vec<_> = page.answer.series.iter().map(to_series).collect();
    let points = page.answer.series.iter().flat_map(|series| &series.points);
    let mut times: Vec<_> = points.filter_map(time).collect();
    if times.is_empty() {
        return (String::new(), String::new());
    }
    let on = |times| Timeline::new(&page.answer.calendar, clock.zone(), times);
    let Some(mut timeline) = on(times.clone()) else { return (String::new(), String::new()) };
    if page.form == Form::Chart {
        times.extend(ends(page.answer, &clock));
        if let Some(whole) = on(times).filter(|whole| whole.slots() <= MAX_FILLED) {
            for series in &mut series {
                fill(series, &whole);
            }
            timeline = whole;
        }
    }
    let fresh = page.answer.fresh_through.as_ref().and_then(moment::from_wire);
    let interval = if page.answer.calendar == "#PT1H" { "hour" } else { "day" };
    let note = match fresh {
        Some(fresh) if timeline.goes_on(fresh) => format!("the last {interval} is not over yet\n"),
        _ => String::new(),
    };
    let drawing = Drawing { timeline, clock, peak: Peak::Highest, is_sum: true };
    let body = match page.form {
        Form::Table => grouped::rows(&series, &page.asked.group_by, &drawing),
        Form::Chart => grouped::lines(&series, &page.asked.group_by, &drawing, page.width),
    };
    (note, body)
}

fn time(point: &ExecutionPoint) -> Option<Timestamp> {
    moment::from_wire(point.timestamp.as_ref()?)
}

fn to_series(series: &ExecutionSeries) -> Series {
    let point = |point: &ExecutionPoint| Point {
        timestamp: point.timestamp,
        value: Some(point.count.to_string()),
        count: point.count,
    };
    Series { labels: series.labels.clone(), points: series.points.iter().map(point).collect() }
}

/// The starts of the first bucket of the range and of the last one that has begun, so that a chart shows
/// buckets without calls at both ends, too.
fn ends(answer: &QueryExecutionsResponse, clock: &Clock) -> Vec<Timestamp> {
    let wire = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(moment::from_wire);
    let unit = if answer.calendar == "#PT1H" { Unit::Hour } else { Unit::Day };
    let begin = |time: Timestamp| {
        let to_start = ZonedDateTimeRound::new().smallest(unit).mode(RoundMode::Trunc);
        Some(time.to_zoned_datetime(clock.zone().clone()).round(to_start).ok()?.timestamp())
    };
    let last = [wire(&answer.end_time), wire(&answer.fresh_through)].into_iter().flatten().min();
    let start = wire(&answer.start_time);
    // The end is exclusive.
    let last = last.and_then(|last| last.checked_sub(jiff::SignedDuration::from_micros(1)).ok());
    let last = last.filter(|last| start.is_none_or(|start| *last >= start));
    [start, last].into_iter().flatten().filter_map(begin).collect()
}

/// Adds a point with zero calls to each bucket without a point.
fn fill(series: &mut Series, timeline: &Timeline) {
    let mut by_slot: Vec<Option<Point>> = vec![None; timeline.slots()];
    for point in std::mem::take(&mut series.points) {
        let time = point.timestamp.as_ref().and_then(moment::from_wire);
        if let Some(place) = time.and_then(|time| by_slot.get_mut(timeline.slot(time))) {
            *place = Some(point);
        }
    }
    let none = |slot| Point {
        timestamp: timeline.time(slot).map(moment::to_wire),
        value: Some("0".into()),
        count: 0,
    };
    let points = by_slot.into_iter().enumerate().map(|(slot, point)| point.unwrap_or_else(|| none(slot)));
    series.points = points.collect();
}
