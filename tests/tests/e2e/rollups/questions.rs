//! Random queries for time series, for the real service and for the model.

use std::fmt::Write;

use flowmeter_core::calendar::Calendar;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{Fill, Metric, Observed, QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use flowmeter_tests::Tenant;
use jiff::tz::TimeZone;
use tonic::Code;

use super::definitions::{Defined, OBSERVED, ZONES, built_in};
use super::filters::{self, LABELS};
use super::history::{Events, History, texts};
use super::model::ModelQuery;
use super::ranges::{self, Bound, Unit, Written};
use crate::dice::Dice;

/// The default of the service.
const MAX_POINTS: usize = 25_000;
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A query as a request, and as the model reads it.
#[derive(Debug)]
pub struct Question {
    request: QueryTimeSeriesRequest,
    asked: ModelQuery,
    calendar: Calendar,
    range: Written,
}

impl Question {
    pub fn random(dice: &mut Dice, defined: &Defined, history: &History) -> Self {
        let metrics: Vec<Metric> = built_in().into_iter().chain(defined.metrics.iter().cloned()).collect();
        let stored = dice.of(&defined.time_series);
        let of_stored = format!("{}/{}", stored.provider, stored.metric);
        let found = metrics.iter().find(|metric| metric.name == of_stored);
        let own = !defined.metrics.is_empty() && dice.once_in(2);
        let (metric, stored) = match found {
            Some(metric) if dice.once_in(4) => (metric.clone(), Some(stored)),
            _ => (dice.of(if own { &defined.metrics } else { &metrics }), None),
        };
        let scale = scale(dice, history);
        let code = if dice.once_in(8) { String::new() } else { dice.of(scale.calendars).to_owned() };
        let in_force = match &stored {
            Some(stored) if code.is_empty() => &stored.calendar,
            _ => &code,
        };
        let calendar = calendar(defined, in_force);
        let mut request = QueryTimeSeriesRequest {
            calendar: code.clone(),
            observed: if dice.once_in(4) { 0 } else { dice.of(&OBSERVED).into() },
            filter: filters::of_metric(dice, &metric),
            group_by: group_by(dice, &metric),
            time_zone: if dice.once_in(2) { dice.of(&ZONES).to_owned() } else { String::new() },
            fill: dice.of(&[Fill::Unspecified, Fill::Unspecified, Fill::Zero, Fill::Null]).into(),
            service: if dice.once_in(6) { dice.of(texts("service")).into() } else { String::new() },
            key: if dice.once_in(8) { dice.of(texts("key")).into() } else { String::new() },
            ..QueryTimeSeriesRequest::default()
        };
        let mut filters = vec![request.filter.clone()];
        let mut observed = request.observed();
        let mut zone = request.time_zone.clone();
        match &stored {
            None => request.metric.clone_from(&metric.name),
            Some(stored) => {
                request.time_series.clone_from(&stored.name);
                filters.push(stored.filter.clone());
                observed = if observed == Observed::Unspecified { stored.observed() } else { observed };
                zone = if zone.is_empty() { stored.time_zone.clone() } else { zone };
            }
        }
        if observed == Observed::Unspecified {
            observed = metric.default_observed();
        }
        let calendar = match zone.as_str() {
            "" => calendar,
            name => calendar.in_zone(TimeZone::get(name).unwrap()),
        };
        let range = scale.range(dice, calendar.zone());
        request.range.clone_from(&range.text);
        let asked = ModelQuery {
            metric,
            observed,
            filters,
            service: request.service.clone(),
            key: request.key.clone(),
            group_by: request.group_by.clone(),
            fill: request.fill(),
        };
        Self { request, asked, calendar, range }
    }

    /// Runs the query, and returns what is wrong with the answer.
    pub async fn check(&self, tenant: &Tenant, events: &Events) -> Result<(), String> {
        let mut query = tenant.query.clone();
        let before = Timestamp::now().micros();
        let answer = query.query_time_series(self.request.clone()).await;
        let after = Timestamp::now().micros();
        let wrong = match answer {
            Ok(answer) => self.compare(&answer.into_inner(), events, (before, after)),
            Err(status) if status.code() == Code::InvalidArgument && self.is_too_long(events, after) => {
                Ok(())
            }
            Err(status) => Err(status.to_string()),
        };
        wrong.map_err(|wrong| format!("{}\n  {wrong}\n  {:?}", shown(&self.request), self.asked.metric))
    }

    /// Whether the answer has too many points.
    fn is_too_long(&self, events: &Events, now: i64) -> bool {
        let end = match self.range.end {
            Bound::At(end) => end,
            Bound::Ahead(least) => least.max(now + HOUR),
            Bound::Relative => return false,
        };
        matches!(self.range.start, Bound::At(start) if self.points(events, (start, end)).is_none())
    }

    /// The series of a range. None if the range has too many buckets.
    fn points(&self, events: &Events, (start, end): (i64, i64)) -> Option<Vec<Series>> {
        let range = TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) };
        let starts = self.calendar.bucket_starts(range, MAX_POINTS as u64).ok()?;
        let starts: Vec<i64> = starts.into_iter().map(Timestamp::micros).collect();
        let series = self.asked.answer(events, (start, end), &starts);
        let points: usize = series.iter().map(|series| series.points.len()).sum();
        (points <= MAX_POINTS).then_some(series)
    }

    fn compare(
        &self,
        answer: &QueryTimeSeriesResponse,
        events: &Events,
        now: (i64, i64),
    ) -> Result<(), String> {
        let (start, end) = self.placed(answer, now)?;
        let zone = self.calendar.zone().iana_name().unwrap();
        let described =
            (&answer.metric, &answer.unit, answer.observed(), &answer.calendar, answer.time_zone.as_str());
        let metric = &self.asked.metric;
        let expected = (&metric.name, &metric.unit, self.asked.observed, &self.calendar.to_string(), zone);
        if described != expected {
            return Err(format!("expected {expected:?}, found {described:?}"));
        }
        let expected =
            self.points(events, (start, end)).ok_or("expected an error because of too many points")?;
        if answer.series == expected {
            return Ok(());
        }
        let mut wrong = difference(&expected, &answer.series);
        let taken = self.asked.taken(events, start, end);
        writeln!(wrong, "  {} events match, such as", taken.len()).unwrap();
        for (at, event, _) in taken.iter().take(12) {
            writeln!(wrong, "    {} {event:?}", Timestamp::from_micros(*at)).unwrap();
        }
        Err(wrong)
    }

    /// Checks the range of the answer, and returns it.
    fn placed(
        &self,
        answer: &QueryTimeSeriesResponse,
        (before, after): (i64, i64),
    ) -> Result<(i64, i64), String> {
        let micros = |at: &Option<prost_types::Timestamp>| {
            at.map(|at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000).unwrap()
        };
        let (start, end) = (micros(&answer.start_time), micros(&answer.end_time));
        let fits = |bound: Bound, found: i64| match bound {
            Bound::At(expected) => found == expected,
            Bound::Ahead(least) => (least.max(before + HOUR)..=least.max(after + HOUR + 1)).contains(&found),
            Bound::Relative => true,
        };
        let mut right = start < end && fits(self.range.start, start) && fits(self.range.end, end);
        if let Some(buckets) = self.range.text.strip_prefix("last(").and_then(|rest| rest.strip_suffix(')')) {
            let range = TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) };
            let starts = self.calendar.bucket_starts(range, MAX_POINTS as u64).unwrap();
            // There is no bucket before the epoch.
            let all = starts.len().to_string() == buckets || start <= 0;
            let whole = starts[0].micros() == start && all;
            right = right && whole && starts[starts.len() - 1].micros() <= after && before < end;
        }
        let at = |micros| Timestamp::from_micros(micros).to_string();
        let found = format!("{} to {}", at(start), at(end));
        if right {
            Ok((start, end))
        } else {
            Err(format!("expected the range at {:?}, found {found}", self.range))
        }
    }
}

