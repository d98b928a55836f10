//! Reads requests for events and for values of their fields. Pure.

use flowmeter_core::filter::Filter;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use flowmeter_proto::v1::{ListFieldValuesRequest, ListUsageEventsRequest};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::events::{EventPosition, EventSelection, OrderBy, OrderKey, SortKey};
use jiff::tz::TimeZone;

use super::clock::RequestClock;
use super::labels::event_field;
use super::parameters::{filter, time_range, time_zone};
use crate::page::{Page, event_position, value_position};

/// The field that is allowed in an order, but not in a filter.
const TIMESTAMP: &str = "timestamp";
/// The maximum number of fields in an order.
const MAX_KEYS: usize = 4;
/// The maximum number of words in a search.
const MAX_WORDS: usize = 16;
/// The maximum length of a search in bytes.
const MAX_SEARCH_BYTES: usize = 1_024;
/// The maximum length of a prefix of values in bytes.
const MAX_PREFIX_BYTES: usize = 1_024;

/// A page of a list of events.
#[derive(Debug)]
pub struct EventListSpec {
    /// The events to list.
    pub list: EventSelection,
    /// The order of the events.
    pub order: Vec<OrderKey>,
    /// The page.
    pub page: Page,
    /// The last event of the previous page.
    pub after: Option<EventPosition>,
}

impl EventListSpec {
    /// Reads a request. The range of its first page holds for all its pages.
    pub fn read(request: &ListUsageEventsRequest, clock: RequestClock) -> Result<Self, ApiError> {
        let order = order(&request.order_by)?;
        let arguments =
            [&request.range, &request.filter, &request.search, &request.order_by, &request.time_zone];
        let arguments = arguments.map(String::as_str);
        let page = Page::read("ListUsageEvents", &arguments, request.page_size, &request.page_token)?;
        let zone = time_zone(&request.time_zone)?.unwrap_or(TimeZone::UTC);
        let (range, after) = match page.after(|bytes| event_position::read(bytes, &order))? {
            None => (time_range(&request.range, zone, clock)?, None),
            Some((range, place)) => (range, Some(place)),
        };
        let list = EventSelection { range, filter: filter(&request.filter)?, words: words(&request.search)? };
        Ok(Self { list, order, page, after })
    }
}

/// A page of the values of a field.
#[derive(Debug)]
pub struct FieldValuesSpec {
    /// The field.
    pub field: Field,
    /// The events whose values are listed.
    pub list: EventSelection,
    /// The prefix of the values.
    pub prefix: String,
    /// The page.
    pub page: Page,
    /// The last value of the previous page.
    pub after: Option<SortKey>,
}

impl FieldValuesSpec {
    /// Reads a request. The range of its first page holds for all its pages.
    pub fn read(request: &ListFieldValuesRequest, clock: RequestClock) -> Result<Self, ApiError> {
        let field = event_field("field", &request.field)?;
        let arguments =
            [&request.field, &request.range, &request.filter, &request.prefix, &request.time_zone];
        let arguments = arguments.map(String::as_str);
        let page = Page::read("ListFieldValues", &arguments, request.page_size, &request.page_token)?;
        if request.prefix.len() > MAX_PREFIX_BYTES || request.prefix.contains('\0') {
            let text = format!("expected at most {MAX_PREFIX_BYTES} bytes without NUL characters");
            return Err(ApiError::field(Reason::InvalidField, "prefix", text));
        }
        let zone = time_zone(&request.time_zone)?.unwrap_or(TimeZone::UTC);
        let position: Option<(TimeRange, SortKey)> =
            page.after(|bytes| value_position::read(bytes, &field))?;
        let (range, after) = match position {
            None => (time_range(&request.range, zone, clock)?, None),
            Some((range, value)) => (range, Some(value)),
        };
        let list = EventSelection { range, filter: filter(&request.filter)?, words: Vec::new() };
        Ok(Self { field, list, prefix: request.prefix.clone(), page, after })
    }
}

