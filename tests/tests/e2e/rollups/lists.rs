//! Random lists of events and of the values of their fields, read page by page.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::EventId;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_proto::v1::{self, ListFieldValuesRequest, ListUsageEventsRequest, StoredUsageEvent};
use flowmeter_tests::Tenant;
use jiff::tz::TimeZone;

use super::definitions::ZONES;
use super::filters::{self, FIELDS};
use super::history::{Events, History};
use super::model::{decimal, text, timestamp};
use super::ranges::{self, Bound, Unit};
use crate::dice::Dice;

const ORDERS: [&str; 12] = [
    "duration",
    "response_size",
    "value",
    "httpstatus",
    "service",
    "user",
    "method",
    "key",
    "attributes.name",
    "trigger",
    "application",
    "detail",
];
/// Searches. Each word, or text in quotes, must occur.
const SEARCHES: [&str; 9] =
    ["", "", "", "api", "LONG", "\"long word\" a", "o'hara", "50%_ obj", "B\u{e9} \u{f1}"];

/// A query for a list of events, and for a list of the values of a field.
pub struct List {
    range: String,
    time_zone: String,
    bounds: (i64, i64),
    filter: String,
    page_size: i32,
    search: &'static str,
    order: Vec<(&'static str, bool)>,
    field: &'static str,
    prefix: &'static str,
}

impl List {
    pub fn random(dice: &mut Dice, history: &History) -> Self {
        let time_zone = dice.of(&["", ZONES[1], ZONES[3], ZONES[7]]).to_owned();
        let zone = TimeZone::get(if time_zone.is_empty() { "UTC" } else { &time_zone }).unwrap();
        let units = [Unit::Year, Unit::Month, Unit::Day, Unit::Hour];
        let (first, last) = (history.time(dice), history.time(dice));
        let (range, bounds) = if dice.once_in(3) {
            (String::new(), (0, i64::MAX))
        } else {
            let written = ranges::between(dice, first, last, &units, &zone);
            let (Bound::At(start), Bound::At(end)) = (written.start, written.end) else {
                panic!("dates are absolute")
            };
            (written.text, (start, end))
        };
        Self {
            range,
            time_zone,
            bounds,
            filter: if dice.once_in(2) { filters::random(dice, &FIELDS) } else { String::new() },
            page_size: dice.of(&[17, 100, 1_000, 0]),
            search: dice.of(&SEARCHES),
            order: order(dice),
            field: dice.of(&ORDERS),
            prefix: dice.of(&["", "", "", "a", "B", "-", "1", "ü"]),
        }
    }

    fn events<'a>(&self, events: &'a Events) -> Vec<(EventId, &'a UsageEvent<'static>)> {
        let filter = Filter::parse(&self.filter).unwrap();
        let within = |at: i64| self.bounds.0 <= at && at < self.bounds.1;
        let of = events.iter().filter(|(id, event)| within(id.timestamp().micros()) && filter.matches(event));
        of.map(|(id, event)| (*id, event)).collect()
    }

