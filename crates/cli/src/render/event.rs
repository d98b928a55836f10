//! The fields of a stored event, as the cells of a table and as the lines of a description.

use flowmeter_proto::v1::{StoredUsageEvent, UsageEvent};

use super::table::{Align, properties, table};
use crate::moment;

/// The columns of a list if no fields are requested.
const USUAL: [&str; 11] = [
    "timestamp",
    "method",
    "service",
    "action",
    "application",
    "user",
    "httpstatus",
    "duration",
    "response_size",
    "value",
    "id",
];

/// The fields in the order of a description, each with its title there.
const DESCRIBED: [(&str, &str); 16] = [
    ("id", "id"),
    ("timestamp", "timestamp"),
    ("provider", "provider"),
    ("type", "type"),
    ("method", "method"),
    ("service", "service"),
    ("action", "action"),
    ("application", "application"),
    ("environment", "environment"),
    ("user", "user"),
    ("invocation_id", "invocation id"),
    ("detail", "detail"),
    ("httpstatus", "httpstatus"),
    ("duration", "duration (ms)"),
    ("response_size", "response size (bytes)"),
    ("value", "value"),
];

/// A table of events with a column for each of these fields, or the usual columns if there are no fields.
pub(crate) fn rows(events: &[StoredUsageEvent], fields: &[String]) -> String {
    let mut columns: Vec<&str> = fields.iter().map(|field| name(field)).collect();
    if columns.is_empty() || columns == ["*"] {
        columns = USUAL.to_vec();
    }
    // `event` selects all fields of the event.
    if let Some(at) = columns.iter().position(|column| *column == "event") {
        let others = DESCRIBED.iter().map(|(field, _)| *field).filter(|field| *field != "id");
        columns.splice(at..=at, others.chain(["attributes"]));
    }
    let titles: Vec<_> = columns.iter().map(|field| title(field)).collect();
    let heading = columns.iter().zip(&titles).map(|(field, title)| (title.as_str(), align(field)));
    let empty = UsageEvent::default();
    let row = |stored: &StoredUsageEvent| {
        let event = stored.event.as_ref().unwrap_or(&empty);
        columns.iter().map(|field| cell(&stored.id, event, field)).collect::<Vec<_>>()
    };
    table(heading.collect::<Vec<_>>(), events.iter().map(row).collect::<Vec<_>>())
}

/// The fields that an event has, one per line, with the attributes last.
pub(crate) fn describe(stored: &StoredUsageEvent) -> String {
    let event = stored.event.clone().unwrap_or_default();
    let mut pairs: Vec<_> =
        DESCRIBED.iter().map(|(field, name)| (*name, cell(&stored.id, &event, field))).collect();
    let mut attributes: Vec<_> = event.attributes.iter().collect();
    attributes.sort();
    pairs.extend(attributes.into_iter().map(|(name, value)| (name.as_str(), value.clone())));
    properties(&pairs)
}

/// The name of a field, without the message that the path in a mask can begin with.
fn name(path: &str) -> &str {
    let path = path.strip_prefix("event.").unwrap_or(path);
    path.strip_prefix("attributes.").unwrap_or(path)
}

fn title(field: &str) -> String {
    match field {
        "httpstatus" => "STATUS".into(),
        "duration" => "MS".into(),
        "response_size" => "BYTES".into(),
        // The names of attributes are case-sensitive.
        field if is_field(field) => field.to_uppercase().replace('_', " "),
        field => field.into(),
    }
}

fn is_field(field: &str) -> bool {
    ["attributes", "decimal_value"].contains(&field) || DESCRIBED.iter().any(|(known, _)| *known == field)
}

fn align(field: &str) -> Align {
    match field {
        "httpstatus" | "duration" | "response_size" | "value" | "decimal_value" => Align::Right,
        _ => Align::Left,
    }
}

fn cell(id: &str, event: &UsageEvent, field: &str) -> String {
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    match field {
        "id" => id.to_owned(),
        "timestamp" => moment::rfc3339(event.timestamp.as_ref()),
        "provider" => event.provider.clone(),
        "type" => event.r#type.clone(),
        "method" => event.method.clone(),
        "service" => event.service.clone(),
        "action" => event.action.clone(),
        "application" => event.application.clone(),
        "environment" => event.environment.clone(),
        "user" => event.user.clone(),
        "invocation_id" => event.invocation_id.clone(),
        "detail" => event.detail.clone(),
        "httpstatus" => number(event.httpstatus.map(i64::from)),
        "duration" => number(event.duration),
        "response_size" => number(event.response_size),
        "value" => event.value.map_or_else(|| event.decimal_value.clone(), |value| value.to_string()),
        "decimal_value" => event.decimal_value.clone(),
        "attributes" => {
            let mut pairs: Vec<_> =
                event.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.sort();
            pairs.join(", ")
        }
        attribute => event.attributes.get(attribute).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> StoredUsageEvent {
        let attributes = [("key", "AAA"), ("Queue", "größe\u{1b}[2J")];
        let event = UsageEvent {
            timestamp: Some(prost_types::Timestamp { seconds: 1_795_168_800, nanos: 0 }),
            method: "get".into(),
            service: "nova-api".into(),
            duration: Some(12),
            decimal_value: "0.50".into(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..UsageEvent::default()
        };
        StoredUsageEvent { id: "01".into(), event: Some(event) }
    }

    fn shown(fields: &[&str]) -> String {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        rows(&[event(), StoredUsageEvent { id: "02".into(), event: None }], &fields)
    }

    #[test]
    fn columns_follow_the_fields() {
        insta::assert_snapshot!(shown(&[]), @r"
        TIMESTAMP             METHOD  SERVICE   ACTION  APPLICATION  USER  STATUS  MS  BYTES  VALUE  ID
        2026-11-20T10:00:00Z  get     nova-api                                     12          0.50  01
                                                                                                     02
        ");
        insta::assert_snapshot!(shown(&["event.timestamp", "duration", "attributes", "event.attributes.key"]), @r"
        TIMESTAMP             MS  ATTRIBUTES                     key
        2026-11-20T10:00:00Z  12  Queue=größe\u{1b}[2J, key=AAA  AAA
        ");
    }

    #[test]
    fn the_whole_event_has_all_columns() {
        let heading = shown(&["id", "event"]).lines().next().unwrap().to_owned();
        assert!(heading.starts_with("ID  TIMESTAMP") && heading.ends_with("ATTRIBUTES"), "{heading}");
        assert_eq!(rows(&[], &[]).lines().count(), 1);
    }

    #[test]
    fn a_description_leaves_out_absent_fields() {
        insta::assert_snapshot!(describe(&event()), @r"
        id             01
        timestamp      2026-11-20T10:00:00Z
        method         get
        service        nova-api
        duration (ms)  12
        value          0.50
        Queue          größe\u{1b}[2J
        key            AAA
        ");
    }
}
