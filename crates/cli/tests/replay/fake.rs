//! Services that keep what they are given in memory, and fail when they are told to.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use flowmeter_proto::v1::{
    self as api, UsageEvent,
    get_receipt_response::State,
    ingest_service_server::{IngestService, IngestServiceServer},
    query_service_server::{QueryService, QueryServiceServer},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    codegen::BoxStream,
    transport::{Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

/// What the services remember.
#[derive(Default)]
pub struct Memory {
    /// The accepted events of each request, in order of arrival.
    pub requests: Vec<(String, Vec<UsageEvent>)>,
    /// How many of the next calls to fail as unavailable.
    pub failures: usize,
    /// How many calls there were.
    pub calls: usize,
}

impl Memory {
    /// All accepted events.
    pub fn events(&self) -> impl Iterator<Item = &UsageEvent> {
        self.requests.iter().flat_map(|(_, events)| events)
    }
}

/// Both services at one address.
#[derive(Clone)]
pub struct Fake {
    pub memory: Arc<Mutex<Memory>>,
    pub address: SocketAddr,
}

/// Starts the services on a free port. They end with the runtime.
pub async fn start(failures: usize) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let memory = Arc::new(Mutex::new(Memory { failures, ..Memory::default() }));
    let fake = Fake { memory, address };
    let server = Server::builder()
        .add_service(IngestServiceServer::new(fake.clone()))
        .add_service(QueryServiceServer::new(fake.clone()))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    fake
}

fn authorize<T>(request: &Request<T>) -> Result<(), Status> {
    match request.metadata().get("authorization") {
        Some(token) if token == "Bearer good" => Ok(()),
        _ => Err(Status::unauthenticated("the token is not known")),
    }
}

#[tonic::async_trait]
impl IngestService for Fake {
    async fn record_usage(
        &self,
        request: Request<api::RecordUsageRequest>,
    ) -> Result<Response<api::RecordUsageResponse>, Status> {
        authorize(&request)?;
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        memory.calls += 1;
        if memory.failures > 0 {
            memory.failures -= 1;
            let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(20)));
            return Err(Status::with_error_details(tonic::Code::Unavailable, "the broker is away", details));
        }
        let (good, bad): (Vec<_>, Vec<_>) =
            request.events.into_iter().enumerate().partition(|(_, event)| event.user != "refused");
        let rejection = |(index, _): &(usize, UsageEvent)| api::Rejection {
            index: i32::try_from(*index).unwrap(),
            reason: "INVALID_FIELD".into(),
            field_violations: vec![api::FieldViolation {
                field: format!("events[{index}].user"),
                description: "is refused".into(),
            }],
        };
        let response = api::RecordUsageResponse {
            request_id: request.request_id.clone(),
            accepted_count: i32::try_from(good.len()).unwrap(),
            rejections: bad.iter().map(rejection).collect(),
            event_ids: Vec::new(),
        };
        let events = good.into_iter().map(|(_, event)| event).collect();
        memory.requests.push((request.request_id, events));
        Ok(Response::new(response))
    }

    type StreamUsageStream = BoxStream<api::StreamUsageResponse>;

    async fn record_flow_requests(
        &self,
        _: Request<api::RecordFlowRequestsRequest>,
    ) -> Result<Response<api::RecordFlowRequestsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn emit_asset_metrics(
        &self,
        _: Request<api::EmitAssetMetricsRequest>,
    ) -> Result<Response<api::EmitAssetMetricsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn batch_emit_asset_metrics(
        &self,
        _: Request<api::BatchEmitAssetMetricsRequest>,
    ) -> Result<Response<api::BatchEmitAssetMetricsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn report_executions(
        &self,
        _: Request<api::ReportExecutionsRequest>,
    ) -> Result<Response<api::ReportExecutionsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn stream_usage(
        &self,
        _: Request<Streaming<api::StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl QueryService for Fake {
    async fn get_receipt(
        &self,
        request: Request<api::GetReceiptRequest>,
    ) -> Result<Response<api::GetReceiptResponse>, Status> {
        authorize(&request)?;
        let id = request.into_inner().request_id;
        let memory = self.memory.lock().unwrap();
        let mut seen = HashSet::new();
        for (request, events) in &memory.requests {
            let new = events.iter().filter(|event| seen.insert(&event.event_id)).count();
            if *request == id {
                return Ok(Response::new(api::GetReceiptResponse {
                    request_id: id,
                    state: State::Applied.into(),
                    accepted_count: i32::try_from(new).unwrap(),
                    duplicate_count: i32::try_from(events.len() - new).unwrap(),
                    ..api::GetReceiptResponse::default()
                }));
            }
        }
        Ok(Response::new(api::GetReceiptResponse {
            request_id: id,
            state: State::Pending.into(),
            ..api::GetReceiptResponse::default()
        }))
    }

    async fn query_executions(
        &self,
        _: Request<api::QueryExecutionsRequest>,
    ) -> Result<Response<api::QueryExecutionsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    /// The number of accepted events in each hour, whatever the metric.
    async fn query_time_series(
        &self,
        request: Request<api::QueryTimeSeriesRequest>,
    ) -> Result<Response<api::QueryTimeSeriesResponse>, Status> {
        authorize(&request)?;
        let request = request.into_inner();
        let mut hours: HashMap<i64, i64> = HashMap::new();
        for event in self.memory.lock().unwrap().events() {
            let second = event.timestamp.as_ref().unwrap().seconds;
            *hours.entry(second - second.rem_euclid(3600)).or_default() += 1;
        }
        let mut hours: Vec<_> = hours.into_iter().collect();
        hours.sort_unstable();
        let point = |(seconds, count): (i64, i64)| api::Point {
            timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            value: Some(count.to_string()),
            count,
        };
        let points = hours.into_iter().map(point).collect();
        Ok(Response::new(api::QueryTimeSeriesResponse {
            metric: request.metric,
            calendar: "#PT1H".into(),
            observed: api::Observed::Summed.into(),
            unit: "1".into(),
            series: vec![api::Series { points, ..api::Series::default() }],
            ..api::QueryTimeSeriesResponse::default()
        }))
    }

    async fn list_asset_metrics(
        &self,
        _: Request<api::ListAssetMetricsRequest>,
    ) -> Result<Response<api::ListAssetMetricsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_latest_asset_metrics(
        &self,
        _: Request<api::GetLatestAssetMetricsRequest>,
    ) -> Result<Response<api::GetLatestAssetMetricsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_assets(
        &self,
        _: Request<api::ListAssetsRequest>,
    ) -> Result<Response<api::ListAssetsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_flow_metric(
        &self,
        _: Request<api::GetFlowMetricRequest>,
    ) -> Result<Response<api::GetFlowMetricResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_build_info(
        &self,
        _: Request<api::GetBuildInfoRequest>,
    ) -> Result<Response<api::GetBuildInfoResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_usage_event(
        &self,
        _: Request<api::GetUsageEventRequest>,
    ) -> Result<Response<api::GetUsageEventResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_usage_events(
        &self,
        _: Request<api::ListUsageEventsRequest>,
    ) -> Result<Response<api::ListUsageEventsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_field_values(
        &self,
        _: Request<api::ListFieldValuesRequest>,
    ) -> Result<Response<api::ListFieldValuesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
