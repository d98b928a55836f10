//! `QueryService`: events, time series, flows, executions and assets. One file for each method.

mod get_build_info;
mod get_flow_metric;
mod get_latest_asset_metrics;
mod get_receipt;
mod get_usage_event;
mod list_asset_metrics;
mod list_assets;
mod list_field_values;
mod list_usage_events;
mod query_executions;
mod query_time_series;

use std::time::Duration;

use flowmeter_contract::time::to_proto;
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_proto::v1::query_service_server::QueryService;
use flowmeter_proto::v1::{
    GetBuildInfoRequest, GetBuildInfoResponse, GetFlowMetricRequest, GetFlowMetricResponse,
    GetLatestAssetMetricsRequest, GetLatestAssetMetricsResponse, GetReceiptRequest, GetReceiptResponse,
    GetUsageEventRequest, GetUsageEventResponse, ListAssetMetricsRequest, ListAssetMetricsResponse,
    ListAssetsRequest, ListAssetsResponse, ListFieldValuesRequest, ListFieldValuesResponse,
    ListUsageEventsRequest, ListUsageEventsResponse, QueryExecutionsRequest, QueryExecutionsResponse,
    QueryTimeSeriesRequest, QueryTimeSeriesResponse,
};
use flowmeter_service::auth::{Authenticator, Scope};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_service::{deadline, telemetry};
use flowmeter_store::Store;
use flowmeter_store::progress;
use flowmeter_store::receipts::Receipts;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::traced;
use crate::tenant_limiter::TenantLimiter;

/// The longest time that a call waits for another request to be applied.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The service.
pub struct QueryApi {
    pub store: Store,
    pub receipts: Receipts,
    pub authenticator: Authenticator,
    pub tenant_limiter: TenantLimiter,
    pub max_points: u64,
    pub max_event_ahead: Duration,
    pub flow_min_requests: u32,
}

impl QueryApi {
    /// The calling tenant, and the time until which the call may wait.
    async fn caller(&self, metadata: &MetadataMap) -> Result<(TenantId, Instant), ApiError> {
        let deadline = deadline::of(metadata, MAX_WAIT);
        let caller = self.authenticator.authorize(metadata, Scope::Query).await?;
        Ok((caller.tenant, deadline))
    }

    /// Waits until the request that `after_request_id` names is applied. Returns false if it names none.
    async fn wait_until_applied(
        &self,
        tenant: TenantId,
        request_id: &str,
        deadline: Instant,
    ) -> Result<bool, ApiError> {
        if request_id.is_empty() {
            return Ok(false);
        }
        let id = read_request_id("after_request_id", request_id)?;
        match self.receipts.wait(tenant, id, deadline).await? {
            Some(_) => Ok(true),
            None => Err(ApiError::deadline(format!("request {id} is not applied yet"))),
        }
    }

    /// The time up to which an answer that is read after this call has all acknowledged data.
    async fn fresh_through(&self) -> Result<Option<prost_types::Timestamp>, ApiError> {
        let client = self.store.client().await?;
        Ok(progress::fresh_through(&client).await?.map(to_proto))
    }
}

fn read_request_id(field: &str, text: &str) -> Result<RequestId, ApiError> {
    RequestId::parse(text).ok_or_else(|| {
        ApiError::field(Reason::InvalidField, field, "expected a request id that the ingest service returned")
    })
}

#[tonic::async_trait]
impl QueryService for QueryApi {
    async fn get_build_info(
        &self,
        _: Request<GetBuildInfoRequest>,
    ) -> Result<Response<GetBuildInfoResponse>, Status> {
        Ok(Response::new(get_build_info::answer()))
    }

    async fn get_usage_event(
        &self,
        request: Request<GetUsageEventRequest>,
    ) -> Result<Response<GetUsageEventResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("GetUsageEvent", &metadata, get_usage_event::handle(self, &metadata, &request))
    }

    async fn list_usage_events(
        &self,
        request: Request<ListUsageEventsRequest>,
    ) -> Result<Response<ListUsageEventsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("ListUsageEvents", &metadata, list_usage_events::handle(self, &metadata, &request))
    }

    async fn list_field_values(
        &self,
        request: Request<ListFieldValuesRequest>,
    ) -> Result<Response<ListFieldValuesResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("ListFieldValues", &metadata, list_field_values::handle(self, &metadata, &request))
    }

    async fn query_time_series(
        &self,
        request: Request<QueryTimeSeriesRequest>,
    ) -> Result<Response<QueryTimeSeriesResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("QueryTimeSeries", &metadata, query_time_series::handle(self, &metadata, &request))
    }

    async fn get_flow_metric(
        &self,
        request: Request<GetFlowMetricRequest>,
    ) -> Result<Response<GetFlowMetricResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("GetFlowMetric", &metadata, get_flow_metric::handle(self, &metadata, &request))
    }

    async fn query_executions(
        &self,
        request: Request<QueryExecutionsRequest>,
    ) -> Result<Response<QueryExecutionsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("QueryExecutions", &metadata, query_executions::handle(self, &metadata, &request))
    }

    async fn list_asset_metrics(
        &self,
        request: Request<ListAssetMetricsRequest>,
    ) -> Result<Response<ListAssetMetricsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("ListAssetMetrics", &metadata, list_asset_metrics::handle(self, &metadata, &request))
    }

    async fn get_latest_asset_metrics(
        &self,
        request: Request<GetLatestAssetMetricsRequest>,
    ) -> Result<Response<GetLatestAssetMetricsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!(
            "GetLatestAssetMetrics",
            &metadata,
            get_latest_asset_metrics::handle(self, &metadata, &request)
        )
    }

    async fn list_assets(
        &self,
        request: Request<ListAssetsRequest>,
    ) -> Result<Response<ListAssetsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("ListAssets", &metadata, list_assets::handle(self, &metadata, &request))
    }

    async fn get_receipt(
        &self,
        request: Request<GetReceiptRequest>,
    ) -> Result<Response<GetReceiptResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        traced!("GetReceipt", &metadata, get_receipt::handle(self, &metadata, &request))
    }
}
