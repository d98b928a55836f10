//! Reads what a list of events asks for: its order, its words and its fields. Pure.

use flowmeter_core::filter::Filter;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::events::{OrderBy, OrderKey};

use super::event_field;

/// The field that only an order can name.
const TIMESTAMP: &str = "timestamp";
/// Fields of an order at most.
const MAX_KEYS: usize = 4;
/// Words of a search at most.
const MAX_WORDS: usize = 16;
/// Bytes of a search at most.
const MAX_SEARCH_BYTES: usize = 1_024;

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
            // Where only fields of text and numbers are read, this name is told otherwise.
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
    // Events of one time are told apart by their ids, so nothing is left to order after it.
    if let Some(time) = keys.iter().position(|key| key.by == OrderBy::Timestamp) {
        keys.truncate(time + 1);
    }
    Ok(keys)
}

/// Reads the words of a search: what stands between spaces, or in double quotes. A to Z become
/// lower case.
pub fn words(text: &str) -> Result<Vec<String>, ApiError> {
    let wrong = |text: &str| ApiError::field(Reason::InvalidField, "search", text);
    if text.len() > MAX_SEARCH_BYTES {
        return Err(wrong("expected at most 1024 bytes"));
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_once('"').ok_or_else(|| wrong("expected a second \" after the first"))?
            }
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
    use flowmeter_core::usage::Field;
    use proptest::prelude::*;

    #[test]
    fn an_order_is_fields_and_directions() {
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
    fn a_misspelt_field_orders_nothing() {
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
    fn words_stand_between_spaces_or_in_quotes() {
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
