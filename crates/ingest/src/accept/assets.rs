//! Metrics of assets, in one document or in many.

mod document;

use std::collections::HashMap;
use std::slice;

use flowmeter_contract::wire::read_asset_document;
use flowmeter_core::asset::{Number, Value};
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::{self, AssetValues, asset_value};
use flowmeter_proto::raw::{BatchEmitAssetMetricsRequest, EmitAssetMetricsRequest, Rejection};
use flowmeter_service::error::{ApiError, Reason};
use foldhash::fast::RandomState;
use prost::Message;

pub use self::document::Document;
use self::document::Settler;
use super::rejections::Rejections;
use super::usage::UsageLimits;
use super::{Decision, empty_request, request_id};

/// Decides about one document of `tenant` at the time `now`. With the decision comes what the document was
/// taken for. If anything is wrong with it, nothing of it is accepted.
pub fn decide_document<'a>(
    tenant: TenantId,
    request: &'a EmitAssetMetricsRequest,
    limits: &UsageLimits,
    now: Timestamp,
) -> Result<(Decision, Document<'a>), ApiError> {
    if !request.metrics.is_empty() {
        limits.batch.check("metrics", &request.metrics)?;
    } else if let Some(value) = &request.value {
        limits.batch.check("value", slice::from_ref(value))?;
    }
    let request_id = request_id(&request.request_id, now)?;
    let mut violations = Vec::new();
    let document = Settler::new(request_id, &limits.event, now).settle_request(request, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    check_answer(&document)?;
    let mut kept = Kept::default();
    kept.add(0, &document);
    Ok((kept.decision(tenant, request_id, Vec::new()), document))
}

/// Checks that a document can be answered, each value with its type, to a client that takes no more than usual.
fn check_answer(document: &Document<'_>) -> Result<(), ApiError> {
    /// What gRPC clients take by default.
    const MAX_BYTES: usize = 4 * 1024 * 1024;
    /// Of a metric: tags and lengths of its parts, and its type.
    const FRAME_BYTES: usize = 20;
    /// Request id and time.
    const REST_BYTES: usize = 128;
    let metric = |(name, value): &(&str, Value<'_>)| {
        let bytes = match value {
            Value::Text(text) => text.len(),
            Value::Number(_) => Number::MAX_JSON_BYTES,
            Value::Boolean(_) => 1,
        };
        name.len() + bytes + FRAME_BYTES
    };
    let bytes = document.values.iter().map(metric).sum::<usize>() + REST_BYTES;
    if bytes > MAX_BYTES {
        let text =
            format!("expected metrics that take at most {MAX_BYTES} bytes in the answer, found {bytes}");
        return Err(ApiError::too_large(text));
    }
    Ok(())
}

/// Decides about documents of `tenant` at the time `now`, each for itself. Of those that give the same
/// metric, of one asset and time, the first one is accepted.
pub fn decide_batch(
    tenant: TenantId,
    batch: &BatchEmitAssetMetricsRequest,
    limits: &UsageLimits,
    now: Timestamp,
) -> Result<Decision, ApiError> {
    limits.batch.check("documents", &batch.documents)?;
    let request_id = request_id(&batch.request_id, now)?;
    let documents: Vec<_> = batch
        .documents
        .iter()
        .map(|bytes| {
            let mut violations = Vec::new();
            (read_asset_document(bytes, &mut violations), violations)
        })
        .collect();
    let metrics: usize = documents.iter().map(|(document, _)| document.metrics.len()).sum();
    if metrics > limits.batch.max_items {
        let text =
            format!("expected at most {} metrics in all documents, found {metrics}", limits.batch.max_items);
        return Err(ApiError::too_large(text));
    }

    let mut settler = Settler::new(request_id, &limits.event, now);
    let mut kept = Kept::default();
    let mut rejections = Rejections::of("documents");
    for (index, (document, mut violations)) in documents.into_iter().enumerate() {
        let document = settler.settle_document(&document, &mut violations);
        if violations.is_empty() {
            kept.check(&document, &mut violations);
        }
        if violations.is_empty() {
            kept.add(index, &document);
        } else {
            rejections.push(index, Reason::InvalidField, &mut violations);
        }
    }
    Ok(kept.decision(tenant, request_id, rejections.into_vec()))
}

/// What is accepted so far.
#[derive(Default)]
struct Kept<'a> {
    /// The values of each asset and time.
    values: Vec<AssetValues>,
    /// Where in `values` those of an asset and time are.
    places: HashMap<(&'a str, Timestamp), usize, RandomState>,
    /// Which document gave a name, by the place of its asset and time.
    names: HashMap<(usize, &'a str), usize, RandomState>,
}

impl<'a> Kept<'a> {
    /// Adds what of a document is accepted already.
    fn check(&self, document: &Document<'a>, violations: &mut Vec<Violation>) {
        let Some(place) = self.places.get(&(document.asset_urn, document.timestamp)) else { return };
        for (index, (name, _)) in document.values.iter().enumerate() {
            if let Some(other) = self.names.get(&(*place, *name)) {
                let text = format!(
                    "expected each metric of an asset and time once, found that of documents[{other}] again"
                );
                violations.push(Violation::new(format!("metrics[{index}].name"), text));
            }
        }
    }

    /// Accepts the document at `index`.
    fn add(&mut self, index: usize, document: &Document<'a>) {
        let Document { asset_urn, timestamp, values } = document;
        let place = *self.places.entry((asset_urn, *timestamp)).or_insert_with(|| {
            let (asset_urn, timestamp_micros) = ((*asset_urn).to_owned(), timestamp.micros());
            self.values.push(AssetValues { asset_urn, timestamp_micros, values: Vec::new() });
            self.values.len() - 1
        });
        self.names.extend(values.iter().map(|(name, _)| ((place, *name), index)));
        self.values[place].values.extend(values.iter().map(|(name, value)| to_queue(name, *value)));
    }

    fn decision(self, tenant: TenantId, request_id: RequestId, rejections: Vec<Rejection>) -> Decision {
        let mut request = empty_request(tenant, request_id);
        request.asset_values = self.values;
        let bytes = request.encoded_len();
        Decision { request, request_id, accepted: self.names.len(), bytes, rejections }
    }
}

fn to_queue(name: &str, value: Value<'_>) -> queue::AssetValue {
    let value = match value {
        Value::Text(text) => asset_value::Value::Text(text.to_owned()),
        Value::Number(number) => asset_value::Value::Number(number.to_json()),
        Value::Boolean(boolean) => asset_value::Value::Boolean(boolean),
    };
    queue::AssetValue { name: name.to_owned(), value: Some(value) }
}

#[cfg(test)]
mod tests;
