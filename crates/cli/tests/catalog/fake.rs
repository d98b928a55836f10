//! A catalog that remembers what it was asked, and answers with what it was given.

mod assets;
mod executions;
mod measured;
mod tenants;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

pub use assets::Assets;
use flowmeter_proto::v1::{
    self as api,
    admin_service_server::AdminServiceServer,
    backfill::State,
    catalog_service_server::{CatalogService, CatalogServiceServer},
    ingest_service_server::IngestServiceServer,
    query_service_server::QueryServiceServer,
};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

/// What the catalog remembers.
#[derive(Default)]
pub struct Memory {
    /// The one metric, at its current version.
    pub metric: api::Metric,
    /// The one calendar.
    pub calendar: api::Calendar,
    /// The masks of updates, in order.
    pub masks: Vec<Vec<String>>,
    /// How many of the next calls for the metric find its backfill under way.
    pub backfill_calls: usize,
    /// The names of what was deleted.
    pub deleted: Vec<String>,
    /// The flows, by id.
    pub flows: BTreeMap<String, api::Flow>,
    /// The reports of requests to flows, in order.
    pub reports: Vec<api::RecordFlowRequestsRequest>,
    /// How many of the next reports fail, as the broker is away.
    pub failures: usize,
    /// The metrics of any flow, by name.
    pub metrics: HashMap<&'static str, Vec<api::FlowDataPoint>>,
    /// How many requests flows have had, where that is too few for metrics.
    pub too_few: Option<u32>,
    /// Whether the token may not read the metrics of flows.
    pub is_denied: bool,
    /// What was asked for of the metrics of flows, in order.
    pub asked: Vec<api::GetFlowMetricRequest>,
    /// The reports of executions, in order.
    pub executed: Vec<api::ReportExecutionsRequest>,
    /// The calls of executions, whatever is asked for.
    pub calls: api::QueryExecutionsResponse,
    /// What was asked for of the calls of executions, in order.
    pub asked_calls: Vec<api::QueryExecutionsRequest>,
    /// The assets that there are, and what was emitted and asked for.
    pub assets: Assets,
    /// The one tenant.
    pub tenant: api::Tenant,
}

/// The catalog at its address.
#[derive(Clone)]
pub struct Fake {
    pub memory: Arc<Mutex<Memory>>,
    pub address: SocketAddr,
}

/// Starts the catalog on a free port. It ends with the runtime.
pub async fn start(memory: Memory) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Fake { memory: Arc::new(Mutex::new(memory)), address };
    let server = Server::builder()
        .add_service(AdminServiceServer::new(fake.clone()))
        .add_service(CatalogServiceServer::new(fake.clone()))
        .add_service(QueryServiceServer::new(fake.clone()))
        .add_service(IngestServiceServer::new(fake.clone()))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    fake
}

type Answer<T> = Result<Response<T>, Status>;

fn absent<T>() -> Answer<T> {
    Err(Status::unimplemented("not here"))
}

fn not_found(kind: &str, name: &str) -> Status {
    let mut details = ErrorDetails::with_error_info("NOT_FOUND", "flowmeter", HashMap::new());
    details.set_resource_info(kind, name, "", "");
    Status::with_error_details(Code::NotFound, format!("there is no {kind} \"{name}\""), details)
}

/// Refuses a version that is not the current one.
fn check(given: i32, current: i32) -> Result<(), Status> {
    if given == 0 || given == current {
        return Ok(());
    }
    let details = ErrorDetails::with_error_info(
        "VERSION_MISMATCH",
        "flowmeter",
        [("current".into(), current.to_string())],
    );
    Err(Status::with_error_details(Code::Aborted, "it is at another version", details))
}

#[tonic::async_trait]
impl CatalogService for Fake {
    async fn get_metric(&self, request: Request<api::GetMetricRequest>) -> Answer<api::GetMetricResponse> {
        let mut memory = self.memory.lock().unwrap();
        let request = request.into_inner();
        let name = request.name;
        if name != memory.metric.name {
            return Err(not_found("metric", &name));
        }
        if request.version > 0 {
            return Err(not_found("metric", &format!("{name} in version {}", request.version)));
        }
        let mut metric = memory.metric.clone();
        let state = if memory.backfill_calls > 0 { State::Running } else { State::Done };
        memory.backfill_calls = memory.backfill_calls.saturating_sub(1);
        metric.backfill =
            Some(api::Backfill { state: state.into(), event_count: 5000, ..api::Backfill::default() });
        Ok(Response::new(api::GetMetricResponse { metric: Some(metric) }))
    }

