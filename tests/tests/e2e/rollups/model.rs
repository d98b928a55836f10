//! The naive model: computes every answer directly from the events. Two things come from the product, and
//! have their own tests: the starts of a calendar's buckets, and whether an event matches a filter.

use std::collections::BTreeMap;

use flowmeter_core::filter::Filter;
use flowmeter_core::quantity::Quantity;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_proto::v1::{Fill, Measure, MethodClass, Metric, Observed, Point, Series};

use super::history::Events;

/// A query with all defaults filled in.
#[derive(Debug)]
pub struct ModelQuery {
    pub metric: Metric,
    pub observed: Observed,
    /// An event must match all of them.
    pub filters: Vec<String>,
    pub service: String,
    pub key: String,
    pub group_by: Vec<String>,
    pub fill: Fill,
}

impl ModelQuery {
    /// The matching events in a range, in the order of their ids, with the time and the measured value.
    pub fn taken<'a>(
        &self,
        events: &'a Events,
        start: i64,
        end: i64,
    ) -> Vec<(i64, &'a UsageEvent<'static>, i128)> {
        let selector = self.metric.selector.clone().unwrap_or_default();
        let (provider, _) = self.metric.name.split_once('/').unwrap();
        let texts = self.filters.iter().chain([&selector.filter]);
        let filters: Vec<Filter> = texts.map(|text| Filter::parse(text).unwrap()).collect();
        let methods: Option<&[&str]> = match selector.method_class() {
            MethodClass::Unspecified => None,
            MethodClass::Read => Some(&["get", "head", "options"]),
            MethodClass::Write => Some(&["post", "put", "patch"]),
            MethodClass::Delete => Some(&["delete"]),
        };
        let mut taken = Vec::new();
        for (id, event) in events {
            let at = id.timestamp().micros();
            let method = text(event, "method").to_ascii_lowercase();
            let counts = start <= at
                && at < end
                && text(event, "provider") == provider
                && methods.is_none_or(|methods| methods.contains(&method.as_str()))
                && (selector.action.is_empty() || text(event, "action") == selector.action)
                && (self.service.is_empty() || text(event, "service") == self.service)
                && (self.key.is_empty() || text(event, "key") == self.key)
                && filters.iter().all(|filter| filter.matches(event));
            if counts && let Some(billionths) = measured(self.metric.measure(), event) {
                taken.push((at, event, billionths));
            }
        }
        taken
    }

    /// The series of the events of a range, in buckets that begin at `starts`.
    pub fn answer(&self, events: &Events, (start, end): (i64, i64), starts: &[i64]) -> Vec<Series> {
        let mut groups: BTreeMap<Vec<String>, BTreeMap<i64, Vec<i128>>> = BTreeMap::new();
        if self.group_by.is_empty() {
            groups.entry(Vec::new()).or_default();
        }
        for (at, event, billionths) in self.taken(events, start, end) {
            let labels = self.group_by.iter().map(|label| text(event, label)).collect();
            let bucket = starts.iter().rfind(|start| **start <= at).expect("every event is in a bucket");
            groups.entry(labels).or_default().entry(*bucket).or_default().push(billionths);
        }
        let series = groups.into_iter().map(|(labels, buckets)| {
            let names = self.group_by.iter().map(|label| canonical(label).to_owned());
            Series { labels: names.zip(labels).collect(), points: self.points(&buckets, starts) }
        });
        series.collect()
    }

    fn points(&self, buckets: &BTreeMap<i64, Vec<i128>>, starts: &[i64]) -> Vec<Point> {
        let absent = match self.fill {
            Fill::Unspecified => None,
            Fill::Zero => Some(Some("0".to_owned())),
            Fill::Null => Some(None),
        };
        let mut points = Vec::new();
        for start in starts {
            let timestamp = Some(timestamp(*start));
            match (buckets.get(start), &absent) {
                (Some(values), _) => points.push(Point {
                    timestamp,
                    value: Some(observe(self.observed, values)),
                    count: i64::try_from(values.len()).unwrap(),
                }),
                (None, Some(value)) => points.push(Point { timestamp, value: value.clone(), count: 0 }),
                (None, None) => {}
            }
        }
        points
    }
}

/// A time in the contract.
pub fn timestamp(micros: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap(),
    }
}

/// The name of a label in answers.
fn canonical(label: &str) -> &str {
    label.strip_prefix("attributes.").unwrap_or(label)
}

/// The value of a text field, an attribute or the status. Empty if absent.
pub fn text(event: &UsageEvent<'_>, name: &str) -> String {
    if name == "httpstatus" {
        return event.http_status.map(|status| status.to_string()).unwrap_or_default();
    }
    if let Some(field) = TextField::ALL.into_iter().find(|field| field.name() == name) {
        return event.text(field).to_owned();
    }
    let name = canonical(name);
    let found = event.attributes.iter().find(|(attribute, _)| *attribute == name);
    found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
}

/// The measured value of an event in billionths, if it has one.
fn measured(measure: Measure, event: &UsageEvent<'_>) -> Option<i128> {
    const ONE: i128 = 1_000_000_000;
    match measure {
        Measure::Unspecified | Measure::Count => Some(ONE),
        Measure::Duration => event.duration_ms.map(|ms| i128::from(ms) * ONE),
        Measure::ResponseSize => event.response_bytes.map(|bytes| i128::from(bytes) * ONE),
        Measure::Value => event.value.map(Quantity::billionths),
    }
}

/// Aggregates values, which are in the order of their times.
fn observe(observed: Observed, values: &[i128]) -> String {
    let sum: i128 = values.iter().sum();
    decimal(match observed {
        Observed::Unspecified => panic!("the default was filled in"),
        Observed::Summed => sum,
        Observed::Averaged => {
            let count = i128::try_from(values.len()).unwrap();
            // Halves are rounded away from zero.
            (2 * sum.abs() + count) / (2 * count) * sum.signum()
        }
        Observed::High => *values.iter().max().unwrap(),
        Observed::Low => *values.iter().min().unwrap(),
        Observed::Beginning => values[0],
        Observed::End => values[values.len() - 1],
        Observed::CountTrue | Observed::CountFalse | Observed::FractionTrue => {
            panic!("events have no boolean values")
        }
    })
}

/// The shortest decimal of a number of billionths.
pub fn decimal(billionths: i128) -> String {
    let digits = format!("{:010}", billionths.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 9);
    let sign = if billionths < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
