//! `EmitAssetMetrics`: the metrics of one asset at one time.

use bytes::Bytes;
use flowmeter_contract::{asset_value, time};
use flowmeter_core::asset::Value;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::{EmitAssetMetricsRequest, EmitAssetMetricsResponse};
use flowmeter_proto::v1::AssetMetric;
use flowmeter_service::auth::Scope;
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::Ingest;
use crate::accept::assets::{self, Document};

pub(super) async fn handle(
    ingest: &Ingest,
    request: Request<EmitAssetMetricsRequest>,
) -> Result<Response<EmitAssetMetricsResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("EmitAssetMetrics", metrics = request.metrics.len());
    telemetry::continue_trace(&span, &metadata);
    Ok(Response::new(emit(ingest, &metadata, &request).instrument(span).await?))
}

async fn emit(
    ingest: &Ingest,
    metadata: &MetadataMap,
    request: &EmitAssetMetricsRequest,
) -> Result<EmitAssetMetricsResponse, ApiError> {
    let deadline = ingest.publisher.deadline(metadata);
    let caller = ingest.authenticator.authorize(metadata, Scope::Ingest).await?;
    let (decision, document) =
        assets::decide_document(caller.tenant, request, &ingest.limits, Timestamp::now())?;
    let request_id = ingest.publisher.publish(decision, deadline).await?.request_id;
    Ok(response(request, document, request_id))
}

/// The answer has the form of the request: one value or a list of metrics.
fn response(
    request: &EmitAssetMetricsRequest,
    document: Document<'_>,
    request_id: String,
) -> EmitAssetMetricsResponse {
    let Document { timestamp, values, .. } = document;
    let timestamp = Some(time::to_proto(timestamp).encode_to_vec().into());
    let mut response = EmitAssetMetricsResponse { timestamp, request_id, ..Default::default() };
    if request.metrics.is_empty() {
        // The single form has one value, which is returned as it was sent.
        let value_type = values.first().map(|(_, value)| asset_value::type_to_proto(value.value_type()));
        response.value_type = value_type.unwrap_or_default().into();
        response.name.clone_from(&request.name);
        response.value.clone_from(&request.value);
    } else {
        response.metrics = values.into_iter().map(|(name, value)| metric(name, value)).collect();
    }
    response
}

fn metric(name: &str, value: Value<'_>) -> Bytes {
    let metric = AssetMetric {
        name: name.to_owned(),
        value: Some(asset_value::to_proto(value)),
        value_type: asset_value::type_to_proto(value.value_type()).into(),
    };
    metric.encode_to_vec().into()
}
