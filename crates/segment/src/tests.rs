//! A segment against the events it was made of.

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{Field, TextField, UsageEvent};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{Bitmap, Column, Event, Labels, Segment, SegmentReader, SegmentWriter, merge, search, select};

/// Few distinct texts, so that filters find some events and not others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ab]{1,2}", "[0-9a-f]{32}", "\\PC{0,8}"]
}

fn number() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(prop_oneof![0_i64..4, 0..=i64::MAX])
}

/// What is said of an event, apart from its id.
fn event() -> impl Strategy<Value = Event> {
    let texts = prop::array::uniform10(text());
    let value = proptest::option::of((-300_i128..300, 0_u32..=9));
    let attributes = proptest::collection::btree_map("[a-c]{1,3}", text(), 0..4);
    let numbers = (proptest::option::of(100_i32..=999), number(), number());
    (texts, numbers, value, attributes).prop_map(|(texts, numbers, value, attributes)| {
        let (http_status, duration_ms, response_bytes) = numbers;
        Event {
            id: EventId(Uuid::nil()),
            texts,
            http_status,
            duration_ms,
            response_bytes,
            value: value.map(|(digits, places)| Quantity::from_billionths(digits * 10_i128.pow(places))),
            attributes: attributes.into_iter().collect(),
        }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((event(), 0_i64..1_000), 1..120).prop_map(|events| {
        let ids = RequestEventIds::new(TenantId(Uuid::from_u128(7)), RequestId(Uuid::from_u128(8)));
        let with_id = |(place, (event, time)): (usize, (Event, i64))| {
            let time = Timestamp::from_micros(1_800_000_000_000_000 + time);
            Event { id: ids.at(place, time), ..event }
        };
        let mut events: Vec<_> = events.into_iter().enumerate().map(with_id).collect();
        events.sort_unstable_by_key(|event| event.id);
        events
    })
}

fn segment(events: &[Event]) -> Segment {
    let mut writer = SegmentWriter::default();
    for event in events {
        writer.push(event.id, &event.borrowed());
    }
    writer.finish().unwrap()
}

fn reader(segment: &Segment) -> SegmentReader<'_> {
    let reader = SegmentReader::new(segment.events).unwrap();
    Column::ALL.into_iter().fold(reader, |reader, column| reader.with(column, segment.column(column)))
}

/// Filters of every kind of condition.
const FILTERS: [&str; 16] = [
    "",
    "user = a",
    "user = ''",
    "NOT user = a",
    "user < b AND method >= a",
    "application IN (a, b, ab)",
    "detail =~ '^[ab]+$' OR service !~ 'a'",
    "invocation_id:*",
    "httpstatus >= 500 OR httpstatus IN (200, 404)",
    "duration < 3",
    "NOT duration < 3",
    "response_size:* AND NOT response_size > 1000",
    "value = 0.5 OR value < -1",
    "attributes.a = b OR attributes.ab:*",
    "attributes.c =~ '[0-9]' AND NOT attributes.b = ''",
    "{\"$or\": [{\"user\": {\"$gte\": \"b\"}}, {\"value\": {\"$gt\": 2}}]}",
];

proptest! {
    // A case is a whole segment and all filters, which takes as long as a hundred cases of other tests.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn events_are_read_as_written(events in events()) {
        let segment = segment(&events);
        prop_assert_eq!((segment.first, segment.last), (events[0].id, events[events.len() - 1].id));
        let reader = reader(&segment);
        prop_assert_eq!(reader.ids().unwrap().iter().collect::<Vec<_>>(), events.iter().map(|event| event.id).collect::<Vec<_>>());
        prop_assert_eq!(reader.rows(0..events.len()).unwrap(), events);
    }

    #[test]
    fn a_filter_selects_the_events_that_satisfy_it(events in events(), wanted: prop::sample::Index) {
        let segment = segment(&events);
        let id = &events[wanted.index(events.len())].texts[TextField::InvocationId as usize];
        let own = Filter::equals(flowmeter_core::usage::Field::Text(TextField::InvocationId), id).unwrap();
        for filter in FILTERS.into_iter().map(|filter| Filter::parse(filter).unwrap()).chain([own]) {
            let expected = Bitmap::from_fn(events.len(), |event| filter.matches(&events[event].borrowed()));
            prop_assert_eq!(select(&filter, &reader(&segment)).unwrap(), expected, "{}", filter);
        }
    }

    #[test]
    fn segments_are_merged_in_the_order_of_ids(events in events(), parts in proptest::collection::vec(0_usize..4, 120)) {
        let of_part = |part| events.iter().zip(&parts).filter(move |(_, own)| **own == part).map(|(event, _)| event.clone());
        let segments: Vec<_> = (0..4).map(|part| of_part(part).collect::<Vec<_>>()).filter(|part| !part.is_empty()).collect();
        let segments: Vec<_> = segments.iter().map(|part| segment(part)).collect();
        let readers: Vec<_> = segments.iter().map(reader).collect();
        let text_bytes = segments.iter().map(|segment| segment.text_bytes).sum();
        let merged = merge(&readers, text_bytes).unwrap().unwrap();
        let whole = segment(&events);
        prop_assert_eq!((merged.first, merged.last, merged.events), (whole.first, whole.last, whole.events));
        prop_assert_eq!(merged.text_bytes, whole.text_bytes);
        prop_assert_eq!(reader(&merged).rows(0..events.len()).unwrap(), events);
    }

    #[test]
    fn labels_and_searches_find_what_events_say(events in events(), words in proptest::collection::vec("[ab0]{1,2}", 1..3)) {
        let segment = segment(&events);
        let reader = reader(&segment);
        let user = Field::Text(TextField::User);
        for (field, value) in [
            (user, (|event: &Event| event.texts[TextField::User as usize].clone()) as fn(&Event) -> String),
            (Field::HttpStatus, |event| event.http_status.map_or_else(String::new, |status| status.to_string())),
            (Field::Value, |event| event.value.map_or_else(String::new, |value| value.to_string())),
        ] {
            let labels = Labels::of(&field, &reader).unwrap();
            let found: Vec<_> = (0..events.len()).map(|index| labels.of_event(index).to_owned()).collect();
            prop_assert_eq!(found, events.iter().map(value).collect::<Vec<_>>());
        }
        let texts = |event: &Event| {
            let values = event.attributes.iter().map(|(_, value)| value.clone());
            event.texts.iter().cloned().chain(values).map(|text| text.to_ascii_lowercase()).collect::<Vec<_>>()
        };
        let has = |event: &Event| words.iter().all(|word| texts(event).iter().any(|text| text.contains(word)));
        let expected = Bitmap::from_fn(events.len(), |index| has(&events[index]));
        prop_assert_eq!(search(&words, &reader).unwrap(), expected);
    }

    #[test]
    fn a_damaged_segment_never_panics(events in events(), column in 0..Column::COUNT, at: prop::sample::Index, flip in 1_u8..) {
        let segment = segment(&events);
        let column = Column::ALL[column];
        let mut damaged = segment.column(column).to_vec();
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
        }
        let reader = reader(&segment).with(column, &damaged);
        let _ = reader.rows(0..events.len());
        for filter in FILTERS {
            let _ = select(&Filter::parse(filter).unwrap(), &reader);
        }
    }
}

