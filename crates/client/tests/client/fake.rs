//! An ingest service that fails as it is told, and remembers what it was asked.

mod build_info;

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowmeter_client::{
    AssetDocument, Client, ClientSettings, ExecutionReport, FlowRequest, ProtoTimestamp, Rejection,
    UsageEvent,
};
use flowmeter_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use flowmeter_proto::v1::{
    BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse, EmitAssetMetricsRequest,
    EmitAssetMetricsResponse, RecordFlowRequestsRequest, RecordFlowRequestsResponse, RecordUsageRequest,
    RecordUsageResponse, ReportExecutionsRequest, ReportExecutionsResponse, StreamUsageRequest,
    StreamUsageResponse,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::transport::server::ServerTlsConfig;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use self::build_info::BuildInfo;

/// The time of what came without one.
pub const RECEIVED: ProtoTimestamp = ProtoTimestamp { seconds: 1_800_000_000, nanos: 0 };

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Plan {
    /// It is recorded.
    Accept,
    /// It is recorded without these items.
    Reject(Vec<Rejection>),
    /// It is not recorded.
    Refuse(Status),
    /// It is recorded, and its sender hears that it failed.
    AcceptAndFail(Status),
    /// It is recorded, and its sender hears nothing.
    AcceptAndHang,
}

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    pub request_id: String,
    pub events: Vec<UsageEvent>,
    pub flow_requests: Vec<FlowRequest>,
    pub executions: Vec<ExecutionReport>,
    pub documents: Vec<AssetDocument>,
    pub metadata: HashMap<String, String>,
}

/// What the service and the test share.
#[derive(Debug, Default)]
pub struct State {
    plans: Mutex<VecDeque<Plan>>,
    pub seen: watch::Sender<Vec<Seen>>,
    held: watch::Sender<bool>,
    /// Requests that are being served, and the most that were at a time.
    active: Mutex<(usize, usize)>,
    /// What was recorded first under each request id.
    pub recorded: Mutex<HashMap<String, Seen>>,
    /// What the service says that it can do, and how often it was asked.
    pub features: Mutex<Vec<String>>,
    pub asked: Mutex<usize>,
}

impl State {
    /// Does these with the next requests, and accepts all others.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().unwrap().extend(plans);
    }

    /// Answers nothing until it is released.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until so many requests came, and returns all.
    pub async fn seen(&self, count: usize) -> Vec<Seen> {
        self.seen.subscribe().wait_for(|seen| seen.len() >= count).await.unwrap().clone()
    }

    pub fn seen_now(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub fn most_active(&self) -> usize {
        self.active.lock().unwrap().1
    }

    /// Every event that is recorded.
    pub fn events(&self) -> Vec<UsageEvent> {
        self.recorded.lock().unwrap().values().flat_map(|seen| seen.events.clone()).collect()
    }

    /// Every report of an execution that is recorded.
    pub fn executions(&self) -> Vec<ExecutionReport> {
        self.recorded.lock().unwrap().values().flat_map(|seen| seen.executions.clone()).collect()
    }

    async fn serve(&self, mut seen: Seen, metadata: &tonic::metadata::MetadataMap) -> Result<Answer, Status> {
        seen.metadata = metadata
            .clone()
            .into_headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let _active = Active::new(self);
        self.seen.send_modify(|all| all.push(seen.clone()));
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let plan = self.plans.lock().unwrap().pop_front().unwrap_or(Plan::Accept);
        if let Plan::Refuse(status) = plan {
            return Err(status);
        }
        let rejections = if let Plan::Reject(rejections) = &plan { rejections.clone() } else { Vec::new() };
        let items =
            seen.events.len() + seen.flow_requests.len() + seen.executions.len() + seen.documents.len();
        let answer = Answer {
            request_id: seen.request_id.clone(),
            accepted_count: i32::try_from(items - rejections.len()).unwrap(),
            rejections,
        };
        self.record(&seen)?;
        match plan {
            Plan::AcceptAndFail(status) => Err(status),
            Plan::AcceptAndHang => std::future::pending().await,
            _ => Ok(answer),
        }
    }

    /// The same id means the same items in the same order.
    fn record(&self, seen: &Seen) -> Result<(), Status> {
        let mut recorded = self.recorded.lock().unwrap();
        let first = recorded.entry(seen.request_id.clone()).or_insert_with(|| seen.clone());
        let items = |seen: &Seen| Seen { metadata: HashMap::new(), ..seen.clone() };
        if items(first) == items(seen) {
            return Ok(());
        }
        Err(Status::data_loss("other items under the same id"))
    }
}

struct Active<'a>(&'a State);

impl<'a> Active<'a> {
    fn new(state: &'a State) -> Self {
        let mut active = state.active.lock().unwrap();
        active.0 += 1;
        active.1 = active.1.max(active.0);
        Self(state)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.lock().unwrap().0 -= 1;
    }
}

struct Answer {
    request_id: String,
    accepted_count: i32,
    rejections: Vec<Rejection>,
}

