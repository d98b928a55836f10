//! The checks of a strict fake: a few rules of the real services, so that tests can provoke errors and
//! rejections.

use flowmeter_core::asset::{Sent, Value};
use flowmeter_proto::v1::{self as api, asset_metric::ValueType};
use prost_types::value::Kind;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::contents::Contents;
use crate::state::Seen;

/// Rejects every token except `good`.
pub fn authorize(metadata: &MetadataMap) -> Result<(), Status> {
    match metadata.get("authorization") {
        Some(token) if token == "Bearer good" => Ok(()),
        _ => Err(Status::unauthenticated("the token is not known")),
    }
}

/// The rejections of the items of a request, or the error for the whole request.
pub fn rejections(seen: &Seen, contents: &Contents) -> Result<Vec<api::Rejection>, Status> {
    if let Some(empty) = seen.documents.iter().position(|document| document.metrics.is_empty())
        && seen.single.is_none()
    {
        return Err(Status::invalid_argument(format!(
            "documents[{empty}].metrics: expected at least one item"
        )));
    }
    let events = seen.events.iter().enumerate().filter_map(|(index, event)| check_event(index, event));
    let flows = seen.flow_requests.iter().enumerate();
    let flows = flows.filter_map(|(index, item)| check_flow_request(index, item, contents));
    let executions = seen.executions.iter().enumerate();
    let executions = executions.filter_map(|(index, report)| check_execution(index, report));
    let documents = seen.documents.iter().enumerate();
    let documents = documents.filter_map(|(index, document)| check_document(index, document));
    Ok(events.chain(flows).chain(executions).chain(documents).collect())
}

fn rejection(index: usize, reason: &str, violations: Vec<(String, String)>) -> api::Rejection {
    let violation = |(field, description)| api::FieldViolation { field, description };
    api::Rejection {
        index: index.try_into().unwrap(),
        reason: reason.into(),
        field_violations: violations.into_iter().map(violation).collect(),
    }
}

/// Rejects the events of the user `refused`.
fn check_event(index: usize, event: &api::UsageEvent) -> Option<api::Rejection> {
    let violation = (format!("events[{index}].user"), "is refused".to_owned());
    (event.user == "refused").then(|| rejection(index, "INVALID_FIELD", vec![violation]))
}

fn check_flow_request(index: usize, item: &api::FlowRequest, contents: &Contents) -> Option<api::Rejection> {
    let (reason, field, description) = match item.count {
        _ if !contents.flows.contains_key(&item.flow_id) => {
            ("UNKNOWN_FLOW", "flow_id", format!("there is no flow \"{}\"", item.flow_id))
        }
        Some(count @ 100_000_001..) => {
            ("INVALID_FIELD", "count", format!("expected 1 to 100000000, found {count}"))
        }
        _ => return None,
    };
    Some(rejection(index, reason, vec![(format!("requests[{index}].{field}"), description)]))
}

fn check_execution(index: usize, report: &api::ExecutionReport) -> Option<api::Rejection> {
    let violation =
        (format!("reports[{index}].integration"), "expected the name of an integration".to_owned());
    report.integration.is_empty().then(|| rejection(index, "INVALID_FIELD", vec![violation]))
}

fn check_document(index: usize, document: &api::AssetDocument) -> Option<api::Rejection> {
    let violation = |(at, metric)| {
        let error = value_type(metric).err()?;
        let (field, description) = error.split_once(": ")?;
        Some((format!("documents[{index}].metrics[{at}].{field}"), description.to_owned()))
    };
    let violations: Vec<_> = document.metrics.iter().enumerate().filter_map(violation).collect();
    (!violations.is_empty()).then(|| rejection(index, "INVALID_FIELD", violations))
}

/// The type of the value of a metric, or why it has none.
pub fn value_type(metric: &api::AssetMetric) -> Result<i32, String> {
    let declared = match metric.value_type() {
        ValueType::Unspecified => None,
        ValueType::String => Some(flowmeter_core::asset::ValueType::String),
        ValueType::Number => Some(flowmeter_core::asset::ValueType::Number),
        ValueType::Boolean => Some(flowmeter_core::asset::ValueType::Boolean),
    };
    let value = sent(metric).settle(declared).map_err(|violation| violation.to_string())?;
    Ok(type_of(value))
}

/// The type of the value of the single form, which is inferred from a string.
pub fn single_value_type(metric: &api::AssetMetric) -> i32 {
    type_of(sent(metric).settle_single().unwrap())
}

fn sent(metric: &api::AssetMetric) -> Sent<'_> {
    match metric.value.as_ref().and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Sent::Text(text),
        Some(Kind::NumberValue(double)) => Sent::Number(*double),
        Some(Kind::BoolValue(boolean)) => Sent::Boolean(*boolean),
        _ => Sent::Other("null"),
    }
}

fn type_of(value: Value<'_>) -> i32 {
    ValueType::from_str_name(value.value_type().name()).unwrap().into()
}
