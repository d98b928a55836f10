//! `CatalogService`: metrics, calendars, time series and flows. One file for each method.

mod create_calendar;
mod create_flow;
mod create_metric;
mod create_time_series;
mod delete_calendar;
mod delete_flow;
mod delete_metric;
mod delete_time_series;
mod get_calendar;
mod get_flow;
mod get_metric;
mod get_time_series;
mod list_calendars;
mod list_flows;
mod list_metrics;
mod list_providers;
mod list_time_series;
mod update_calendar;
mod update_flow;
mod update_metric;
mod update_time_series;

use flowmeter_contract::names::TimeSeriesName;
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::catalog_service_server::CatalogService;
use flowmeter_proto::v1::{
    self, CreateCalendarRequest, CreateCalendarResponse, CreateFlowRequest, CreateFlowResponse,
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
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use flowmeter_store::Store;
use flowmeter_store::catalog::Changed;
use flowmeter_store::catalog::time_series::NewTimeSeries;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::traced;
use crate::spec::asset_query::reading;
use crate::{resolve, spec};

/// The service.
pub struct CatalogApi {
    pub store: Store,
    pub authenticator: Authenticator,
}

/// The scopes that a method needs: one of them is enough.
const READ: [Scope; 2] = [Scope::Query, Scope::Catalog];
const CHANGE: [Scope; 1] = [Scope::Catalog];

/// What one tenant has defined, in the store.
pub struct TenantCatalog<'a> {
    store: &'a Store,
    tenant: TenantId,
}

macro_rules! methods {
    ($($method:ident $name:literal $scopes:ident, $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl CatalogService for CatalogApi {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, request) = request.into_parts();
                let handling = async {
                    let caller = self.authenticator.authorize_any(&metadata, &$scopes).await?;
                    $method::handle(&TenantCatalog { store: &self.store, tenant: caller.tenant }, request).await
                };
                traced!($name, &metadata, handling)
            })*
        }
    };
}

methods! {
    list_providers "ListProviders" READ, ListProvidersRequest => ListProvidersResponse;
    list_metrics "ListMetrics" READ, ListMetricsRequest => ListMetricsResponse;
    get_metric "GetMetric" READ, GetMetricRequest => GetMetricResponse;
    create_metric "CreateMetric" CHANGE, CreateMetricRequest => CreateMetricResponse;
    update_metric "UpdateMetric" CHANGE, UpdateMetricRequest => UpdateMetricResponse;
    delete_metric "DeleteMetric" CHANGE, DeleteMetricRequest => DeleteMetricResponse;
    list_calendars "ListCalendars" READ, ListCalendarsRequest => ListCalendarsResponse;
    get_calendar "GetCalendar" READ, GetCalendarRequest => GetCalendarResponse;
    create_calendar "CreateCalendar" CHANGE, CreateCalendarRequest => CreateCalendarResponse;
    update_calendar "UpdateCalendar" CHANGE, UpdateCalendarRequest => UpdateCalendarResponse;
    delete_calendar "DeleteCalendar" CHANGE, DeleteCalendarRequest => DeleteCalendarResponse;
    list_time_series "ListTimeSeries" READ, ListTimeSeriesRequest => ListTimeSeriesResponse;
    get_time_series "GetTimeSeries" READ, GetTimeSeriesRequest => GetTimeSeriesResponse;
    create_time_series "CreateTimeSeries" CHANGE,
        CreateTimeSeriesRequest => CreateTimeSeriesResponse;
    update_time_series "UpdateTimeSeries" CHANGE,
        UpdateTimeSeriesRequest => UpdateTimeSeriesResponse;
    delete_time_series "DeleteTimeSeries" CHANGE,
        DeleteTimeSeriesRequest => DeleteTimeSeriesResponse;
    list_flows "ListFlows" READ, ListFlowsRequest => ListFlowsResponse;
    get_flow "GetFlow" READ, GetFlowRequest => GetFlowResponse;
    create_flow "CreateFlow" CHANGE, CreateFlowRequest => CreateFlowResponse;
    update_flow "UpdateFlow" CHANGE, UpdateFlowRequest => UpdateFlowResponse;
    delete_flow "DeleteFlow" CHANGE, DeleteFlowRequest => DeleteFlowResponse;
}

/// The result of a change, or the error that says why nothing was changed.
fn changed_or_error<T>(changed: Changed<T>, kind: &str, name: &str) -> Result<T, ApiError> {
    match changed {
        Changed::Done(done) => Ok(done),
        Changed::NotFound => Err(ApiError::not_found(kind, name)),
        Changed::Taken => Err(ApiError::already_exists(kind, name)),
        Changed::OtherVersion(current) => Err(ApiError::version_mismatch(kind, name, current)),
        Changed::TooMany { limit, of } => Err(ApiError::limit_reached(limit, of)),
    }
}

/// Reads a time series, and checks that the metric and the calendar that it names exist, unless `current` names them too.
async fn checked_time_series(
    catalog: &TenantCatalog<'_>,
    name: &TimeSeriesName,
    series: v1::TimeSeries,
    current: Option<&NewTimeSeries>,
) -> Result<NewTimeSeries, ApiError> {
    let within = |error: ApiError| error.within("time_series");
    let (mut new, metric) = spec::time_series::read(name, series)?;
    let names_another =
        |current: &NewTimeSeries| (&current.provider, &current.metric) != (&metric.provider, &metric.name);
    if metric.is_of_assets() {
        // Asset metrics are never deleted, so this finds the metric of `current` too.
        let found = resolve::asset_metric(catalog.store, catalog.tenant, &metric).await?;
        // The default of today is stored, because there is no default once the metric has values of another type.
        new.observed = Some(reading(new.observed, found.readable).map_err(within)?);
    } else if current.is_none_or(names_another) {
        resolve::event_metric(catalog.store, catalog.tenant, &metric).await?;
    }
    if current.is_none_or(|current| current.calendar != new.calendar) {
        resolve::calendar(catalog.store, catalog.tenant, &new.calendar).await.map_err(within)?;
    }
    Ok(new)
}
