//! The position of a page in a list of events: the range of the first page, and the last event with the keys of its
//! order.

use flowmeter_core::range::TimeRange;
use flowmeter_store::events::{EventPosition, OrderKey, SortKey};
use uuid::Uuid;

use super::range;

/// Writes a position for a page token.
#[must_use]
pub fn write(range: TimeRange, place: &EventPosition) -> Vec<u8> {
    let (start, end) = (range.start.micros(), range.end.micros());
    let keys: Vec<_> = place.keys.iter().map(SortKey::to_text).collect();
    serde_json::json!([start, end, place.id.to_string(), keys]).to_string().into_bytes()
}

/// Reads a position in an order of these keys. `None` if the bytes are not one.
#[must_use]
pub fn read(bytes: &[u8], order: &[OrderKey]) -> Option<(TimeRange, EventPosition)> {
    let (start, end, id, keys): (i64, i64, String, Vec<String>) = serde_json::from_slice(bytes).ok()?;
    Some((range(start, end)?, EventPosition::new(keys, Uuid::try_parse(&id).ok()?, order)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::event_list;
    use flowmeter_core::ids::EventId;
    use proptest::prelude::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let order = event_list::order("duration desc, user").unwrap();
        let keys = vec![SortKey::Absent, SortKey::Text("a \"b\" ü".into())];
        let place = EventPosition { keys, id: EventId(Uuid::from_u128(7)) };
        let again = read(&write(TimeRange::ALL, &place), &order);
        assert_eq!(again, Some((TimeRange::ALL, place.clone())));
        assert_eq!(read(&write(TimeRange::ALL, &place), &[]), None);
        let wrong =
            EventPosition { keys: vec![SortKey::Text("many".into()), SortKey::Text(String::new())], ..place };
        assert_eq!(read(&write(TimeRange::ALL, &wrong), &order), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[\\[\\]0-9\",a-f -]{0,60}") {
            let _ = read(text.as_bytes(), &event_list::order("duration").unwrap());
        }
    }
}
