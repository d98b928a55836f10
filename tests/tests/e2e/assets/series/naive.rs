//! Random values of assets, random queries, and their answers computed naively from the values. Only the starts of a
//! calendar's buckets come from the product; they have their own tests.

use std::collections::BTreeMap;

use flowmeter_core::calendar::Calendar;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{
    AssetDocument, Fill, Observed, Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series,
};
use flowmeter_tests::{Tenant, request_id};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost_types::Value;
use tonic::Code;

use super::super::{document, metric, timestamp};
use crate::dice::Dice;

/// Clocks in Berlin are set back on October 27th, 2024, those in New York on November 3rd.
const FIRST: i64 = 1_729_641_600;
const DAYS: i64 = 14;
const MAX_POINTS: usize = 25_000;

const URNS: [&str; 6] = ["urn:a", "urn:a:1", "urn:b", "urn:B", "b", "ürn"];
const NUMBERS: [Observed; 6] =
    [Observed::Summed, Observed::Averaged, Observed::High, Observed::Low, Observed::Beginning, Observed::End];
const BOOLEANS: [Observed; 3] = [Observed::CountTrue, Observed::CountFalse, Observed::FractionTrue];
const CALENDARS: [&str; 9] = ["", "#PT1H", "#PT15M", "#PT6H", "#P1D", "DAILY", "BUSINESS", "#P1W", "MONTHLY"];
const ZONES: [&str; 4] = ["", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];

/// The maximum number of decimals. Numbers are kept here multiplied by 10 to this power.
const DECIMALS: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Valued {
    Number(i128),
    Boolean(bool),
    Text,
}

/// The name of an asset metric, and a time in microseconds.
type Key = (&'static str, i64, &'static str);

/// A value with its time and its asset.
type At<'a> = (i64, &'a str, Valued);

/// The newest values.
#[derive(Debug, Default)]
pub struct World(BTreeMap<Key, Valued>);

impl World {
    /// Requests with values, some of which replace others, and their ids, in random order.
    pub fn write(&mut self, dice: &mut Dice) -> Vec<(String, Vec<AssetDocument>)> {
        let mut requests = Vec::new();
        for _ in 0..6 {
            let id = request_id();
            let mut documents: BTreeMap<Key, AssetDocument> = BTreeMap::new();
            for _ in 0..150 {
                let seconds = FIRST + dice.between(0, DAYS * 86_400);
                let at = match dice.below(4) {
                    // On the boundary of an hour, or just before it.
                    0 => (seconds - seconds.rem_euclid(3_600)) * 1_000_000,
                    1 => (seconds - seconds.rem_euclid(900)) * 1_000_000 - 1,
                    _ => seconds * 1_000_000 + dice.between(0, 999_999),
                };
                let name = dice.of(&["quality", "isActive", "mixed"]);
                let valued = Valued::random(dice, name);
                let new = (dice.of(&URNS), at, name);
                // An existing key in a third of the cases.
                let known = self.0.keys().filter(|key| key.2 == name);
                let known: Vec<_> = if dice.once_in(3) { known.copied().collect() } else { Vec::new() };
                let key = if known.is_empty() { new } else { dice.of(&known) };
                let (urn, at, name) = key;
                let written = document(urn, Some(timestamp(at)), vec![metric(name, valued.written())]);
                documents.insert(key, written);
                self.0.insert(key, valued);
            }
            requests.push((id, documents.into_values().collect()));
        }
        dice.shuffle(&mut requests);
        requests
    }
}

impl Valued {
    fn random(dice: &mut Dice, name: &str) -> Self {
        match (name, dice.below(4)) {
            ("quality", _) | ("mixed", 0 | 1) => {
                let decimals = dice.of(&[0, 1, 2, 9, DECIMALS]);
                let number = i128::from(dice.between(-2_000, 2_000));
                Self::Number(number * 10_i128.pow(u32::try_from(DECIMALS - decimals).unwrap()))
            }
            ("isActive", _) | ("mixed", 2) => Self::Boolean(dice.once_in(2)),
            _ => Self::Text,
        }
    }

    fn written(self) -> Value {
        match self {
            // A double has enough digits for all of these numbers.
            Self::Number(number) => Value::from(decimal(number, DECIMALS).parse::<f64>().unwrap()),
            Self::Boolean(boolean) => Value::from(boolean),
            Self::Text => Value::from("12"),
        }
    }
}