/// Reads an order, such as `duration desc, timestamp`.
pub fn order(text: &str) -> Result<Vec<OrderKey>, ApiError> {
    let wrong = |text: String| ApiError::field(Reason::InvalidField, "order_by", text);
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let found = text.split(',').count();
    if found > MAX_KEYS {
        return Err(wrong(format!("expected at most {MAX_KEYS} fields, found {found}")));
    }
    let mut keys: Vec<OrderKey> = Vec::new();
    for part in text.split(',') {
        let (name, descending) = match part.split_whitespace().collect::<Vec<_>>()[..] {
            [name] | [name, "asc"] => (name, false),
            [name, "desc"] => (name, true),
            _ => {
                let text = format!("expected a field, or a field and desc, found {:?}", part.trim());
                return Err(wrong(text));
            }
        };
        let by = match name {
            TIMESTAMP => OrderBy::Timestamp,
            // [`event_field`] does not know the field, so its error would not name it.
            _ if Filter::meant(name) == Some(TIMESTAMP) => {
                let text =
                    format!("expected {TIMESTAMP}, or attributes.{name} for the attribute, found {name:?}");
                return Err(wrong(text));
            }
            _ => OrderBy::Field(event_field("order_by", name)?),
        };
        if keys.iter().any(|key| key.by == by) {
            return Err(wrong(format!("expected each field once, found {name} again")));
        }
        keys.push(OrderKey { by, descending });
    }
    // Events of the same time are in the order of their ids, so keys after the time have no effect.
    if let Some(time) = keys.iter().position(|key| key.by == OrderBy::Timestamp) {
        keys.truncate(time + 1);
    }
    Ok(keys)
}

/// Reads the words of a search, which are separated by spaces or in double quotes. A to Z become lower case.
pub fn words(text: &str) -> Result<Vec<String>, ApiError> {
    let wrong = |text: &str| ApiError::field(Reason::InvalidField, "search", text);
    if text.len() > MAX_SEARCH_BYTES {
        return Err(wrong("expected at most 1024 bytes"));
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| wrong("expected a closing \""))?,
            None => rest.split_at(rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len())),
        };
        if word.contains(char::is_control) {
            return Err(wrong("expected words without control characters"));
        }
        if !word.is_empty() {
            words.push(word.to_ascii_lowercase());
        }
        rest = after.trim_start();
    }
    if words.len() > MAX_WORDS {
        return Err(wrong("expected at most 16 words"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_order_has_fields_and_directions() {
        let key = |by, descending| OrderKey { by, descending };
        assert_eq!(order(" ").unwrap(), []);
        assert_eq!(order("timestamp").unwrap(), [key(OrderBy::Timestamp, false)]);
        assert_eq!(
            order("duration desc, key ,timestamp desc, user").unwrap(),
            [
                key(OrderBy::Field(Field::Duration), true),
                key(OrderBy::Field(Field::Attribute("key".into())), false),
                key(OrderBy::Timestamp, true),
            ]
        );
        for text in ["duration down", ",", "duration, duration desc", "a,b,c,d,e", "event_id"] {
            assert!(order(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelled_field_is_refused() {
        for (text, name, meant) in [
            ("servise desc", "servise", "service"),
            ("user, Durration", "Durration", "duration"),
            ("timestmp", "timestmp", "timestamp"),
            ("user, Timestamp desc", "Timestamp", "timestamp"),
        ] {
            let message = tonic::Status::from(order(text).unwrap_err()).message().to_owned();
            let expected = format!("expected {meant}, or attributes.{name} for the attribute");
            assert_eq!(message, format!("order_by: {expected}, found {name:?}"));
        }
        for name in ["servise", "id", "timestmp"] {
            let by = OrderBy::Field(Field::Attribute(name.into()));
            let key = OrderKey { by, descending: false };
            assert_eq!(order(&format!("attributes.{name}")).unwrap(), [key]);
        }
    }

    #[test]
    fn words_are_separated_by_spaces_or_quoted() {
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        assert_eq!(words(r#" Time  "Read TIME-out"x "" "#).unwrap(), ["time", "read time-out", "x"]);
        assert!(words("\"open").is_err());
        assert!(words("\"a\nb\"").is_err());
        assert!(words(&"a ".repeat(17)).is_err());
        assert!(words(&"a".repeat(1_025)).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[\" a-zA-Z,\\PC]{0,60}") {
            let _ = words(&text);
            let _ = order(&text);
        }
    }
}
