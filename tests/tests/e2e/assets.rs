//! Asset metrics: emitting, merging and reading them.

mod examples;
mod lists;
mod model;
mod rejections;
mod series;

use flowmeter_proto::v1::asset_metric::ValueType;
use flowmeter_proto::v1::{
    Asset, AssetDocument, AssetMetric, BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse,
    EmitAssetMetricsRequest, EmitAssetMetricsResponse, GetLatestAssetMetricsRequest, LatestAssetMetric,
    ListAssetMetricsRequest, ListAssetsRequest,
};
use flowmeter_tests::{Installation, Options, Tenant};
use prost_types::{Timestamp, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An installation that accepts values of any age.
async fn of_any_age(name: &str) -> Installation {
    let settings = vec![("FLOWMETER_MAX_EVENT_AGE".into(), "36500d".into())];
    Installation::start_with(name, Options { settings, ..Options::default() }).await
}

async fn emit(tenant: &Tenant, request: EmitAssetMetricsRequest) -> Result<EmitAssetMetricsResponse, Status> {
    Ok(tenant.ingest.clone().emit_asset_metrics(request).await?.into_inner())
}

/// Emits documents under a request id.
async fn batch(
    tenant: &Tenant,
    request_id: &str,
    documents: Vec<AssetDocument>,
) -> Result<BatchEmitAssetMetricsResponse, Status> {
    let request = BatchEmitAssetMetricsRequest { documents, request_id: request_id.into() };
    Ok(tenant.ingest.clone().batch_emit_asset_metrics(request).await?.into_inner())
}

/// A metric without a declared type.
fn metric(name: &str, value: impl Into<Value>) -> AssetMetric {
    AssetMetric { name: name.into(), value: Some(value.into()), value_type: 0 }
}

/// A metric with a declared type.
fn typed(name: &str, value: impl Into<Value>, value_type: ValueType) -> AssetMetric {
    AssetMetric { value_type: value_type.into(), ..metric(name, value) }
}

fn document(urn: &str, timestamp: Option<Timestamp>, metrics: Vec<AssetMetric>) -> AssetDocument {
    AssetDocument { asset_urn: urn.into(), timestamp, metrics }
}

/// A query for everything that was emitted for an asset up to now.
fn everything(urn: &str) -> ListAssetMetricsRequest {
    ListAssetMetricsRequest { asset_urn: urn.into(), ..ListAssetMetricsRequest::default() }
}

/// A query for all current values of an asset.
fn latest(urn: &str) -> GetLatestAssetMetricsRequest {
    GetLatestAssetMetricsRequest { asset_urn: urn.into(), ..GetLatestAssetMetricsRequest::default() }
}

/// Reads every page of a list, and checks that none exceeds the page size.
macro_rules! all_pages {
    ($tenant:expr, $method:ident($request:expr), $items:ident) => {{
        let mut request = $request;
        let mut query = $tenant.query.clone();
        // An invalid page size is rejected.
        let most = if request.page_size == 0 { 100 } else { request.page_size.unsigned_abs() as usize };
        let mut all = Vec::new();
        loop {
            let page = query.$method(request.clone()).await?.into_inner();
            assert!(page.$items.len() <= most, "{request:?} has {} items", page.$items.len());
            all.extend(page.$items);
            if page.next_page_token.is_empty() {
                break Ok(all);
            }
            request.page_token = page.next_page_token;
        }
    }};
}

async fn list_metrics(
    tenant: &Tenant,
    request: ListAssetMetricsRequest,
) -> Result<Vec<AssetDocument>, Status> {
    all_pages!(tenant, list_asset_metrics(request), documents)
}

async fn list_latest(
    tenant: &Tenant,
    request: GetLatestAssetMetricsRequest,
) -> Result<Vec<LatestAssetMetric>, Status> {
    all_pages!(tenant, get_latest_asset_metrics(request), metrics)
}

async fn list_assets(tenant: &Tenant, request: ListAssetsRequest) -> Result<Vec<Asset>, Status> {
    all_pages!(tenant, list_assets(request), assets)
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap(),
    }
}

fn from_now(seconds: i64) -> Timestamp {
    let now: Timestamp = std::time::SystemTime::now().into();
    Timestamp { seconds: now.seconds + seconds, nanos: 0 }
}

/// The code, the reason, and the fields of the violations.
fn shown(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    (status.code(), reason, fields.into_iter().map(|violation| violation.field).collect())
}

fn invalid(reason: &str, field: &str) -> (Code, String, Vec<String>) {
    (Code::InvalidArgument, reason.to_owned(), vec![field.to_owned()])
}

fn not_found() -> (Code, String, Vec<String>) {
    (Code::NotFound, "NOT_FOUND".to_owned(), vec![])
}