    async fn create_metric(
        &self,
        request: Request<api::CreateMetricRequest>,
    ) -> Answer<api::CreateMetricResponse> {
        let mut metric = request.into_inner().metric.unwrap();
        metric.version = 1;
        metric.backfill = Some(api::Backfill { state: State::Pending.into(), ..api::Backfill::default() });
        self.memory.lock().unwrap().metric = metric.clone();
        Ok(Response::new(api::CreateMetricResponse { metric: Some(metric) }))
    }

    async fn update_metric(
        &self,
        request: Request<api::UpdateMetricRequest>,
    ) -> Answer<api::UpdateMetricResponse> {
        let request = request.into_inner();
        let mut metric = request.metric.unwrap();
        let mut memory = self.memory.lock().unwrap();
        check(metric.version, memory.metric.version)?;
        memory.masks.push(request.update_mask.unwrap().paths);
        metric.version = memory.metric.version + 1;
        memory.metric = metric.clone();
        Ok(Response::new(api::UpdateMetricResponse { metric: Some(metric) }))
    }

    async fn delete_metric(
        &self,
        request: Request<api::DeleteMetricRequest>,
    ) -> Answer<api::DeleteMetricResponse> {
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        if !memory.metric.name.is_empty() && request.name != memory.metric.name {
            return Err(not_found("metric", &request.name));
        }
        check(request.version, memory.metric.version)?;
        memory.deleted.push(request.name);
        Ok(Response::new(api::DeleteMetricResponse {}))
    }

    async fn get_calendar(&self, _: Request<api::GetCalendarRequest>) -> Answer<api::GetCalendarResponse> {
        let calendar = self.memory.lock().unwrap().calendar.clone();
        Ok(Response::new(api::GetCalendarResponse { calendar: Some(calendar) }))
    }

    async fn create_calendar(
        &self,
        request: Request<api::CreateCalendarRequest>,
    ) -> Answer<api::CreateCalendarResponse> {
        let mut calendar = request.into_inner().calendar.unwrap();
        calendar.version = 1;
        self.memory.lock().unwrap().calendar = calendar.clone();
        Ok(Response::new(api::CreateCalendarResponse { calendar: Some(calendar) }))
    }

    async fn update_calendar(
        &self,
        request: Request<api::UpdateCalendarRequest>,
    ) -> Answer<api::UpdateCalendarResponse> {
        let request = request.into_inner();
        let mut calendar = request.calendar.unwrap();
        let mut memory = self.memory.lock().unwrap();
        check(calendar.version, memory.calendar.version)?;
        memory.masks.push(request.update_mask.unwrap().paths);
        calendar.version = memory.calendar.version + 1;
        memory.calendar = calendar.clone();
        Ok(Response::new(api::UpdateCalendarResponse { calendar: Some(calendar) }))
    }

    /// Two pages of one time series each.
    async fn list_time_series(
        &self,
        request: Request<api::ListTimeSeriesRequest>,
    ) -> Answer<api::ListTimeSeriesResponse> {
        let request = request.into_inner();
        let (id, next) = if request.page_token.is_empty() { ("X", "next") } else { ("Y", "") };
        let parent = if request.parent.is_empty() { "objects/AAA" } else { &request.parent };
        let name = format!("{parent}/timeSeries/{id}");
        let series =
            api::TimeSeries { name, provider: "P".into(), metric: "m".into(), ..api::TimeSeries::default() };
        Ok(Response::new(api::ListTimeSeriesResponse {
            time_series: vec![series],
            next_page_token: next.into(),
        }))
    }

    /// Pages of two flows each, whatever is asked for.
    async fn list_flows(&self, request: Request<api::ListFlowsRequest>) -> Answer<api::ListFlowsResponse> {
        let after = request.into_inner().page_token;
        let memory = self.memory.lock().unwrap();
        let mut flows: Vec<_> = memory.flows.values().filter(|flow| flow.id > after).cloned().collect();
        let has_more = flows.len() > 2;
        flows.truncate(2);
        let last = flows.last().map(|flow| flow.id.clone()).unwrap_or_default();
        let next_page_token = if has_more { last } else { String::new() };
        Ok(Response::new(api::ListFlowsResponse { flows, next_page_token }))
    }