    /// Reads the events page by page, and returns what is wrong with them.
    pub async fn check_events(&self, tenant: &Tenant, events: &Events) -> Result<(), String> {
        let Self { search, order, .. } = self;
        let mut expected = self.events(events);
        expected.retain(|(_, event)| words(search).iter().all(|word| is_found(event, word)));
        expected.sort_by(|one, other| compare(one, other, order));
        let expected: Vec<StoredUsageEvent> =
            expected.into_iter().map(|(id, event)| to_contract(id, event)).collect();
        let order_by: Vec<_> =
            order.iter().map(|(by, down)| format!("{by}{}", if *down { " desc" } else { "" })).collect();
        let mut request = ListUsageEventsRequest {
            range: self.range.clone(),
            time_zone: self.time_zone.clone(),
            filter: self.filter.clone(),
            search: (*search).into(),
            order_by: order_by.join(", "),
            page_size: self.page_size,
            include_total_size: true,
            ..ListUsageEventsRequest::default()
        };
        let mut found = Vec::new();
        loop {
            let answer = tenant.query.clone().list_usage_events(request.clone()).await;
            let answer = answer.map_err(|status| format!("{request:?}\n  {status}"))?.into_inner();
            if answer.total_size != i64::try_from(expected.len()).ok() {
                let (right, wrong) = (expected.len(), answer.total_size);
                return Err(format!("{request:?}\n  expected a total of {right} events, found {wrong:?}"));
            }
            found.extend(answer.usage_events);
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        let differing = expected.iter().zip(&found).position(|(one, other)| one != other);
        match differing.or_else(|| (expected.len() != found.len()).then_some(expected.len().min(found.len())))
        {
            None => Ok(()),
            Some(at) => Err(format!(
                "{request:?}\n  event {at}: expected {:?}\n  found {:?}",
                expected.get(at),
                found.get(at)
            )),
        }
    }

    /// Reads the values of the field page by page, and returns what is wrong with them.
    pub async fn check_values(&self, tenant: &Tenant, events: &Events) -> Result<(), String> {
        let Self { field, prefix, .. } = self;
        let mut expected: BTreeMap<Key, i64> = BTreeMap::new();
        for (_, event) in self.events(events) {
            let key = key(event, field);
            if key != Key::Absent && key.to_text().starts_with(prefix) {
                *expected.entry(key).or_default() += 1;
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|(key, count)| (key.to_text(), count)).collect();
        let mut request = ListFieldValuesRequest {
            field: (*field).into(),
            range: self.range.clone(),
            time_zone: self.time_zone.clone(),
            filter: self.filter.clone(),
            prefix: (*prefix).into(),
            page_size: self.page_size,
            ..ListFieldValuesRequest::default()
        };
        let mut found = Vec::new();
        loop {
            let answer = tenant.query.clone().list_field_values(request.clone()).await;
            let answer = answer.map_err(|status| format!("{request:?}\n  {status}"))?.into_inner();
            found.extend(answer.values.into_iter().map(|value| (value.value, value.count)));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        if found == expected {
            Ok(())
        } else {
            Err(format!("{request:?}\n  expected {expected:?}\n  found {found:?}"))
        }
    }
}

/// A sort key of an event. Absent values come first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Absent,
    Number(i128),
    Text(String),
}

impl Key {
    fn to_text(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Number(billionths) => decimal(*billionths),
            Self::Text(text) => text.clone(),
        }
    }
}

fn key(event: &UsageEvent<'_>, field: &str) -> Key {
    let whole = |number: i64| i128::from(number) * 1_000_000_000;
    let number = match field {
        "duration" => event.duration_ms.map(whole),
        "response_size" => event.response_bytes.map(whole),
        "httpstatus" => event.http_status.map(|status| whole(status.into())),
        "value" => event.value.map(flowmeter_core::quantity::Quantity::billionths),
        _ => {
            let text = text(event, field);
            return if text.is_empty() { Key::Absent } else { Key::Text(text) };
        }
    };
    number.map_or(Key::Absent, Key::Number)
}

/// Up to three fields, each with whether the order is descending. The time can only be the last one, because
/// it is different for nearly all events.
fn order(dice: &mut Dice) -> Vec<(&'static str, bool)> {
    let mut fields = dice.some_of(&ORDERS, 3);
    if dice.once_in(3) {
        fields.truncate(2);
        fields.push("timestamp");
    }
    fields.into_iter().map(|field| (field, dice.once_in(2))).collect()
}

fn compare(
    one: &(EventId, &UsageEvent<'_>),
    other: &(EventId, &UsageEvent<'_>),
    order: &[(&str, bool)],
) -> Ordering {
    for (by, descending) in order {
        let ordering = match *by {
            // An id begins with the time, so events of the same time are in the order of their ids.
            "timestamp" => one.0.cmp(&other.0),
            field => key(one.1, field).cmp(&key(other.1, field)),
        };
        let ordering = if *descending { ordering.reverse() } else { ordering };
        if ordering.is_ne() {
            return ordering;
        }
    }
    one.0.cmp(&other.0)
}

fn words(search: &str) -> Vec<&str> {
    match search.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((quoted, rest)) => std::iter::once(quoted).chain(rest.split_whitespace()).collect(),
        None => search.split_whitespace().collect(),
    }
}

fn is_found(event: &UsageEvent<'_>, word: &str) -> bool {
    let has = |text: &str| text.to_ascii_lowercase().contains(&word.to_ascii_lowercase());
    event.texts.iter().any(|text| has(text)) || event.attributes.iter().any(|(_, value)| has(value))
}

fn to_contract(id: EventId, event: &UsageEvent<'_>) -> StoredUsageEvent {
    let of = |field: TextField| event.text(field).to_owned();
    let value = event.value.map(|value| decimal(value.billionths()));
    let whole = value.as_ref().and_then(|value| value.parse::<i64>().ok());
    let event = v1::UsageEvent {
        event_id: String::new(),
        timestamp: Some(timestamp(id.timestamp().micros())),
        provider: of(TextField::Provider),
        action: of(TextField::Action),
        application: of(TextField::Application),
        detail: of(TextField::Detail),
        environment: of(TextField::Environment),
        httpstatus: event.http_status,
        invocation_id: of(TextField::InvocationId),
        method: of(TextField::Method),
        service: of(TextField::Service),
        r#type: of(TextField::Type),
        user: of(TextField::User),
        duration: event.duration_ms,
        response_size: event.response_bytes,
        value: whole,
        decimal_value: if whole.is_some() { String::new() } else { value.unwrap_or_default() },
        attributes: event
            .attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    StoredUsageEvent { id: id.to_string(), event: Some(event) }
}
