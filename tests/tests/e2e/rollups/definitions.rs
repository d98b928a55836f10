//! Random definitions of tenants.

use std::time::Duration;

use flowmeter_core::calendar;
use flowmeter_proto::v1::backfill::State;
use flowmeter_proto::v1::calendar::Kind;
use flowmeter_proto::v1::{
    Calendar, CreateCalendarRequest, CreateMetricRequest, CreateTimeSeriesRequest, DayOfWeek,
    DeleteMetricRequest, IntervalCalendar, LabelSet, ListMetricsRequest, Measure, MethodClass, Metric,
    Observed, Selector, TimeSeries, UpdateCalendarRequest, UpdateMetricRequest, UpdateTimeSeriesRequest,
    WorkingDayCalendar,
};
use flowmeter_tests::Tenant;
use jiff::civil::Weekday;
use prost_types::FieldMask;

use super::filters::{self, LABELS};
use super::history::{ACTIONS, PROVIDERS};
use crate::dice::Dice;

/// Names of a tenant's metrics: few, so that deleted ones are defined again.
const NAMES: [&str; 4] = ["Load", "Bytes", "Runs.2", "x_y-z"];
pub const ZONES: [&str; 11] = [
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Monrovia",
];
pub const OBSERVED: [Observed; 6] =
    [Observed::Summed, Observed::Averaged, Observed::High, Observed::Low, Observed::Beginning, Observed::End];

/// The current definitions of a tenant.
#[derive(Default)]
pub struct Defined {
    pub metrics: Vec<Metric>,
    pub calendars: Vec<(Calendar, calendar::Calendar)>,
    pub time_series: Vec<TimeSeries>,
}

/// The built-in metrics that take events of the history.
pub fn built_in() -> Vec<Metric> {
    let request = [["service"].as_slice(), &["application", "method"], &["httpstatus"]];
    let process = [["name"].as_slice(), &["trigger", "status"]];
    let azure = [["queue"].as_slice()];
    [
        ("ODSLRequest/ReadRequests", MethodClass::Read, Measure::Count, "1", Observed::Summed),
        ("ODSLRequest/WriteRequests", MethodClass::Write, Measure::Count, "1", Observed::Summed),
        ("ODSLRequest/DeleteRequests", MethodClass::Delete, Measure::Count, "1", Observed::Summed),
        ("ODSLRequest/ReadRequestDuration", MethodClass::Read, Measure::Duration, "ms", Observed::Averaged),
        (
            "ODSLRequest/ReadRequestResponseSize",
            MethodClass::Read,
            Measure::ResponseSize,
            "By",
            Observed::Averaged,
        ),
        ("ODSLProcess/RunRequests", MethodClass::Unspecified, Measure::Count, "1", Observed::Summed),
        (
            "ODSLProcess/RunRequestDuration",
            MethodClass::Unspecified,
            Measure::Duration,
            "ms",
            Observed::Averaged,
        ),
        ("AzureServiceBus/Size", MethodClass::Unspecified, Measure::Value, "By", Observed::Averaged),
        ("AzureServiceBus/IncomingMessages", MethodClass::Unspecified, Measure::Value, "1", Observed::Summed),
        (
            "AzureServiceBus/ServerSendLatency",
            MethodClass::Unspecified,
            Measure::Value,
            "ms",
            Observed::Averaged,
        ),
    ]
    .into_iter()
    .map(|(full, class, measure, unit, observed)| {
        let (provider, name) = full.split_once('/').unwrap();
        let (action, sets) = match provider {
            "AzureServiceBus" => (name, azure.as_slice()),
            "ODSLProcess" => ("", process.as_slice()),
            _ => ("", request.as_slice()),
        };
        Metric {
            name: full.into(),
            selector: Some(Selector {
                method_class: class.into(),
                action: action.into(),
                filter: String::new(),
            }),
            measure: measure.into(),
            unit: unit.into(),
            default_observed: observed.into(),
            label_sets: sets.iter().map(|labels| label_set(labels)).collect(),
            ..Metric::default()
        }
    })
    .collect()
}

fn label_set(labels: &[&str]) -> LabelSet {
    LabelSet { labels: labels.iter().map(ToString::to_string).collect() }
}

