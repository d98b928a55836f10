//! `EmitAssetMetrics`: the metrics of one asset and time.

use bytes::Bytes;
use flowmeter_contract::{asset_value, time};
use flowmeter_core::asset::Value;
use flowmeter_proto::raw::{EmitAssetMetricsRequest, EmitAssetMetricsResponse};
use flowmeter_proto::v1::AssetMetric;
use flowmeter_service::telemetry;
use prost::Message;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::accept::assets::Document;
use crate::recorder::{Recorded, Recorder};

pub(super) async fn handle(
    recorder: &Recorder,
    request: Request<EmitAssetMetricsRequest>,
) -> Result<Response<EmitAssetMetricsResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let span = tracing::info_span!("EmitAssetMetrics", metrics = request.metrics.len());
    telemetry::continue_trace(&span, &metadata);
    let (Recorded { request_id, .. }, Document { timestamp, values, .. }) =
        recorder.emit_document(&metadata, &request).instrument(span).await?;
    let timestamp = Some(time::to_proto(timestamp).encode_to_vec().into());
    let mut response = EmitAssetMetricsResponse { timestamp, request_id, ..Default::default() };
    if request.metrics.is_empty() {
        // The single form, which has one value: it is answered as it was sent.
        let types = values.first().map(|(_, value)| asset_value::type_to_proto(value.value_type()));
        response.value_type = types.unwrap_or_default().into();
        response.name = request.name;
        response.value = request.value;
    } else {
        response.metrics = values.into_iter().map(|(name, value)| metric(name, value)).collect();
    }
    Ok(Response::new(response))
}

fn metric(name: &str, value: Value<'_>) -> Bytes {
    let metric = AssetMetric {
        name: name.to_owned(),
        value: Some(asset_value::to_proto(value)),
        value_type: asset_value::type_to_proto(value.value_type()).into(),
    };
    metric.encode_to_vec().into()
}