/// The calendar with a code, or the default calendar.
fn calendar(defined: &Defined, code: &str) -> Calendar {
    match defined.calendars.iter().find(|(calendar, _)| calendar.code == code) {
        Some((_, calendar)) => calendar.clone(),
        None if code.is_empty() => Calendar::parse("#PT1H").unwrap(),
        None => Calendar::parse(code).unwrap(),
    }
}

/// The kept labels of a metric, or any labels.
fn group_by(dice: &mut Dice, metric: &Metric) -> Vec<String> {
    match dice.below(4) {
        0 | 1 => Vec::new(),
        2 if !metric.label_sets.is_empty() => {
            let labels = dice.of(&metric.label_sets).labels;
            dice.some_of(&labels, 3)
        }
        _ => dice.some_of(&LABELS, 3).into_iter().map(str::to_owned).collect(),
    }
}

/// The length of the range of a query, and suitable calendars.
struct Scale {
    calendars: &'static [&'static str],
    units: &'static [Unit],
    /// None if the range is open or relative to now.
    range: Option<(Timestamp, Timestamp)>,
}

fn scale(dice: &mut Dice, history: &History) -> Scale {
    const FINE: [Unit; 4] = [Unit::Hour, Unit::Minute, Unit::Second, Unit::Micro];
    const DAYS: [Unit; 4] = [Unit::Day, Unit::Hour, Unit::Minute, Unit::Day];
    const MONTHS: [Unit; 4] = [Unit::Month, Unit::Week, Unit::Day, Unit::Minute];
    const YEARS: [Unit; 4] = [Unit::Year, Unit::Quarter, Unit::Month, Unit::Second];
    let (calendars, units, most): (&[&str], &[Unit], i64) = match dice.below(6) {
        0 | 1 => (&["#PT1M", "#PT5M", "#PT7M", "Fine", "#PT15M", "#PT1H"], &FINE, 6 * HOUR),
        2 => (&["#PT15M", "#PT30M", "#PT1H", "Fine", "#PT6H", "#PT90M"], &DAYS, 4 * DAY),
        3 => (
            &["DAILY", "#P1D", "BUSINESS", "#HENG", "#PT6H", "#PT12H", "Coarse", "Work", "#P1W", "#PT1H"],
            &MONTHS,
            40 * DAY,
        ),
        4 => (
            &["MONTHLY", "#P1M", "#P3M", "#P1Y", "#P1W", "Coarse", "Work", "BUSINESS", "#HENG"],
            &YEARS,
            4 * 366 * DAY,
        ),
        _ => {
            let calendars = &["#P1M", "#P1Y", "#P3M", "Coarse", "MONTHLY", "#P1W", "#PT1H", "DAILY"];
            return Scale { calendars, units: &[], range: None };
        }
    };
    let first = history.time(dice);
    let length = if dice.once_in(4) { 0 } else { dice.between(1, most) };
    let last = Timestamp::from_micros(first.micros() + length);
    Scale { calendars, units, range: Some((first, last)) }
}