/// A random definition of a metric.
fn metric(dice: &mut Dice, name: String) -> Metric {
    let classes = [MethodClass::Unspecified, MethodClass::Read, MethodClass::Write, MethodClass::Delete];
    let mut label_sets: Vec<LabelSet> = Vec::new();
    for _ in 0..dice.below(4) {
        let mut labels = dice.some_of(&LABELS, 3);
        labels.sort_unstable();
        let set = label_set(&labels);
        if !labels.is_empty() && !label_sets.contains(&set) {
            label_sets.push(set);
        }
    }
    Metric {
        name,
        selector: Some(Selector {
            method_class: dice.of(&classes).into(),
            action: if dice.once_in(4) { dice.of(&ACTIONS).into() } else { String::new() },
            filter: if dice.once_in(2) { filters::without_patterns(dice) } else { String::new() },
        }),
        measure: dice
            .of(&[Measure::Count, Measure::Duration, Measure::ResponseSize, Measure::Value, Measure::Value])
            .into(),
        unit: dice.of(&["", "EUR"]).into(),
        default_observed: if dice.once_in(2) { dice.of(&OBSERVED).into() } else { 0 },
        label_sets,
        ..Metric::default()
    }
}

/// Fills in the defaults of a definition.
fn complete(mut metric: Metric) -> Metric {
    if metric.unit.is_empty() {
        metric.unit = match metric.measure() {
            Measure::Unspecified | Measure::Count => "1",
            Measure::Duration => "ms",
            Measure::ResponseSize => "By",
            Measure::Value => "",
        }
        .into();
    }
    if metric.default_observed == 0 {
        let is_count = metric.measure() == Measure::Count;
        metric.set_default_observed(if is_count { Observed::Summed } else { Observed::Averaged });
    }
    metric
}

/// Defines, changes and deletes some metrics.
pub async fn change_metrics(dice: &mut Dice, tenant: &Tenant, defined: &mut Defined) {
    let mut catalog = tenant.catalog.clone();
    for _ in 0..=dice.below(4) {
        let name = format!("{}/{}", dice.of(&PROVIDERS), dice.of(&NAMES));
        let new = metric(dice, name.clone());
        let Some(at) = defined.metrics.iter().position(|metric| metric.name == name) else {
            let request = CreateMetricRequest { metric: Some(new.clone()) };
            catalog.create_metric(request).await.unwrap_or_else(|error| panic!("{new:?}: {error}"));
            defined.metrics.push(complete(new));
            continue;
        };
        if dice.once_in(3) {
            catalog.delete_metric(DeleteMetricRequest { name, version: 0 }).await.unwrap();
            defined.metrics.remove(at);
            continue;
        }
        let current = &mut defined.metrics[at];
        let paths: &[&str] = dice.of(&[[].as_slice(), &["selector"], &["label_sets"], &["default_observed"]]);
        match paths {
            [] => *current = complete(new.clone()),
            ["selector"] => current.selector.clone_from(&new.selector),
            ["label_sets"] => current.label_sets.clone_from(&new.label_sets),
            _ => {
                current.default_observed = new.default_observed;
                *current = complete(current.clone());
            }
        }
        let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        catalog.update_metric(UpdateMetricRequest { metric: Some(new), update_mask }).await.unwrap();
    }
}

/// Whether all events that are older than their metrics are rolled up.
pub async fn are_backfilled(tenant: &Tenant) -> bool {
    let listed = tenant.catalog.clone().list_metrics(ListMetricsRequest::default()).await.unwrap();
    let metrics = listed.into_inner().metrics;
    metrics
        .iter()
        .filter_map(|metric| metric.backfill.as_ref())
        .all(|backfill| backfill.state() == State::Done)
}

