//! Asset metrics, in one document or in a batch of documents.

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
use self::document::DocumentReader;
use super::rejections::Rejections;
use super::{Decision, Limits, start};

/// Decides about one document of `tenant` at the time `now`. Also returns the document as it was read. If any
/// metric is invalid, the whole document is rejected.
pub fn decide_document<'a>(
    tenant: TenantId,
    request: &'a EmitAssetMetricsRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<(Decision, Document<'a>), ApiError> {
    if !request.metrics.is_empty() {
        limits.batch.check("metrics", &request.metrics)?;
    } else if let Some(value) = &request.value {
        limits.batch.check("value", slice::from_ref(value))?;
    }
    let (request_id, published) = start(tenant, &request.request_id, now)?;
    let mut violations = Vec::new();
    let document = DocumentReader::new(request_id, &limits.event, now).read_request(request, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    check_response_size(&document)?;
    let mut accepted = AcceptedValues::default();
    accepted.add(0, &document);
    Ok((accepted.decision(request_id, published, Vec::new()), document))
}

/// Checks that the response, which repeats each value with its type, is not larger than clients accept by
/// default.
fn check_response_size(document: &Document<'_>) -> Result<(), ApiError> {
    /// The size that gRPC clients accept by default.
    const MAX_BYTES: usize = 4 * 1024 * 1024;
    /// Of each metric: the tags and lengths of its fields, and its type.
    const FRAME_BYTES: usize = 20;
    /// The request id and the time.
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
            format!("expected metrics that take at most {MAX_BYTES} bytes in the response, found {bytes}");
        return Err(ApiError::too_large(text));
    }
    Ok(())
}

/// Decides about each document of `tenant` individually, at the time `now`. If several documents have the
/// same metric of one asset and time, only the first of them is accepted.
pub fn decide_batch(
    tenant: TenantId,
    batch: &BatchEmitAssetMetricsRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<Decision, ApiError> {
    limits.batch.check("documents", &batch.documents)?;
    let (request_id, published) = start(tenant, &batch.request_id, now)?;
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

    let mut reader = DocumentReader::new(request_id, &limits.event, now);
    let mut accepted = AcceptedValues::default();
    let mut rejections = Rejections::of("documents");
    for (index, (document, mut violations)) in documents.into_iter().enumerate() {
        let document = reader.read_document(&document, &mut violations);
        if violations.is_empty() {
            accepted.check(&document, &mut violations);
        }
        if violations.is_empty() {
            accepted.add(index, &document);
        } else {
            rejections.push(index, Reason::InvalidField, &mut violations);
        }
    }
    Ok(accepted.decision(request_id, published, rejections.into_vec()))
}

/// The values accepted so far.
#[derive(Default)]
struct AcceptedValues<'a> {
    /// The values of each asset and time.
    values: Vec<AssetValues>,
    /// The index in `values` of an asset and time.
    indexes: HashMap<(&'a str, Timestamp), usize, RandomState>,
    /// The index of the document with a metric, by the index of its asset and time and the name of the
    /// metric.
    documents: HashMap<(usize, &'a str), usize, RandomState>,
}

impl<'a> AcceptedValues<'a> {
    /// Adds a violation for each metric of a document that has been accepted already.
    fn check(&self, document: &Document<'a>, violations: &mut Vec<Violation>) {
        let Some(index) = self.indexes.get(&(document.asset_urn, document.timestamp)) else { return };
        for (position, (name, _)) in document.values.iter().enumerate() {
            if let Some(other) = self.documents.get(&(*index, *name)) {
                let text = format!(
                    "expected each metric of an asset and time once, found it in documents[{other}] as well"
                );
                violations.push(Violation::new(format!("metrics[{position}].name"), text));
            }
        }
    }

    /// Accepts a document, whose index in the batch is `number`.
    fn add(&mut self, number: usize, document: &Document<'a>) {
        let Document { asset_urn, timestamp, values } = document;
        let index = *self.indexes.entry((asset_urn, *timestamp)).or_insert_with(|| {
            let (asset_urn, timestamp_micros) = ((*asset_urn).to_owned(), timestamp.micros());
            self.values.push(AssetValues { asset_urn, timestamp_micros, values: Vec::new() });
            self.values.len() - 1
        });
        self.documents.extend(values.iter().map(|(name, _)| ((index, *name), number)));
        self.values[index].values.extend(values.iter().map(|(name, value)| to_queue(name, *value)));
    }

    fn decision(
        self,
        request_id: RequestId,
        mut request: queue::Request,
        rejections: Vec<Rejection>,
    ) -> Decision {
        request.asset_values = self.values;
        let bytes = request.encoded_len();
        Decision { request, request_id, accepted: self.documents.len(), bytes, rejections }
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