    async fn get_flow(&self, request: Request<api::GetFlowRequest>) -> Answer<api::GetFlowResponse> {
        let id = request.into_inner().id;
        let flow = self.memory.lock().unwrap().flows.get(&id).cloned();
        let flow = Some(flow.ok_or_else(|| not_found("flow", &id))?);
        Ok(Response::new(api::GetFlowResponse { flow }))
    }

    async fn create_flow(&self, request: Request<api::CreateFlowRequest>) -> Answer<api::CreateFlowResponse> {
        let flow = api::Flow { version: 1, ..request.into_inner().flow.unwrap() };
        self.memory.lock().unwrap().flows.insert(flow.id.clone(), flow.clone());
        Ok(Response::new(api::CreateFlowResponse { flow: Some(flow) }))
    }

    async fn update_flow(&self, request: Request<api::UpdateFlowRequest>) -> Answer<api::UpdateFlowResponse> {
        let request = request.into_inner();
        let given = request.flow.unwrap();
        let mut memory = self.memory.lock().unwrap();
        let flow = memory.flows.get_mut(&given.id).ok_or_else(|| not_found("flow", &given.id))?;
        check(given.version, flow.version)?;
        let paths = request.update_mask.unwrap().paths;
        for path in &paths {
            match path.as_str() {
                "name" => flow.name.clone_from(&given.name),
                "endpoint_url" => flow.endpoint_url.clone_from(&given.endpoint_url),
                "data_api_version" => flow.data_api_version.clone_from(&given.data_api_version),
                "time_zone" => flow.time_zone.clone_from(&given.time_zone),
                "check_interval" => flow.check_interval = given.check_interval,
                other => return Err(Status::invalid_argument(format!("update_mask: {other}"))),
            }
        }
        flow.version += 1;
        let flow = flow.clone();
        memory.masks.push(paths);
        Ok(Response::new(api::UpdateFlowResponse { flow: Some(flow) }))
    }

    async fn delete_flow(&self, request: Request<api::DeleteFlowRequest>) -> Answer<api::DeleteFlowResponse> {
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        let current = memory.flows.get(&request.id).map(|flow| flow.version);
        check(request.version, current.ok_or_else(|| not_found("flow", &request.id))?)?;
        memory.flows.remove(&request.id);
        Ok(Response::new(api::DeleteFlowResponse {}))
    }

    async fn list_providers(
        &self,
        _: Request<api::ListProvidersRequest>,
    ) -> Answer<api::ListProvidersResponse> {
        absent()
    }

    async fn list_metrics(
        &self,
        request: Request<api::ListMetricsRequest>,
    ) -> Answer<api::ListMetricsResponse> {
        let request = request.into_inner();
        if request.provider == "asset" {
            return Ok(Response::new(self.list_metrics_of_assets(&request)));
        }
        let metrics = vec![self.memory.lock().unwrap().metric.clone()];
        Ok(Response::new(api::ListMetricsResponse { metrics, ..api::ListMetricsResponse::default() }))
    }

    async fn list_calendars(
        &self,
        _: Request<api::ListCalendarsRequest>,
    ) -> Answer<api::ListCalendarsResponse> {
        absent()
    }

    async fn delete_calendar(
        &self,
        request: Request<api::DeleteCalendarRequest>,
    ) -> Answer<api::DeleteCalendarResponse> {
        Err(not_found("calendar", &request.into_inner().code))
    }

    /// There is X of every object.
    async fn get_time_series(
        &self,
        request: Request<api::GetTimeSeriesRequest>,
    ) -> Answer<api::GetTimeSeriesResponse> {
        let name = request.into_inner().name;
        if !name.ends_with("/timeSeries/X") {
            return Err(not_found("time series", &name));
        }
        let time_series = Some(api::TimeSeries { name, ..api::TimeSeries::default() });
        Ok(Response::new(api::GetTimeSeriesResponse { time_series }))
    }

    async fn create_time_series(
        &self,
        _: Request<api::CreateTimeSeriesRequest>,
    ) -> Answer<api::CreateTimeSeriesResponse> {
        absent()
    }

    async fn update_time_series(
        &self,
        _: Request<api::UpdateTimeSeriesRequest>,
    ) -> Answer<api::UpdateTimeSeriesResponse> {
        absent()
    }

    async fn delete_time_series(
        &self,
        _: Request<api::DeleteTimeSeriesRequest>,
    ) -> Answer<api::DeleteTimeSeriesResponse> {
        absent()
    }
}
