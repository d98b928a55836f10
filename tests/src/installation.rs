//! An installation: its own database and queues, and the real services as processes.

use std::path::PathBuf;
use std::time::Duration;

use flowmeter_core::ids::RequestId;
use flowmeter_proto::v1::admin_service_client::AdminServiceClient;
use flowmeter_proto::v1::catalog_service_client::CatalogServiceClient;
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{
    CreateTenantRequest, CreateTokenRequest, GetReceiptRequest, GetReceiptResponse, Point,
    QueryTimeSeriesRequest, RecordUsageRequest, RecordUsageResponse, Scope, UsageEvent,
};
use flowmeter_stack::{Binaries, Service, ServiceSpec, workspace_root};
use flowmeter_store::{Settings, Store, tokens};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The URLs of the shared servers: PostgreSQL and RabbitMQ.
pub fn servers() -> (String, String) {
    let url = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test [FILTER]`"))
    };
    (url("FLOWMETER_TEST_DATABASE_URL"), url("FLOWMETER_TEST_AMQP_URL"))
}

/// How an installation differs from the default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings of all services.
    pub settings: Vec<(String, String)>,
    /// A service, such as `worker`, and its URL of the broker.
    pub amqp_url: Option<(&'static str, String)>,
    /// A service, and its URL of the database.
    pub database_url: Option<(&'static str, String)>,
}

/// A running installation.
pub struct Installation {
    /// The ingest service.
    pub ingest: Service,
    /// The worker.
    pub worker: Service,
    /// The query service.
    pub query: Service,
    /// Its database.
    pub store: Store,
    /// The URL of its database.
    pub database_url: String,
    /// The prefix of the names of its queues.
    pub queue_prefix: String,
    another_worker: ServiceSpec,
    operator: String,
}

impl Installation {
    /// Starts an installation with default options. `name` must be unique among the tests.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, Options::default()).await
    }

    /// Starts an installation.
    pub async fn start_with(name: &str, options: Options) -> Self {
        let (database_url, amqp_url) = servers();
        let database_url = create_database(&database_url, name).await;
        flowmeter_store::migrate(&database_url).await.expect("the migrations");
        let store = store(&database_url);
        let operator = tokens::bootstrap(&store).await.expect("an operator's token").reveal().to_owned();

        let binaries = Binaries::for_tests().expect("the services are built");
        let directory = log_directory(name);
        let spec = |service: &'static str, binary: &PathBuf| {
            let own = |other: &Option<(&'static str, String)>, usual: &str| match other {
                Some((of, url)) if *of == service => url.clone(),
                _ => usual.to_owned(),
            };
            let mut spec = ServiceSpec::new(service, binary, &directory)
                .env("FLOWMETER_DATABASE_URL", own(&options.database_url, &database_url))
                .env("FLOWMETER_DATABASE_CONNECTIONS", "4")
                .env("FLOWMETER_AMQP_URL", own(&options.amqp_url, &amqp_url))
                .env("FLOWMETER_QUEUE_PREFIX", name);
            spec.env.extend(options.settings.iter().cloned());
            spec
        };
        let spawn = |service, binary| Service::spawn(spec(service, binary)).expect("the service starts");
        let another_worker =
            ServiceSpec { name: "another-worker".into(), ..spec("worker", &binaries.worker) };
        Self {
            ingest: spawn("ingest", &binaries.ingest),
            worker: spawn("worker", &binaries.worker),
            query: spawn("query", &binaries.query),
            store,
            database_url,
            queue_prefix: name.to_owned(),
            another_worker,
            operator,
        }
    }

    /// Starts a second worker.
    pub fn start_another_worker(&self) -> Service {
        Service::spawn(self.another_worker.clone()).expect("the worker starts")
    }

    /// The operator's token.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Creates a tenant, and a token with all scopes.
    pub async fn tenant(&self, name: &str) -> Tenant {
        let mut admin = self.admin(&self.operator).await;
        let request = CreateTenantRequest { tenant_id: name.into() };
        admin.create_tenant(request).await.expect("a new tenant");
        let scopes = [Scope::Ingest, Scope::Query, Scope::Catalog, Scope::Admin];
        let token = self.token(name, &scopes).await;
        self.client(&token).await
    }

    /// A tenant's clients that send the token.
    pub async fn client(&self, token: &str) -> Tenant {
        let token = token.to_owned();
        Tenant {
            catalog: CatalogServiceClient::with_interceptor(
                connect(&self.query.url()).await,
                Bearer::new(&token),
            ),
            ingest: IngestServiceClient::with_interceptor(
                connect(&self.ingest.url()).await,
                Bearer::new(&token),
            ),
            query: QueryServiceClient::with_interceptor(
                connect(&self.query.url()).await,
                Bearer::new(&token),
            ),
            token,
        }
    }

    /// Creates another token of a tenant.
    pub async fn token(&self, tenant: &str, scopes: &[Scope]) -> String {
        let request = CreateTokenRequest {
            parent: format!("tenants/{tenant}"),
            scopes: scopes.iter().map(|scope| i32::from(*scope)).collect(),
            ..CreateTokenRequest::default()
        };
        let answer = self.admin(&self.operator).await.create_token(request).await;
        answer.expect("a token for a tenant").into_inner().secret
    }

    /// A client of the admin service.
    pub async fn admin(&self, token: &str) -> AdminServiceClient<InterceptedService<Channel, Bearer>> {
        AdminServiceClient::with_interceptor(connect(&self.query.url()).await, Bearer::new(token))
    }
}

fn store(database_url: &str) -> Store {
    let settings = Settings {
        url: database_url.to_owned(),
        max_connections: 4,
        statement_timeout: Duration::from_secs(30),
    };
    Store::new(&settings).expect("a valid URL")
}

async fn create_database(server_url: &str, name: &str) -> String {
    let database = format!("test_{}", name.replace('-', "_"));
    let (client, connection) =
        tokio_postgres::connect(server_url, tokio_postgres::NoTls).await.expect("the shared database server");
    tokio::spawn(connection);
    for statement in
        [format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"), format!("CREATE DATABASE {database}")]
    {
        client.batch_execute(&statement).await.expect("a new database");
    }
    let (head, tail) = server_url.rsplit_once('@').expect("the URL has credentials");
    let host = tail.split('/').next().expect("a host");
    format!("{head}@{host}/{database}")
}

fn log_directory(name: &str) -> PathBuf {
    let directory = workspace_root().join("target/test-logs").join(name);
    std::fs::create_dir_all(&directory).expect("a directory for logs");
    directory
}

/// Connects to a service.
async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
    endpoint.connect().await.expect("the service listens")
}

/// Adds a token to every call.
#[derive(Clone)]
pub struct Bearer(String);

impl Bearer {
    fn new(token: &str) -> Self {
        Self(format!("Bearer {token}"))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.parse().expect("tokens are plain text"));
        Ok(request)
    }
}

/// A tenant and its clients.
#[derive(Clone)]
pub struct Tenant {
    /// Its token.
    pub token: String,
    /// A client of the ingest service.
    pub ingest: IngestServiceClient<InterceptedService<Channel, Bearer>>,
    /// A client of the catalog service.
    pub catalog: CatalogServiceClient<InterceptedService<Channel, Bearer>>,
    /// A client of the query service.
    pub query: QueryServiceClient<InterceptedService<Channel, Bearer>>,
}

impl Tenant {
    /// Records a batch under a request id.
    pub async fn record(
        &self,
        request_id: &str,
        events: Vec<UsageEvent>,
    ) -> Result<RecordUsageResponse, Status> {
        let request = RecordUsageRequest { events, request_id: request_id.into(), return_ids: true };
        Ok(self.ingest.clone().record_usage(request).await?.into_inner())
    }

    /// Waits up to a minute for a request to be settled, and returns its receipt.
    pub async fn settled(&self, request_id: &str) -> GetReceiptResponse {
        let begin = std::time::Instant::now();
        loop {
            let request = GetReceiptRequest { request_id: request_id.into(), wait: true };
            let receipt = self.query.clone().get_receipt(request).await.expect("a receipt").into_inner();
            if receipt.state() != State::Pending || begin.elapsed() > Duration::from_mins(1) {
                return receipt;
            }
        }
    }

    /// The points of a time series, as (start, value).
    pub async fn series(&self, request: QueryTimeSeriesRequest) -> Result<Vec<(i64, String)>, Status> {
        let answer = self.query.clone().query_time_series(request).await?.into_inner();
        let points = answer.series.into_iter().flat_map(|series| series.points);
        let start = |point: &Point| point.timestamp.expect("a start").seconds;
        Ok(points.map(|point| (start(&point), point.value.expect("a value"))).collect())
    }

    /// The number of all read requests.
    pub async fn read_requests(&self) -> i64 {
        let request = QueryTimeSeriesRequest {
            metric: "ODSLRequest/ReadRequests".into(),
            calendar: "#P1Y".into(),
            range: "from(2000)".into(),
            ..QueryTimeSeriesRequest::default()
        };
        let points = self.series(request).await.expect("a series");
        points.iter().map(|(_, value)| value.parse::<i64>().expect("a count")).sum()
    }
}

/// A read request to the service `object`.
pub fn event() -> UsageEvent {
    UsageEvent { method: "get".into(), service: "object".into(), ..UsageEvent::default() }
}

/// A new request id.
pub fn request_id() -> String {
    RequestId::generate().to_string()
}

/// Polls for up to a minute until the answer is the expected one.
pub async fn eventually<T: PartialEq + std::fmt::Debug>(expected: T, mut ask: impl AsyncFnMut() -> T) {
    let begin = std::time::Instant::now();
    loop {
        let found = ask().await;
        if found == expected {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "expected {expected:?}, found {found:?} after a minute"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
