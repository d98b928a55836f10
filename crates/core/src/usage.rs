//! The usage event: its fields, by which names they are known, and what makes one
//! acceptable. Events are borrowed from the bytes in which they came; on the way
//! from the client to the table no field is copied into a string of its own.

use std::time::Duration;

use crate::quantity::Quantity;
use crate::timestamp::Timestamp;
use crate::violation::Violation;

/// A field of text. The order is that of the columns in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum TextField {
    /// Whose metrics the event counts in.
    Provider,
    /// The action performed.
    Action,
    /// The application supplying the event.
    Application,
    /// What the event is, in words.
    Detail,
    /// The environment it was taken from.
    Environment,
    /// The invocation of the request.
    InvocationId,
    /// The HTTP method.
    Method,
    /// The service called.
    Service,
    /// api, message, process, storage, subscription or another.
    Type,
    /// The user or tenant that caused it.
    User,
}

impl TextField {
    /// All of them, each at the index that is its number.
    pub const ALL: [Self; 10] = [
        Self::Provider,
        Self::Action,
        Self::Application,
        Self::Detail,
        Self::Environment,
        Self::InvocationId,
        Self::Method,
        Self::Service,
        Self::Type,
        Self::User,
    ];

    /// The field's name in the contract and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Action => "action",
            Self::Application => "application",
            Self::Detail => "detail",
            Self::Environment => "environment",
            Self::InvocationId => "invocation_id",
            Self::Method => "method",
            Self::Service => "service",
            Self::Type => "type",
            Self::User => "user",
        }
    }
}

/// Anything of an event that can be filtered by or kept as a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// One of the fields of text.
    Text(TextField),
    /// The HTTP status code.
    HttpStatus,
    /// The duration in milliseconds.
    Duration,
    /// The response's size in bytes.
    ResponseSize,
    /// The value.
    Value,
    /// An attribute by its name.
    Attribute(String),
}

impl Field {
    /// The field of that name: in the contract's spelling, in its JSON spelling, or
    /// else the attribute so named.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "httpstatus" | "http_status" | "httpStatus" => Self::HttpStatus,
            "duration" => Self::Duration,
            "response_size" | "responseSize" => Self::ResponseSize,
            "value" => Self::Value,
            "invocationId" => Self::Text(TextField::InvocationId),
            _ => match TextField::ALL.into_iter().find(|field| field.name() == name) {
                Some(field) => Self::Text(field),
                None => Self::Attribute(name.to_owned()),
            },
        }
    }

    /// Whether the name is one of the event's own fields, so that no attribute may
    /// have it.
    #[must_use]
    pub fn is_own(name: &str) -> bool {
        matches!(name, "event_id" | "eventId" | "timestamp" | "decimal_value" | "decimalValue" | "attributes")
            || !matches!(Self::named(name), Self::Attribute(_))
    }

    /// The names of the event's own fields, in the contract's spelling.
    pub fn own_names() -> impl Iterator<Item = &'static str> {
        let numbers = [Self::HttpStatus, Self::Duration, Self::ResponseSize, Self::Value];
        let fields = TextField::ALL.into_iter().map(Self::Text).chain(numbers);
        fields.filter_map(|field| field.own_name())
    }

    /// The field's name, in the contract's spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            own => own.own_name().expect("only attributes have names of their senders'"),
        }
    }

    /// The name of one of the event's own fields; none of an attribute, which its sender named.
    #[must_use]
    pub const fn own_name(&self) -> Option<&'static str> {
        match self {
            Self::Text(field) => Some(field.name()),
            Self::HttpStatus => Some("httpstatus"),
            Self::Duration => Some("duration"),
            Self::ResponseSize => Some("response_size"),
            Self::Value => Some("value"),
            Self::Attribute(_) => None,
        }
    }
}

/// The provider of an event that names none.
pub const DEFAULT_PROVIDER: &str = "ODSLRequest";

/// One use of an API, borrowed from the bytes in which it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageEvent<'a> {
    /// The sender's own id of the event; empty if it gave none.
    pub event_id: &'a str,
    /// When it happened, if the sender said so.
    pub timestamp: Option<Timestamp>,
    /// The fields of text by [`TextField`]; empty where absent.
    pub texts: [&'a str; TextField::ALL.len()],
    /// The HTTP status code.
    pub http_status: Option<i32>,
    /// The execution time in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the response in bytes.
    pub response_bytes: Option<i64>,
    /// The value.
    pub value: Option<Quantity>,
    /// Further attributes by ascending name, each name once.
    pub attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> UsageEvent<'a> {
    /// A field of text; empty if absent.
    #[must_use]
    pub fn text(&self, field: TextField) -> &'a str {
        self.texts[field as usize]
    }

    /// An attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let at = self.attributes.binary_search_by(|(key, _)| (*key).cmp(name)).ok()?;
        Some(self.attributes[at].1)
    }

    /// Fills in the defaults that do not depend on the request.
    pub fn settle(&mut self) {
        let provider = &mut self.texts[TextField::Provider as usize];
        if provider.is_empty() {
            *provider = DEFAULT_PROVIDER;
        }
    }
}

