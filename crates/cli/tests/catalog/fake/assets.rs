//! Metrics of assets: emitted, and read in pages of two.

use flowmeter_core::asset::Sent;
use flowmeter_proto::v1::{self as api, asset_metric::ValueType};
use prost_types::{Value, value::Kind};
use tonic::{Response, Status};

use super::{Answer, Fake, Memory, not_found};

/// What there is of assets, and what was said and asked of them.
#[derive(Default)]
pub struct Assets {
    /// The metrics of each asset, whatever its URN, by time.
    pub documents: Vec<api::AssetDocument>,
    /// The current values of each asset, by name.
    pub latest: Vec<api::LatestAssetMetric>,
    /// Their metrics in the catalog, by name.
    pub metrics: Vec<api::Metric>,
    /// The assets, by URN.
    pub known: Vec<api::Asset>,
    /// The requests of one document, in order.
    pub emitted: Vec<api::EmitAssetMetricsRequest>,
    /// The requests of many documents, in order.
    pub batches: Vec<api::BatchEmitAssetMetricsRequest>,
    /// What was asked for of the history of assets, in order.
    pub asked: Vec<api::ListAssetMetricsRequest>,
    /// The sizes of the pages that were asked for, in order.
    pub page_sizes: Vec<i32>,
}

/// 2026-11-22T10:00:00Z: what the service takes for now.
const NOW: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_795_341_600, nanos: 0 };

/// What the service says to a broken broker, so often.
fn broken(memory: &mut Memory) -> Result<(), Status> {
    if memory.failures == 0 {
        return Ok(());
    }
    memory.failures -= 1;
    Err(Status::unavailable("the broker is away"))
}

fn sent(value: Option<&Value>) -> Sent<'_> {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Sent::Text(text),
        Some(Kind::NumberValue(double)) => Sent::Number(*double),
        Some(Kind::BoolValue(boolean)) => Sent::Boolean(*boolean),
        _ => Sent::Other("null"),
    }
}

fn settled(value: flowmeter_core::asset::Value<'_>) -> i32 {
    ValueType::from_str_name(value.value_type().name()).unwrap().into()
}

/// The type of a metric, or what is wrong with it.
fn settle(metric: &api::AssetMetric) -> Result<i32, String> {
    let declared = match metric.value_type() {
        ValueType::Unspecified => None,
        ValueType::String => Some(flowmeter_core::asset::ValueType::String),
        ValueType::Number => Some(flowmeter_core::asset::ValueType::Number),
        ValueType::Boolean => Some(flowmeter_core::asset::ValueType::Boolean),
    };
    let value = sent(metric.value.as_ref()).settle(declared).map_err(|wrong| wrong.to_string())?;
    Ok(settled(value))
}

/// A page of at most two from where the token says, and the token of the next one.
fn page<T: Clone>(all: &[T], size: i32, token: &str) -> (Vec<T>, String) {
    let start: usize = if token.is_empty() { 0 } else { token.parse().unwrap() };
    let end = (start + usize::try_from(size).unwrap().min(2)).min(all.len());
    let next = if end < all.len() { end.to_string() } else { String::new() };
    (all[start..end].to_vec(), next)
}

/// How far a page is fresh: later pages are so further than the first.
fn fresh_through(token: &str) -> prost_types::Timestamp {
    let seconds: i64 = if token.is_empty() { 0 } else { token.parse().unwrap() };
    prost_types::Timestamp { seconds: NOW.seconds + seconds, ..NOW }
}

impl Fake {
    /// Those of the provider `asset`.
    pub(super) fn list_metrics_of_assets(
        &self,
        request: &api::ListMetricsRequest,
    ) -> api::ListMetricsResponse {
        let (metrics, next_page_token) =
            page(&self.memory.lock().unwrap().assets.metrics, 2, &request.page_token);
        api::ListMetricsResponse { metrics, next_page_token }
    }

    pub(super) fn emit_asset_metrics(
        &self,
        request: api::EmitAssetMetricsRequest,
    ) -> Answer<api::EmitAssetMetricsResponse> {
        let mut memory = self.memory.lock().unwrap();
        memory.assets.emitted.push(request.clone());
        broken(&mut memory)?;
        let mut answer = api::EmitAssetMetricsResponse {
            timestamp: request.timestamp.or(Some(NOW)),
            request_id: request.request_id,
            name: request.name,
            ..api::EmitAssetMetricsResponse::default()
        };
        for metric in request.metrics {
            let value_type = settle(&metric).map_err(Status::invalid_argument)?;
            answer.metrics.push(api::AssetMetric { value_type, ..metric });
        }
        if !answer.name.is_empty() {
            answer.value_type = settled(sent(request.value.as_ref()).settle_single().unwrap());
            answer.value = request.value;
        }
        Ok(Response::new(answer))
    }

