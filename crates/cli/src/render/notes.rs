//! Notes that explain an answer: incomplete and future buckets, labels that no event has, and answers without
//! data.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write};

use flowmeter_proto::v1::{Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use jiff::Timestamp;

use super::{
    series::{Form, time},
    text::printable,
    timeline::Timeline,
};
use crate::{moment, resource::is_of_assets};

/// The answer to show, and the number of its future buckets. An answer that is filled contains future
/// buckets. A chart leaves them out, because they would look like buckets without events.
pub(super) fn split_future(
    answer: &QueryTimeSeriesResponse,
    form: Form,
) -> (Cow<'_, QueryTimeSeriesResponse>, usize) {
    let fresh_through = answer.fresh_through.as_ref().and_then(moment::from_wire);
    let is_to_come = |point: &Point| point.count == 0 && time(point) > fresh_through;
    let points = answer.series.iter().flat_map(|series| &series.points);
    let to_come: BTreeSet<_> = points.filter(|point| is_to_come(point)).filter_map(time).collect();
    if fresh_through.is_none() || to_come.is_empty() {
        return (Cow::Borrowed(answer), 0);
    }
    if form == Form::Table {
        return (Cow::Borrowed(answer), to_come.len());
    }
    let mut shown = answer.clone();
    for series in &mut shown.series {
        series.points.retain(|point| !is_to_come(point));
    }
    (Cow::Owned(shown), to_come.len())
}

/// Says that the answer has no data. If the query has a filter, it names the command that lists possible
/// values.
pub(super) fn nothing(asked: &QueryTimeSeriesRequest, answer: &QueryTimeSeriesResponse) -> String {
    let is_narrowed = [&asked.filter, &asked.service, &asked.key].into_iter().any(|text| !text.is_empty());
    if is_of_assets(&answer.metric) {
        let such = if is_narrowed { "No matching values" } else { "No values" };
        return format!("{such} in this range.\n");
    }
    if is_narrowed {
        return "No matching events in this range. `flowmeter values FIELD` lists the values of a field.\n"
            .into();
    }
    "No events in this range.\n".into()
}

/// Notes on the buckets at both ends, and on labels that no event has, one per line.
pub(super) fn of(
    asked: &QueryTimeSeriesRequest,
    answer: &QueryTimeSeriesResponse,
    timeline: &Timeline,
    to_come: usize,
    form: Form,
) -> String {
    let mut out = String::new();
    let at = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(moment::from_wire);
    let (start, end, fresh) = (at(&answer.start_time), at(&answer.end_time), at(&answer.fresh_through));
    let is_before = |one: Option<Timestamp>, other: Option<Timestamp>| {
        one.zip(other).is_some_and(|(one, other)| one < other)
    };
    let cut = (is_before(timeline.time(0), start), to_come == 0 && is_before(end, timeline.end()));
    let which = match cut {
        (true, true) if timeline.slots() == 1 => "the bucket lies",
        (true, true) => "the first and the last bucket lie",
        (true, false) => "the first bucket lies",
        (false, true) => "the last bucket lies",
        (false, false) => "",
    };
    if !which.is_empty() {
        let _ = writeln!(out, "{which} only partly in the range, and only that part is counted");
    }
    let goes_on = fresh.is_some_and(|fresh| timeline.goes_on(fresh)) && !cut.1;
    match to_come {
        0 if goes_on => out.push_str("the last bucket is not over yet\n"),
        0 if timeline.end().is_none() && is_before(fresh, end) => {
            out.push_str("the range is not over yet: its last bucket may still grow\n");
        }
        0 => {}
        _ => {
            let _ = writeln!(
                out,
                "{to_come} {} still to come{}{}",
                if to_come == 1 { "bucket is" } else { "buckets are" },
                if form == Form::Chart { " and not shown" } else { "" },
                if goes_on { "; the one before is not over yet" } else { "" }
            );
        }
    }
    for name in &asked.group_by {
        let lacks = |series: &Series| series.labels.get(name).is_none_or(String::is_empty);
        if answer.series.iter().all(lacks) {
            let _ = writeln!(out, "none of these events has {}", printable(name));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::Observed;
    use jiff::SignedDuration;

    use super::*;
    use crate::render::series::page;

    fn asked(filter: &str) -> QueryTimeSeriesRequest {
        QueryTimeSeriesRequest { filter: filter.into(), ..QueryTimeSeriesRequest::default() }
    }

    /// An answer with an hour for each of these numbers of events, starting at 06:00.
    fn counted(counts: &[i64]) -> QueryTimeSeriesResponse {
        let start: Timestamp = "2026-11-20T06:00:00Z".parse().unwrap();
        let at = |hour: usize| start + SignedDuration::from_hours(hour.try_into().unwrap());
        let point = |(hour, count): (usize, &i64)| Point {
            timestamp: Some(moment::to_wire(at(hour))),
            value: Some(count.to_string()),
            count: *count,
        };
        let end = Some(moment::to_wire(at(counts.len())));
        QueryTimeSeriesResponse {
            metric: "ODSLRequest/ReadRequests".into(),
            calendar: "#PT1H".into(),
            observed: Observed::Summed.into(),
            unit: "1".into(),
            start_time: Some(moment::to_wire(start)),
            end_time: end,
            series: vec![Series {
                points: counts.iter().enumerate().map(point).collect(),
                ..Series::default()
            }],
            fresh_through: end,
            time_zone: "UTC".into(),
        }
    }

    fn wire(time: &str) -> prost_types::Timestamp {
        moment::to_wire(time.parse().unwrap())
    }

    #[test]
    fn incomplete_buckets_are_noted() {
        let mut answer = counted(&[3, 12, 4]);
        let notes = |answer: &QueryTimeSeriesResponse, form| {
            let shown = page(&asked(""), answer, form, 80);
            let header = shown.split("\n\n").next().unwrap();
            header.lines().skip(3).map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(notes(&answer, Form::Table), "");
        answer.fresh_through = Some(wire("2026-11-20T08:20:00Z"));
        assert_eq!(notes(&answer, Form::Chart), "the last bucket is not over yet");
        answer.start_time = Some(wire("2026-11-20T06:30:00Z"));
        let first = "the first bucket lies only partly in the range, and only that part is counted";
        assert_eq!(notes(&answer, Form::Chart), format!("{first}\nthe last bucket is not over yet"));
        answer.end_time = Some(wire("2026-11-20T08:10:00Z"));
        let both =
            "the first and the last bucket lie only partly in the range, and only that part is counted";
        assert_eq!(notes(&answer, Form::Table), both);
    }

    #[test]
    fn future_buckets_are_not_drawn() {
        let mut answer = counted(&[3, 12, 0, 0]);
        answer.fresh_through = Some(wire("2026-11-20T07:20:00Z"));
        insta::assert_snapshot!(page(&asked(""), &answer, Form::Chart, 60), @r"
        ODSLRequest/ReadRequests, summed by #PT1H
        2026-11-20T06:00:00Z to 2026-11-20T10:00:00Z
        fresh through 2026-11-20T07:20:00Z
        2 buckets are still to come and not shown; the one before is not over yet

        TIME                  VALUE
        2026-11-20T06:00:00Z      3  ███████▊
        2026-11-20T07:00:00Z     12  ███████████████████████████████
        ");
        let table = page(&asked(""), &answer, Form::Table, 60);
        assert!(table.contains("\n2 buckets are still to come; the one before is not over yet\n"), "{table}");
        assert_eq!(table.lines().count(), 5 + 1 + 4);
        // The answer has only future buckets, or no events.
        answer.fresh_through = Some(wire("2026-11-20T05:00:00Z"));
        answer.series[0].points.drain(..2);
        assert!(page(&asked(""), &answer, Form::Chart, 60).ends_with("\n\nNo events in this range.\n"));
        answer.fresh_through = Some(wire("2026-11-21T05:00:00Z"));
        let shown = page(&asked("user = a"), &answer, Form::Chart, 60);
        assert!(shown.contains("No matching events in this range."), "{shown}");
        assert_eq!(page(&asked("user = a"), &answer, Form::Table, 60).lines().count(), 5 + 1 + 2);
    }

    #[test]
    fn a_label_that_no_event_has_is_noted() {
        let asked = QueryTimeSeriesRequest { group_by: vec!["nope".into()], ..asked("") };
        let shown = page(&asked, &counted(&[3]), Form::Table, 60);
        assert!(shown.contains("\nnone of these events has nope\n\n"), "{shown}");
    }

    #[test]
    fn counts_are_shown_once() {
        insta::assert_snapshot!(page(&asked(""), &counted(&[3, 12]), Form::Table, 80), @r"
        ODSLRequest/ReadRequests, summed by #PT1H
        2026-11-20T06:00:00Z to 2026-11-20T08:00:00Z
        fresh through 2026-11-20T08:00:00Z

        TIME                  VALUE
        2026-11-20T06:00:00Z      3
        2026-11-20T07:00:00Z     12
        ");
        let mut averaged = counted(&[1]);
        averaged.observed = Observed::Averaged.into();
        assert!(page(&asked(""), &averaged, Form::Table, 80).contains("VALUE  COUNT"));
    }
}