impl Scale {
    fn range(&self, dice: &mut Dice, zone: &TimeZone) -> Written {
        match self.range {
            Some((first, last)) => ranges::between(dice, first, last, self.units, zone),
            None if dice.once_in(3) => {
                let at = dice.between(0, 2_000_000_000);
                ranges::open(dice, Timestamp::from_micros(at * 1_000_000), zone)
            }
            None => ranges::relative(dice),
        }
    }
}

/// The fields of a request that are not empty.
pub fn shown(request: &QueryTimeSeriesRequest) -> String {
    let QueryTimeSeriesRequest { metric, time_series, calendar, range, filter, .. } = request;
    let texts = [
        ("metric", metric),
        ("time_series", time_series),
        ("calendar", calendar),
        ("range", range),
        ("filter", filter),
        ("time_zone", &request.time_zone),
        ("service", &request.service),
        ("key", &request.key),
    ];
    let mut shown = String::from("{");
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        write!(shown, "{name}: {text:?}, ").unwrap();
    }
    let (observed, fill) = (request.observed().as_str_name(), request.fill().as_str_name());
    write!(shown, "group_by: {:?}, observed: {observed}, fill: {fill}}}", request.group_by).unwrap();
    shown
}

/// Describes how two answers differ.
fn difference(expected: &[Series], found: &[Series]) -> String {
    let keys = |all: &[Series]| all.iter().map(|series| format!("{:?}", series.labels)).collect::<Vec<_>>();
    if expected.iter().map(|series| &series.labels).ne(found.iter().map(|series| &series.labels)) {
        return format!("expected the series {:?}\n  found {:?}\n", keys(expected), keys(found));
    }
    let mut text = String::new();
    for (expected, found) in expected.iter().zip(found) {
        let point = |point: &flowmeter_proto::v1::Point| {
            let at = point.timestamp.unwrap();
            let at = Timestamp::from_seconds_nanos(at.seconds, at.nanos).unwrap();
            format!("{at} {:?} of {}", point.value, point.count)
        };
        let (expected_points, found_points): (Vec<_>, Vec<_>) =
            (expected.points.iter().map(point).collect(), found.points.iter().map(point).collect());
        for missing in expected_points.iter().filter(|point| !found_points.contains(point)).take(8) {
            writeln!(text, "{:?} expected {missing}", expected.labels).unwrap();
        }
        for other in found_points.iter().filter(|point| !expected_points.contains(point)).take(8) {
            writeln!(text, "{:?} found {other}", expected.labels).unwrap();
        }
    }
    if text.is_empty() { "the points are in another order\n".into() } else { text }
}