/// The service, which a test may put layers around.
#[derive(Debug, Clone)]
pub struct Service(pub Arc<State>);

#[tonic::async_trait]
impl IngestService for Service {
    async fn record_usage(
        &self,
        request: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen = Seen { request_id: message.request_id, events: message.events, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(RecordUsageResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
            event_ids: Vec::new(),
        }))
    }

    async fn record_flow_requests(
        &self,
        request: Request<RecordFlowRequestsRequest>,
    ) -> Result<Response<RecordFlowRequestsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen =
            Seen { request_id: message.request_id, flow_requests: message.requests, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(RecordFlowRequestsResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
        }))
    }

    async fn report_executions(
        &self,
        request: Request<ReportExecutionsRequest>,
    ) -> Result<Response<ReportExecutionsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let seen = Seen { request_id: message.request_id, executions: message.reports, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(ReportExecutionsResponse {
            request_id: answer.request_id,
            accepted_count: answer.accepted_count,
            rejections: answer.rejections,
        }))
    }

    async fn emit_asset_metrics(
        &self,
        request: Request<EmitAssetMetricsRequest>,
    ) -> Result<Response<EmitAssetMetricsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let EmitAssetMetricsRequest { asset_urn, timestamp, metrics, request_id, .. } = message;
        let document = AssetDocument { asset_urn, timestamp, metrics };
        let seen = Seen { request_id, documents: vec![document.clone()], ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        Ok(Response::new(EmitAssetMetricsResponse {
            metrics: document.metrics,
            timestamp: document.timestamp.or(Some(RECEIVED)),
            request_id: answer.request_id,
            ..EmitAssetMetricsResponse::default()
        }))
    }

    async fn batch_emit_asset_metrics(
        &self,
        request: Request<BatchEmitAssetMetricsRequest>,
    ) -> Result<Response<BatchEmitAssetMetricsResponse>, Status> {
        let (metadata, _, BatchEmitAssetMetricsRequest { documents, request_id }) = request.into_parts();
        let metrics: Vec<_> = documents.iter().map(|document| document.metrics.len()).collect();
        let seen = Seen { request_id, documents, ..Seen::default() };
        let answer = self.0.serve(seen, &metadata).await?;
        let rejected =
            answer.rejections.iter().map(|rejection| metrics[usize::try_from(rejection.index).unwrap()]);
        let accepted = metrics.iter().sum::<usize>() - rejected.sum::<usize>();
        Ok(Response::new(BatchEmitAssetMetricsResponse {
            request_id: answer.request_id,
            accepted_count: i32::try_from(accepted).unwrap(),
            rejections: answer.rejections,
            timestamp: Some(RECEIVED),
        }))
    }

    type StreamUsageStream = tokio_stream::Empty<Result<StreamUsageResponse, Status>>;

    async fn stream_usage(
        &self,
        _: Request<Streaming<StreamUsageRequest>>,
    ) -> Result<Response<Self::StreamUsageStream>, Status> {
        Err(Status::unimplemented("the client has no use for it"))
    }
}

/// A service that listens until it is dropped.
pub struct Fake {
    pub address: SocketAddr,
    pub state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

impl std::ops::Deref for Fake {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Fake {
    pub async fn start() -> Self {
        Self::listen(Server::builder(), any_port().await)
    }

    pub async fn start_with_tls(tls: ServerTlsConfig) -> Self {
        Self::listen(Server::builder().tls_config(tls).unwrap(), any_port().await)
    }

    pub fn listen(mut server: Server, listener: TcpListener) -> Self {
        let state = Arc::new(State::default());
        let address = listener.local_addr().unwrap();
        let serving = server
            .add_service(IngestServiceServer::new(Service(state.clone())))
            .add_service(BuildInfo(state.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = AbortOnDropHandle::new(tokio::spawn(async { serving.await.unwrap() }));
        Self { address, state, _server: server }
    }

    pub fn settings(&self) -> ClientSettings {
        ClientSettings::new(format!("http://{}", self.address)).token("fm_secret")
    }

    /// A client that asks what the service can do: these features.
    pub fn client_of_a_service_with(&self, features: &[&str]) -> Client {
        *self.features.lock().unwrap() = features.iter().map(ToString::to_string).collect();
        Client::new(self.settings().query_url(format!("http://{}", self.address))).unwrap()
    }

    /// A client with more patience than any test needs.
    pub fn client(&self) -> Client {
        Client::new(self.settings().patience(Duration::from_hours(1))).unwrap()
    }
}

pub async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// An event that is told from others by its detail.
pub fn event(detail: impl Display) -> UsageEvent {
    UsageEvent { detail: detail.to_string(), ..UsageEvent::default() }
}

/// A failure as the service reports it.
pub fn failure(code: Code, reason: &str, retry_delay: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "flowmeter", HashMap::new());
    if retry_delay.is_some() {
        details.set_retry_info(retry_delay);
    }
    Status::with_error_details(code, format!("{reason} as planned"), details)
}