    /// Rejects documents of which a metric is wrong, and refuses requests with one without metrics.
    pub(super) fn batch_emit_asset_metrics(
        &self,
        request: api::BatchEmitAssetMetricsRequest,
    ) -> Answer<api::BatchEmitAssetMetricsResponse> {
        let mut memory = self.memory.lock().unwrap();
        memory.assets.batches.push(request.clone());
        broken(&mut memory)?;
        if let Some(empty) = request.documents.iter().position(|document| document.metrics.is_empty()) {
            return Err(Status::invalid_argument(format!(
                "documents[{empty}].metrics: expected one at least"
            )));
        }
        let mut answer = api::BatchEmitAssetMetricsResponse {
            request_id: request.request_id,
            timestamp: Some(NOW),
            ..api::BatchEmitAssetMetricsResponse::default()
        };
        for (index, document) in request.documents.iter().enumerate() {
            let violation = |(at, metric)| {
                let wrong = settle(metric).err()?;
                let (field, description) = wrong.split_once(": ")?;
                let field = format!("documents[{index}].metrics[{at}].{field}");
                Some(api::FieldViolation { field, description: description.into() })
            };
            let violations: Vec<_> = document.metrics.iter().enumerate().filter_map(violation).collect();
            if violations.is_empty() {
                answer.accepted_count += i32::try_from(document.metrics.len()).unwrap();
                continue;
            }
            answer.rejections.push(api::Rejection {
                index: index.try_into().unwrap(),
                reason: "INVALID_FIELD".into(),
                field_violations: violations,
            });
        }
        Ok(Response::new(answer))
    }

    pub(super) fn list_asset_metrics(
        &self,
        request: api::ListAssetMetricsRequest,
    ) -> Answer<api::ListAssetMetricsResponse> {
        let assets = &mut self.memory.lock().unwrap().assets;
        check(assets, &request.asset_urn)?;
        let (documents, next_page_token) = page(&assets.documents, request.page_size, &request.page_token);
        let fresh_through = Some(fresh_through(&request.page_token));
        assets.page_sizes.push(request.page_size);
        assets.asked.push(request);
        Ok(Response::new(api::ListAssetMetricsResponse { documents, next_page_token, fresh_through }))
    }

    pub(super) fn latest_asset_metrics(
        &self,
        request: &api::GetLatestAssetMetricsRequest,
    ) -> Answer<api::GetLatestAssetMetricsResponse> {
        let assets = &self.memory.lock().unwrap().assets;
        check(assets, &request.asset_urn)?;
        let is_asked = |metric: &&api::LatestAssetMetric| {
            request.names.is_empty() || request.names.contains(&metric.name)
        };
        let asked: Vec<_> = assets.latest.iter().filter(is_asked).cloned().collect();
        let (metrics, next_page_token) = page(&asked, request.page_size, &request.page_token);
        Ok(Response::new(api::GetLatestAssetMetricsResponse {
            metrics,
            next_page_token,
            fresh_through: Some(fresh_through(&request.page_token)),
        }))
    }

    pub(super) fn list_assets(&self, request: &api::ListAssetsRequest) -> api::ListAssetsResponse {
        let assets = &mut self.memory.lock().unwrap().assets;
        assets.page_sizes.push(request.page_size);
        let begins = |asset: &&api::Asset| asset.urn.starts_with(&request.prefix);
        let asked: Vec<_> = assets.known.iter().filter(begins).cloned().collect();
        let (assets, next_page_token) = page(&asked, request.page_size, &request.page_token);
        api::ListAssetsResponse {
            assets,
            next_page_token,
            fresh_through: Some(fresh_through(&request.page_token)),
        }
    }
}

fn check(assets: &Assets, urn: &str) -> Result<(), Status> {
    let is_known = assets.known.iter().any(|asset| asset.urn == urn);
    if is_known { Ok(()) } else { Err(not_found("asset", urn)) }
}