/// Defines the tenant's calendars, or changes them.
pub async fn change_calendars(dice: &mut Dice, tenant: &Tenant, defined: &mut Defined) {
    let intervals = [
        ("P1D", "PT6H"),
        ("PT1H", "PT20M"),
        ("PT45M", ""),
        ("PT6H", "PT1H30M"),
        ("P1M", "P14D"),
        ("P1W", "P1DT12H"),
        ("P2D", ""),
        ("P1Y", "P31D"),
    ];
    let holidays =
        ["2024-02-29", "25 of December, shifted", "last Monday in May", "easter + 1 day", "1 of January"];
    let is_new = defined.calendars.is_empty();
    defined.calendars.clear();
    for code in ["Fine", "Coarse", "Work"] {
        let time_zone = dice.of(&ZONES).to_owned();
        let (kind, definition) = if code == "Work" {
            let weekend = dice.of(&[[6, 7].as_slice(), &[5, 6], &[7], &[]]);
            let holidays = dice.some_of(&holidays, 4);
            let kind = Kind::WorkingDays(WorkingDayCalendar {
                weekend: weekend
                    .iter()
                    .map(|day| DayOfWeek::try_from(i32::from(*day)).unwrap().into())
                    .collect(),
                holidays: holidays.iter().map(ToString::to_string).collect(),
            });
            let definition = calendar::Definition::WorkingDays {
                weekend: weekend.iter().map(|day| Weekday::from_monday_one_offset(*day).unwrap()).collect(),
                zone: time_zone.clone(),
                holidays: holidays.iter().map(|holiday| holiday.parse().unwrap()).collect(),
            };
            (kind, definition)
        } else {
            let (interval, offset) = dice.of(if code == "Fine" { &intervals[..4] } else { &intervals[4..] });
            let minutes = match offset {
                "" => 0,
                "PT20M" => 20,
                "PT1H30M" => 90,
                "PT6H" => 360,
                "P1DT12H" => 36 * 60,
                "P14D" => 14 * 1_440,
                _ => 31 * 1_440,
            };
            let kind = Kind::Interval(IntervalCalendar { interval: interval.into(), offset: offset.into() });
            let definition = calendar::Definition::Interval {
                interval: interval.into(),
                zone: time_zone.clone(),
                offset: Duration::from_mins(minutes),
            };
            (kind, definition)
        };
        let new = Calendar { code: code.into(), time_zone, kind: Some(kind), ..Calendar::default() };
        let mut catalog = tenant.catalog.clone();
        if is_new {
            let request = CreateCalendarRequest { calendar: Some(new.clone()) };
            catalog.create_calendar(request).await.unwrap_or_else(|error| panic!("{new:?}: {error}"));
        } else {
            let request = UpdateCalendarRequest { calendar: Some(new.clone()), update_mask: None };
            catalog.update_calendar(request).await.unwrap_or_else(|error| panic!("{new:?}: {error}"));
        }
        let meant = calendar::Calendar::defined(code, &definition).unwrap();
        defined.calendars.push((new, meant));
    }
}

/// Defines the time series of an object, or changes them.
pub async fn change_time_series(dice: &mut Dice, tenant: &Tenant, defined: &mut Defined) {
    let is_new = defined.time_series.is_empty();
    let metrics: Vec<Metric> = built_in().into_iter().chain(defined.metrics.iter().cloned()).collect();
    let once = |dice: &mut Dice, text: String| if dice.once_in(2) { text } else { String::new() };
    defined.time_series.clear();
    for id in ["HOURLY", "DAILY", "x"] {
        let metric = dice.of(&metrics);
        let (provider, of) = metric.name.split_once('/').unwrap();
        let own = dice.of(&["Fine", "Coarse", "Work"]).to_owned();
        let calendar = once(dice, own);
        let (filter, zone) = (filters::of_metric(dice, &metric), dice.of(&ZONES).to_owned());
        let new = TimeSeries {
            name: format!("objects/A B/timeSeries/{id}"),
            provider: provider.into(),
            metric: of.into(),
            calendar,
            observed: if dice.once_in(2) { dice.of(&OBSERVED).into() } else { 0 },
            filter: once(dice, filter),
            time_zone: once(dice, zone),
            ..TimeSeries::default()
        };
        let mut catalog = tenant.catalog.clone();
        if is_new {
            let request = CreateTimeSeriesRequest {
                parent: "objects/A B".into(),
                time_series_id: id.into(),
                time_series: Some(new.clone()),
            };
            catalog.create_time_series(request).await.unwrap();
        } else {
            let request = UpdateTimeSeriesRequest { time_series: Some(new.clone()), update_mask: None };
            catalog.update_time_series(request).await.unwrap();
        }
        defined.time_series.push(new);
    }
}
