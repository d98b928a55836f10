//! The methods of `CatalogService`: metrics, calendars, time series and flows.

mod asset_metrics;
pub mod calendars;
mod flows;
mod metrics;
mod providers;
mod time_series;

use flowmeter_core::ids::TenantId;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::catalog_service_server::CatalogService;
use flowmeter_proto::v1::{
    CreateCalendarRequest, CreateCalendarResponse, CreateFlowRequest, CreateFlowResponse,
    CreateMetricRequest, CreateMetricResponse, CreateTimeSeriesRequest, CreateTimeSeriesResponse,
    DeleteCalendarRequest, DeleteCalendarResponse, DeleteFlowRequest, DeleteFlowResponse,
    DeleteMetricRequest, DeleteMetricResponse, DeleteTimeSeriesRequest, DeleteTimeSeriesResponse,
    GetCalendarRequest, GetCalendarResponse, GetFlowRequest, GetFlowResponse, GetMetricRequest,
    GetMetricResponse, GetTimeSeriesRequest, GetTimeSeriesResponse, ListCalendarsRequest,
    ListCalendarsResponse, ListFlowsRequest, ListFlowsResponse, ListMetricsRequest, ListMetricsResponse,
    ListProvidersRequest, ListProvidersResponse, ListTimeSeriesRequest, ListTimeSeriesResponse,
    UpdateCalendarRequest, UpdateCalendarResponse, UpdateFlowRequest, UpdateFlowResponse,
    UpdateMetricRequest, UpdateMetricResponse, UpdateTimeSeriesRequest, UpdateTimeSeriesResponse,
};
use flowmeter_service::auth::{Authenticator, Scope};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_service::telemetry;
use flowmeter_store::Store;
use flowmeter_store::catalog::Changed;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::traced;

/// The service.
pub struct Catalog {
    pub store: Store,
    pub authenticator: Authenticator,
}

/// Who may read, and who may change.
const READ: [Scope; 2] = [Scope::Query, Scope::Catalog];
const CHANGE: [Scope; 1] = [Scope::Catalog];

/// Where a definition is read and changed: the store, for a tenant.
pub struct Shelf<'a> {
    store: &'a Store,
    tenant: TenantId,
}

macro_rules! methods {
    ($($method:ident $name:literal $scopes:ident $handler:path, $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl CatalogService for Catalog {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, request) = request.into_parts();
                let handling = async {
                    let caller = self.authenticator.authorize_any(&metadata, &$scopes).await?;
                    $handler(&Shelf { store: &self.store, tenant: caller.tenant }, request).await
                };
                traced!($name, &metadata, handling)
            })*
        }
    };
}

methods! {
    list_providers "ListProviders" READ providers::list, ListProvidersRequest => ListProvidersResponse;
    list_metrics "ListMetrics" READ metrics::list, ListMetricsRequest => ListMetricsResponse;
    get_metric "GetMetric" READ metrics::get, GetMetricRequest => GetMetricResponse;
    create_metric "CreateMetric" CHANGE metrics::create, CreateMetricRequest => CreateMetricResponse;
    update_metric "UpdateMetric" CHANGE metrics::update, UpdateMetricRequest => UpdateMetricResponse;
    delete_metric "DeleteMetric" CHANGE metrics::delete, DeleteMetricRequest => DeleteMetricResponse;
    list_calendars "ListCalendars" READ calendars::list, ListCalendarsRequest => ListCalendarsResponse;
    get_calendar "GetCalendar" READ calendars::get, GetCalendarRequest => GetCalendarResponse;
    create_calendar "CreateCalendar" CHANGE calendars::create, CreateCalendarRequest => CreateCalendarResponse;
    update_calendar "UpdateCalendar" CHANGE calendars::update, UpdateCalendarRequest => UpdateCalendarResponse;
    delete_calendar "DeleteCalendar" CHANGE calendars::delete, DeleteCalendarRequest => DeleteCalendarResponse;
    list_time_series "ListTimeSeries" READ time_series::list, ListTimeSeriesRequest => ListTimeSeriesResponse;
    get_time_series "GetTimeSeries" READ time_series::get, GetTimeSeriesRequest => GetTimeSeriesResponse;
    create_time_series "CreateTimeSeries" CHANGE time_series::create,
        CreateTimeSeriesRequest => CreateTimeSeriesResponse;
    update_time_series "UpdateTimeSeries" CHANGE time_series::update,
        UpdateTimeSeriesRequest => UpdateTimeSeriesResponse;
    delete_time_series "DeleteTimeSeries" CHANGE time_series::delete,
        DeleteTimeSeriesRequest => DeleteTimeSeriesResponse;
    list_flows "ListFlows" READ flows::list, ListFlowsRequest => ListFlowsResponse;
    get_flow "GetFlow" READ flows::get, GetFlowRequest => GetFlowResponse;
    create_flow "CreateFlow" CHANGE flows::create, CreateFlowRequest => CreateFlowResponse;
    update_flow "UpdateFlow" CHANGE flows::update, UpdateFlowRequest => UpdateFlowResponse;
    delete_flow "DeleteFlow" CHANGE flows::delete, DeleteFlowRequest => DeleteFlowResponse;
}

/// What was changed, or why it was not.
fn settled<T>(changed: Changed<T>, kind: &str, name: &str) -> Result<T, ApiError> {
    match changed {
        Changed::Done(done) => Ok(done),
        Changed::NotFound => Err(ApiError::not_found(kind, name)),
        Changed::Taken => Err(ApiError::already_exists(kind, name)),
        Changed::OtherVersion(current) => Err(ApiError::version_mismatch(kind, name, current)),
        Changed::TooMany { limit, of } => Err(ApiError::limit_reached(limit, of)),
    }
}

/// A version that a request gives; none where it gives 0.
fn version(field: &str, version: i32) -> Result<Option<i32>, ApiError> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(version)),
        _ => {
            let text = format!("expected a version from 1, found {version}");
            Err(ApiError::field(Reason::InvalidField, field, text))
        }
    }
}

/// The message that a request is about.
pub fn given<T>(field: &str, message: Option<T>) -> Result<T, ApiError> {
    message.ok_or_else(|| ApiError::field(Reason::InvalidField, field, "expected one"))
}

/// Bytes of a text for people at most.
const MAX_TEXT_BYTES: usize = 1_024;

fn check_text(field: &str, text: &str, violations: &mut Vec<Violation>) {
    if text.len() > MAX_TEXT_BYTES {
        let found = text.len();
        violations
            .push(Violation::new(field, format!("expected at most {MAX_TEXT_BYTES} bytes, found {found}")));
    } else if text.contains('\0') {
        violations.push(Violation::new(field, "expected text without NUL characters"));
    }
}
