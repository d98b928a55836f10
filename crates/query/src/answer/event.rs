//! Encodes stored events.

use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_core::usage::TextField;
use flowmeter_proto::v1;
use flowmeter_store::events::Event;

/// A stored event, with its id.
pub fn to_proto(stored: Event) -> v1::StoredUsageEvent {
    let mut texts = stored.texts;
    let mut text = |field: TextField| std::mem::take(&mut texts[field as usize]);
    // An integer is encoded as such, and any other value as an exact decimal.
    let decimal = stored.value.map(|value| value.to_string()).unwrap_or_default();
    let value = decimal.parse::<i64>().ok();
    let decimal_value = if value.is_none() { decimal } else { String::new() };
    let event = v1::UsageEvent {
        event_id: String::new(),
        timestamp: Some(time_to_proto(stored.id.timestamp())),
        provider: text(TextField::Provider),
        action: text(TextField::Action),
        application: text(TextField::Application),
        detail: text(TextField::Detail),
        environment: text(TextField::Environment),
        httpstatus: stored.http_status,
        invocation_id: text(TextField::InvocationId),
        method: text(TextField::Method),
        service: text(TextField::Service),
        r#type: text(TextField::Type),
        user: text(TextField::User),
        duration: stored.duration_ms,
        response_size: stored.response_bytes,
        value,
        decimal_value,
        attributes: stored.attributes.into_iter().collect(),
    };
    v1::StoredUsageEvent { id: stored.id.to_string(), event: Some(event) }
}
