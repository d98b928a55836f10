//! The usage event: its fields, their names, and the limits that an event must satisfy. Events borrow from
//! the bytes in which they arrived; no field is copied into a string between the client and the table.

use std::time::Duration;

use crate::quantity::Quantity;
use crate::timestamp::Timestamp;
use crate::violation::Violation;

/// A text field. The order is that of the columns in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum TextField {
    /// The provider whose metrics count the event.
    Provider,
    /// The action performed.
    Action,
    /// The application supplying the event.
    Application,
    /// A description of the event.
    Detail,
    /// The environment in which the event occurred.
    Environment,
    /// The invocation of the request.
    InvocationId,
    /// The HTTP method.
    Method,
    /// The service called.
    Service,
    /// api, message, process, storage, subscription or another.
    Type,
    /// The user or tenant that caused the event.
    User,
}

impl TextField {
    /// All text fields, each at the index of its discriminant.
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

/// A field of an event that can be used in filters or as a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A text field.
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
    /// The field with this name, as in the contract or in its JSON form. Any other name means an attribute.
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

    /// Whether this is the name of a field of the event, which an attribute cannot have.
    #[must_use]
    pub fn is_own(name: &str) -> bool {
        matches!(name, "event_id" | "eventId" | "timestamp" | "decimal_value" | "decimalValue" | "attributes")
            || !matches!(Self::named(name), Self::Attribute(_))
    }

    /// The names of the fields of an event, as in the contract.
    pub fn own_names() -> impl Iterator<Item = &'static str> {
        let numbers = [Self::HttpStatus, Self::Duration, Self::ResponseSize, Self::Value];
        let fields = TextField::ALL.into_iter().map(Self::Text).chain(numbers);
        fields.filter_map(|field| field.own_name())
    }

    /// The name of the field, as in the contract.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            own => own.own_name().expect("only attributes are named by their senders"),
        }
    }

    /// The name of a field of the event. None for an attribute, whose name the sender chose.
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

/// The provider of an event that does not name one.
pub const DEFAULT_PROVIDER: &str = "ODSLRequest";

/// One use of an API, borrowed from the bytes in which it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageEvent<'a> {
    /// The sender's id for the event. Empty if there is none.
    pub event_id: &'a str,
    /// The time of the event, if the sender gave it.
    pub timestamp: Option<Timestamp>,
    /// The text fields by [`TextField`]; empty if absent.
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
    /// The value of a text field; empty if absent.
    #[must_use]
    pub fn text(&self, field: TextField) -> &'a str {
        self.texts[field as usize]
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let at = self.attributes.binary_search_by(|(key, _)| (*key).cmp(name)).ok()?;
        Some(self.attributes[at].1)
    }

    /// Whether two events of the same id say the same. How their sender named them does not matter.
    #[must_use]
    pub fn has_content_of(&self, other: &UsageEvent<'_>) -> bool {
        let Self {
            event_id: _,
            timestamp: _,
            texts,
            http_status,
            duration_ms,
            response_bytes,
            value,
            attributes,
        } = self;
        *texts == other.texts
            && *http_status == other.http_status
            && *duration_ms == other.duration_ms
            && *response_bytes == other.response_bytes
            && *value == other.value
            && *attributes == other.attributes
    }

    /// Fills in the defaults that do not depend on the request.
    pub fn settle(&mut self) {
        let provider = &mut self.texts[TextField::Provider as usize];
        if provider.is_empty() {
            *provider = DEFAULT_PROVIDER;
        }
    }
}

/// The limits of accepted events.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum age of an event.
    pub max_event_age: Duration,
    /// How far an event can be ahead of this machine's clock.
    pub max_event_ahead: Duration,
    /// The maximum length of a string in bytes.
    pub max_string_bytes: usize,
    /// The maximum number of attributes of an event.
    pub max_attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A year and a month, so that the same month of last year can still be completed.
            max_event_age: Duration::from_hours(400 * 24),
            // A wrong time zone puts a clock off by an hour.
            max_event_ahead: Duration::from_hours(1),
            max_string_bytes: 1024,
            max_attributes: 32,
        }
    }
}

impl Limits {
    /// Adds the violations of `event`, whose time is `timestamp`, at the time `now`. Does not allocate if
    /// there are none.
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

    /// Adds the violations of a text, given in the request field `field`.
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
                let text = format!("{name:?} is a field of the event: set the field instead");
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
    fn an_empty_event_is_valid() {
        assert_eq!(violations(&UsageEvent::default()), Vec::<String>::new());
    }

    #[test]
    fn every_violation_names_its_field() {
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
                "attributes: \"service\" is a field of the event: set the field instead",
            ]
        );
    }

    #[test]
    fn timestamps_have_an_upper_and_a_lower_limit() {
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