/// A filter, and whether an asset satisfies it.
type Chosen = (&'static str, fn(&str) -> bool);

const FILTERS: [Chosen; 11] = [
    ("", |_| true),
    ("asset_urn = \"urn:a\"", |urn| urn == "urn:a"),
    ("asset_urn != \"urn:a\"", |urn| urn != "urn:a"),
    ("asset_urn IN (\"urn:a\", b, \"urn:none\")", |urn| ["urn:a", "b"].contains(&urn)),
    ("asset_urn =~ \"^urn:\"", |urn| urn.starts_with("urn:")),
    ("asset_urn =~ \"(?i)b$\"", |urn| urn.to_lowercase().ends_with('b')),
    ("asset_urn !~ \"^urn:a\"", |urn| !urn.starts_with("urn:a")),
    ("asset_urn = \"urn:none\"", |_| false),
    ("NOT (asset_urn = b OR asset_urn = \"ürn\")", |urn| urn != "b" && urn != "ürn"),
    ("{\"asset_urn\":{\"$in\":[\"urn:b\",\"urn:B\"]}}", |urn| urn.to_lowercase() == "urn:b"),
    ("{\"asset_urn\":{\"$regex\":\":\"}}", |urn| urn.contains(':')),
];

#[derive(Debug)]
pub struct Question {
    request: QueryTimeSeriesRequest,
    chosen: Chosen,
    /// In microseconds.
    range: (i64, i64),
}

impl Question {
    pub fn random(dice: &mut Dice) -> Self {
        let name = dice.of(&["quality", "isActive", "mixed"]);
        let observed = match (name, dice.below(4)) {
            // A metric with numbers and booleans has no default.
            ("quality" | "isActive", 0) => Observed::Unspecified,
            ("quality", _) | ("mixed", 0 | 1) => dice.of(&NUMBERS),
            _ => dice.of(&BOOLEANS),
        };
        let zone = dice.of(&ZONES);
        let first = Date::new(2024, 10, 22).unwrap().saturating_add(dice.between(0, DAYS + 1).days());
        let length = if dice.once_in(3) { 0 } else { dice.between(0, DAYS) };
        let last = first.saturating_add(length.days());
        let midnight = |day: Date| {
            let zone = if zone.is_empty() { TimeZone::UTC } else { TimeZone::get(zone).unwrap() };
            day.to_zoned_datetime(zone).unwrap().timestamp().as_microsecond()
        };
        let chosen = dice.of(&FILTERS);
        let request = QueryTimeSeriesRequest {
            metric: format!("asset/{name}"),
            calendar: dice.of(&CALENDARS).into(),
            observed: observed.into(),
            range: format!("between({first},{last})"),
            filter: chosen.0.into(),
            group_by: if dice.once_in(2) { vec!["asset_urn".into()] } else { vec![] },
            time_zone: zone.into(),
            fill: dice.of(&[Fill::Unspecified, Fill::Unspecified, Fill::Zero, Fill::Null]).into(),
            key: if dice.once_in(6) { dice.of(&URNS).into() } else { String::new() },
            ..QueryTimeSeriesRequest::default()
        };
        Self { request, chosen, range: (midnight(first), midnight(last.saturating_add(1.day()))) }
    }

    /// Runs the query, and returns what is wrong with the answer.
    pub async fn check(&self, tenant: &Tenant, world: &World) -> Result<(), String> {
        let found = tenant.query.clone().query_time_series(self.request.clone()).await;
        let expected = self.expected(world);
        let points: usize = expected.series.iter().map(|series| series.points.len()).sum();
        match found.map(tonic::Response::into_inner) {
            Ok(mut found) => {
                // The freshness depends on the workers.
                found.fresh_through = None;
                if found == expected {
                    return Ok(());
                }
                Err(format!("{:?}\n  expected {expected:?}\n  found    {found:?}", self.request))
            }
            Err(status) if points > MAX_POINTS && status.code() == Code::InvalidArgument => Ok(()),
            Err(status) => Err(format!("{:?}\n  {status}", self.request)),
        }
    }

    fn observed(&self) -> Observed {
        match (self.request.observed(), self.request.metric.as_str()) {
            (Observed::Unspecified, "asset/isActive") => Observed::FractionTrue,
            (Observed::Unspecified, _) => Observed::Averaged,
            (observed, _) => observed,
        }
    }

    fn expected(&self, world: &World) -> QueryTimeSeriesResponse {
        let request = &self.request;
        let code = if request.calendar.is_empty() { "#PT1H" } else { &request.calendar };
        let zone = if request.time_zone.is_empty() { "UTC" } else { &request.time_zone };
        let calendar = Calendar::parse(code).unwrap().in_zone(TimeZone::get(zone).unwrap());
        let at = Timestamp::from_micros;
        let range = TimeRange { start: at(self.range.0), end: at(self.range.1) };
        let starts = calendar.bucket_starts(range, MAX_POINTS as u64).unwrap();
        let starts: Vec<i64> = starts.into_iter().map(Timestamp::micros).collect();
        let of_booleans = BOOLEANS.contains(&self.observed());
        QueryTimeSeriesResponse {
            metric: request.metric.clone(),
            calendar: code.into(),
            observed: self.observed().into(),
            unit: if of_booleans { "1".into() } else { String::new() },
            start_time: Some(timestamp(self.range.0)),
            end_time: Some(timestamp(self.range.1)),
            series: self.series(world, of_booleans, &starts),
            fresh_through: None,
            time_zone: zone.into(),
        }
    }

    fn series(&self, world: &World, of_booleans: bool, starts: &[i64]) -> Vec<Series> {
        let mut groups: BTreeMap<&str, BTreeMap<i64, Vec<At>>> = BTreeMap::new();
        let is_grouped = !self.request.group_by.is_empty();
        if !is_grouped {
            groups.entry("").or_default();
        }
        for ((urn, at, name), valued) in &world.0 {
            let counts = self.request.metric.strip_prefix("asset/") == Some(name)
                && (self.range.0..self.range.1).contains(at)
                && (self.chosen.1)(urn)
                && (self.request.key.is_empty() || self.request.key == *urn)
                && match valued {
                    Valued::Number(_) => !of_booleans,
                    Valued::Boolean(_) => of_booleans,
                    Valued::Text => false,
                };
            if counts {
                let bucket = starts.iter().rfind(|start| *start <= at).expect("every value is in a bucket");
                let group = groups.entry(if is_grouped { urn } else { "" }).or_default();
                group.entry(*bucket).or_default().push((*at, urn, *valued));
            }
        }
        let series = groups.into_iter().map(|(urn, mut buckets)| {
            let labels = if is_grouped { [("asset_urn".into(), urn.into())].into() } else { [].into() };
            let points = starts.iter().filter_map(|start| self.point(*start, buckets.remove(start)));
            Series { labels, points: points.collect() }
        });
        series.collect()
    }

    fn point(&self, start: i64, values: Option<Vec<At>>) -> Option<Point> {
        let timestamp = Some(timestamp(start));
        let Some(mut values) = values else {
            let value = match self.request.fill() {
                Fill::Unspecified => return None,
                Fill::Zero => Some("0".to_owned()),
                Fill::Null => None,
            };
            return Some(Point { timestamp, value, count: 0 });
        };
        values.sort_by_key(|(at, urn, _)| (*at, *urn));
        let count = values.len();
        let values: Vec<_> = values.into_iter().map(|(_, _, valued)| valued).collect();
        let value = Some(observe(self.observed(), &values));
        Some(Point { timestamp, value, count: i64::try_from(count).unwrap() })
    }
}

/// Aggregates values, which are in the order of their times.
fn observe(observed: Observed, values: &[Valued]) -> String {
    let count = i128::try_from(values.len()).unwrap();
    let numbers: Vec<i128> = values
        .iter()
        .filter_map(|valued| if let Valued::Number(number) = valued { Some(*number) } else { None })
        .collect();
    let of = |boolean| {
        let alike = values.iter().filter(|valued| **valued == Valued::Boolean(boolean));
        i128::try_from(alike.count()).unwrap()
    };
    let whole = |number: i128| decimal(number, DECIMALS);
    match observed {
        Observed::Unspecified => panic!("the default was filled in"),
        Observed::Summed => whole(numbers.iter().sum()),
        Observed::Averaged => rounded(numbers.iter().sum(), count, DECIMALS, finest(&numbers) + 9),
        Observed::High => whole(*numbers.iter().max().unwrap()),
        Observed::Low => whole(*numbers.iter().min().unwrap()),
        Observed::Beginning => whole(numbers[0]),
        Observed::End => whole(numbers[numbers.len() - 1]),
        Observed::CountTrue => of(true).to_string(),
        Observed::CountFalse => of(false).to_string(),
        Observed::FractionTrue => rounded(of(true), count, 0, 9),
    }
}

/// The largest number of decimals.
fn finest(numbers: &[i128]) -> usize {
    let is_whole = |digits: i128, cut: usize| digits % ten_to(cut) == 0;
    let decimals = |number: &i128| (0..=DECIMALS).find(|kept| is_whole(*number, DECIMALS - kept)).unwrap();
    numbers.iter().map(decimals).max().unwrap()
}

/// A sum with `decimals` decimals, divided by a count and rounded to `kept` decimals, half away from zero.
fn rounded(sum: i128, count: i128, decimals: usize, kept: usize) -> String {
    let sum = sum * ten_to(kept.saturating_sub(decimals));
    let by = count * ten_to(decimals.saturating_sub(kept));
    decimal((2 * sum.abs() + by) / (2 * by) * sum.signum(), kept)
}

fn ten_to(power: usize) -> i128 {
    10_i128.pow(u32::try_from(power).unwrap())
}

/// The shortest decimal with these digits, the last `decimals` of which are after the decimal point.
fn decimal(digits: i128, decimals: usize) -> String {
    let all = format!("{:0width$}", digits.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = all.split_at(all.len() - decimals);
    let sign = if digits < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
