//! A stored event as the contract writes it.

use flowmeter_core::usage::TextField;
use flowmeter_proto::v1;
use flowmeter_service::time::to_proto;
use flowmeter_store::events::StoredEvent;

pub(super) fn to_contract(stored: StoredEvent) -> v1::StoredUsageEvent {
    let mut texts = stored.texts;
    let mut text = |field: TextField| std::mem::take(&mut texts[field as usize]);
    // A whole value is answered as the plain integer, any other one as the exact decimal.
    let value = stored.value.as_deref().and_then(|value| value.parse::<i64>().ok());
    let decimal_value = if value.is_none() { stored.value.unwrap_or_default() } else { String::new() };
    let event = v1::UsageEvent {
        event_id: String::new(),
        timestamp: Some(to_proto(stored.id.timestamp())),
        provider: text(TextField::Provider),
        action: text(TextField::Action),
        application: text(TextField::Application),
        detail: text(TextField::Detail),
        environment: text(TextField::Environment),
        httpstatus: stored.http_status.map(i32::from),
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