#[test]
fn a_filter_needs_only_the_columns_of_its_fields() {
    let event = UsageEvent { http_status: Some(503), ..UsageEvent::default() };
    let mut writer = SegmentWriter::default();
    writer.push(EventId::first_at(Timestamp::from_micros(1)), &event);
    let segment = writer.finish().unwrap();
    let column = Column::HttpStatus;
    let reader = SegmentReader::new(1).unwrap().with(column, segment.column(column));
    assert_eq!(select(&Filter::parse("httpstatus >= 500").unwrap(), &reader).unwrap().count(), 1);
    assert!(select(&Filter::parse("user = a").unwrap(), &reader).is_err());
}

#[test]
fn names_beyond_those_with_columns_are_kept() {
    let names: Vec<_> = (0..200).map(|number| format!("name {number:03}")).collect();
    let event_of = |(place, names): (usize, &[String])| Event {
        id: EventId::first_at(Timestamp::from_micros(i64::try_from(place).unwrap())),
        texts: Default::default(),
        http_status: None,
        duration_ms: None,
        response_bytes: None,
        value: None,
        attributes: names.iter().map(|name| (name.clone(), String::new())).collect(),
    };
    let events: Vec<_> = names.chunks(10).enumerate().map(event_of).collect();
    let segment = segment(&events);
    assert_eq!(reader(&segment).rows(0..events.len()).unwrap(), events);
    let filter = Filter::parse("attributes[\"name 150\"] = ''").unwrap();
    assert_eq!(select(&filter, &reader(&segment)).unwrap().count(), events.len());
}

#[test]
fn there_is_no_segment_of_no_events() {
    assert!(SegmentWriter::default().finish().is_none());
    assert!(SegmentReader::new(crate::MAX_EVENTS + 1).is_err());
}