/// What is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How old an event may be.
    pub max_event_age: Duration,
    /// How far ahead of this machine's clock an event may be.
    pub max_event_ahead: Duration,
    /// Bytes in a string.
    pub max_string_bytes: usize,
    /// Attributes of an event.
    pub max_attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A year and a month, so that last year's month can still be completed.
            max_event_age: Duration::from_hours(400 * 24),
            // Clocks go wrong by an hour when a time zone is mistaken.
            max_event_ahead: Duration::from_hours(1),
            max_string_bytes: 1024,
            max_attributes: 32,
        }
    }
}

impl Limits {
    /// Adds what is wrong with `event`, whose time is `timestamp`, at the time
    /// `now`. Costs no allocation where nothing is wrong.
    pub fn check(
        &self,
        event: &UsageEvent<'_>,
        timestamp: Timestamp,
        now: Timestamp,
        violations: &mut Vec<Violation>,
    ) {
        self.check_text("event_id", event.event_id, violations);
        if !event.event_id.is_empty() && event.timestamp.is_none() {
            violations.push(Violation::new("timestamp", "expected a timestamp, because event_id is given"));
        }
        let (oldest, newest) = (now.minus(self.max_event_age), now.plus(self.max_event_ahead));
        violations.extend(timestamp.check_between(oldest, newest).err());
        for field in TextField::ALL {
            self.check_text(field.name(), event.text(field), violations);
        }
        if let Some(status) = event.http_status
            && !(100..=999).contains(&status)
        {
            let found = format!("expected 100 to 999, found {status}");
            violations.push(Violation::new("httpstatus", found));
        }
        for (name, measure) in [("duration", event.duration_ms), ("response_size", event.response_bytes)] {
            if let Some(negative) = measure.filter(|measure| *measure < 0) {
                violations.push(Violation::new(name, format!("expected zero or more, found {negative}")));
            }
        }
        self.check_attributes(&event.attributes, violations);
    }

    /// Adds what is wrong with a text, which stands in `field`.
    pub fn check_text(&self, field: &str, text: &str, violations: &mut Vec<Violation>) {
        if text.len() > self.max_string_bytes {
            let (max, found) = (self.max_string_bytes, text.len());
            violations.push(Violation::new(field, format!("expected at most {max} bytes, found {found}")));
        } else if text.as_bytes().contains(&0) {
            violations.push(Violation::new(field, "expected text without NUL characters"));
        }
    }

    fn check_attributes(&self, attributes: &[(&str, &str)], violations: &mut Vec<Violation>) {
        if attributes.len() > self.max_attributes {
            let (max, found) = (self.max_attributes, attributes.len());
            let text = format!("expected at most {max} attributes, found {found}");
            violations.push(Violation::new("attributes", text));
            return;
        }
        for (name, value) in attributes {
            if name.is_empty() {
                violations.push(Violation::new("attributes", "expected names that are not empty"));
            } else if Field::is_own(name) {
                let text = format!("{name:?} is a field of the event: give it there");
                violations.push(Violation::new("attributes", text));
            }
            if name.len() > self.max_string_bytes || name.as_bytes().contains(&0) {
                self.check_text("attributes", name, violations);
            } else if value.len() > self.max_string_bytes || value.as_bytes().contains(&0) {
                self.check_text(&format!("attributes[{name:?}]"), value, violations);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(event: &UsageEvent<'_>) -> Vec<String> {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut found = Vec::new();
        Limits::default().check(event, event.timestamp.unwrap_or(now), now, &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_event_is_a_use() {
        assert_eq!(violations(&UsageEvent::default()), Vec::<String>::new());
    }

    #[test]
    fn every_wrong_field_is_named() {
        let long = "x".repeat(1025);
        let mut event = UsageEvent {
            event_id: "a",
            http_status: Some(42),
            duration_ms: Some(-1),
            response_bytes: Some(-2),
            attributes: vec![("", "x"), ("key", "a\0b"), ("service", "x")],
            ..UsageEvent::default()
        };
        event.texts[TextField::Detail as usize] = &long;
        assert_eq!(
            violations(&event),
            [
                "timestamp: expected a timestamp, because event_id is given",
                "detail: expected at most 1024 bytes, found 1025",
                "httpstatus: expected 100 to 999, found 42",
                "duration: expected zero or more, found -1",
                "response_size: expected zero or more, found -2",
                "attributes: expected names that are not empty",
                "attributes[\"key\"]: expected text without NUL characters",
                "attributes: \"service\" is a field of the event: give it there",
            ]
        );
    }

    #[test]
    fn time_has_limits_on_both_sides() {
        let now = 1_700_000_000_000_000;
        let at = |micros| {
            violations(&UsageEvent {
                timestamp: Some(Timestamp::from_micros(micros)),
                ..UsageEvent::default()
            })
        };
        let (hour, day) = (3_600_000_000, 86_400_000_000);
        assert!(at(now + hour).is_empty() && at(now - 400 * day).is_empty());
        assert!(at(now + hour + 1)[0].starts_with("timestamp: in the future: expected 2023-11-14T23:13:20Z"));
        assert!(at(now - 400 * day - 1)[0].starts_with("timestamp: too old: expected 2022-10-10T22:13:20Z"));
    }
}
