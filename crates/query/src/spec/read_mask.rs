//! Read masks: which fields of events a request asks for. Pure.

use std::collections::BTreeSet;

use flowmeter_core::filter::Filter;
use flowmeter_core::usage::Field;
use flowmeter_core::violation::{Fact, Kind, Violation};
use flowmeter_proto::v1;
use flowmeter_service::error::ApiError;

/// The fields of events that an answer has.
#[derive(Debug)]
pub struct ReadMask {
    /// The fields. `None` for all fields.
    paths: Option<BTreeSet<String>>,
}

/// The fields of an event.
const FIELDS: [&str; 17] = [
    "timestamp",
    "provider",
    "action",
    "application",
    "detail",
    "environment",
    "httpstatus",
    "invocation_id",
    "method",
    "service",
    "type",
    "user",
    "duration",
    "response_size",
    "value",
    "decimal_value",
    "attributes",
];

/// The name of the field of events that `name` means, as in a filter, or the name of an attribute. The error
/// says what was expected.
fn field(name: &str) -> Result<&str, String> {
    let is_attribute = name.starts_with("attributes.");
    match Filter::field(name) {
        Ok(Field::Attribute(_)) if is_attribute => Ok(name),
        Err(expected) if is_attribute || Filter::meant(name).is_some() => Err(expected),
        found => {
            let own = found.ok().and_then(|field| field.own_name());
            own.ok_or_else(|| "id or event.{field}, such as event.duration".to_owned())
        }
    }
}

impl ReadMask {
    /// Reads paths such as `id`, `event.duration` or just `duration`, and
    /// `event.attributes.queue`.
    pub fn read(mask: Option<&prost_types::FieldMask>) -> Result<Self, ApiError> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            return Ok(Self { paths: None });
        };
        let mut paths = BTreeSet::new();
        let mut everything = false;
        for path in &mask.paths {
            let known = match path.strip_prefix("event.").unwrap_or(path) {
                "*" => {
                    everything = true;
                    continue;
                }
                "event" => {
                    paths.extend(FIELDS.map(str::to_owned));
                    continue;
                }
                name if name == "id" && path == "id" => "id",
                name if FIELDS.contains(&name) => name,
                name => field(name).map_err(|expected| {
                    let text = format!("expected {expected}, found {path:?}");
                    let is_misspelt = name.starts_with("attributes.") || Filter::meant(name).is_some();
                    let kind = if is_misspelt { Kind::Misspelt } else { Kind::UnknownField };
                    Violation::new("read_mask", text).of_kind(kind).with(Fact::Found(path.clone()))
                })?,
            };
            paths.insert(known.to_owned());
        }
        Ok(Self { paths: Some(paths).filter(|_| !everything) })
    }

    /// The event with only the fields in the mask.
    pub fn apply(&self, stored: v1::StoredUsageEvent) -> v1::StoredUsageEvent {
        let Some(paths) = &self.paths else { return stored };
        let event = stored.event.unwrap_or_default();
        let has = |name: &str| paths.contains(name);
        let text = |name: &str, text: String| if has(name) { text } else { String::new() };
        let has_attribute = |name: &str| has("attributes") || paths.contains(&format!("attributes.{name}"));
        v1::StoredUsageEvent {
            id: text("id", stored.id),
            event: Some(v1::UsageEvent {
                event_id: String::new(),
                timestamp: event.timestamp.filter(|_| has("timestamp")),
                provider: text("provider", event.provider),
                action: text("action", event.action),
                application: text("application", event.application),
                detail: text("detail", event.detail),
                environment: text("environment", event.environment),
                httpstatus: event.httpstatus.filter(|_| has("httpstatus")),
                invocation_id: text("invocation_id", event.invocation_id),
                method: text("method", event.method),
                service: text("service", event.service),
                r#type: text("type", event.r#type),
                user: text("user", event.user),
                duration: event.duration.filter(|_| has("duration")),
                response_size: event.response_size.filter(|_| has("response_size")),
                // An event has its value in one of the two fields.
                value: event.value.filter(|_| has("value") || has("decimal_value")),
                decimal_value: text(
                    if has("value") { "value" } else { "decimal_value" },
                    event.decimal_value,
                ),
                attributes: event.attributes.into_iter().filter(|(name, _)| has_attribute(name)).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_accepts_the_names_that_filters_accept() {
        for (name, own) in [
            ("responseSize", "response_size"),
            ("httpStatus", "httpstatus"),
            ("attributes.queue", "attributes.queue"),
            ("attributes.servise", "attributes.servise"),
        ] {
            assert_eq!(field(name), Ok(own));
        }
        for (name, expected) in [
            ("servise", "service, or attributes.servise for the attribute"),
            ("queue", "id or event.{field}, such as event.duration"),
            ("", "id or event.{field}, such as event.duration"),
        ] {
            assert_eq!(field(name).unwrap_err(), expected);
        }
        assert!(field("attributes.").is_err());
    }
}
