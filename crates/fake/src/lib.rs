//! Fakes of the services of Flowmeter for tests and for examples in the documentation. They listen on a real
//! socket, fail as the test plans, answer with the contents that the test defines, and record the requests
//! that they receive.
//!
//! [`Fake::start`] accepts every item. [`Fake::start_strict`] checks the token and a few fields, as the
//! command line's tests need it. Neither knows the client library, so the library's own tests can use them.

#![allow(clippy::unwrap_used, reason = "it is part of tests, and a test that panics has failed")]

mod admin;
mod assets;
mod authority;
mod catalog;
mod checks;
mod contents;
mod ingest;
mod query;
mod state;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_proto::v1::UsageEvent;
use flowmeter_proto::v1::admin_service_server::AdminServiceServer;
use flowmeter_proto::v1::catalog_service_server::CatalogServiceServer;
use flowmeter_proto::v1::ingest_service_server::IngestServiceServer;
use flowmeter_proto::v1::query_service_server::QueryServiceServer;
use prost_types::Timestamp;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::ServerTlsConfig;
use tonic::transport::{Certificate, Identity, Server};
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use self::authority::{Authority, Files};
pub use self::contents::{Assets, Contents};
pub use self::state::{Plan, Seen, State};

/// The time of items that have none: 2026-11-22T10:00:00Z.
pub const NOW: Timestamp = Timestamp { seconds: 1_795_341_600, nanos: 0 };

type Answer<T> = Result<Response<T>, Status>;

/// Every service of Flowmeter, which may be served with layers around it.
#[derive(Debug, Clone)]
pub struct Service(Arc<State>);

/// The services at an address, where they listen until this is dropped.
#[derive(Debug)]
pub struct Fake {
    /// The address.
    pub address: SocketAddr,
    state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

impl Deref for Fake {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Fake {
    /// Services on a free port that accept every item.
    pub async fn start() -> Self {
        Self::listen(Server::builder(), any_port().await)
    }

    /// [`Fake::start`] with TLS.
    pub async fn start_with_tls(tls: ServerTlsConfig) -> Self {
        Self::listen(Server::builder().tls_config(tls).unwrap(), any_port().await)
    }

    /// [`Fake::start`] with TLS as `localhost`, and the file that its clients need: `authority.pem`.
    pub async fn start_with_tls_as_localhost() -> (Self, Files) {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("localhost");
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        let fake = Self::start_with_tls(tls).await;
        let files = fake.write(&[("authority.pem", authority.pem())]);
        (fake, files)
    }

    /// [`Fake::start`] with mutual TLS as `localhost`, and the files that its clients need: `authority.pem`,
    /// `client.pem` and `client.key`.
    pub async fn start_with_mutual_tls() -> (Self, Files) {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("localhost");
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(authority.pem()));
        let fake = Self::start_with_tls(tls).await;
        let (certificate, key) = authority.issue("client.example");
        let files = [("authority.pem", authority.pem()), ("client.pem", certificate), ("client.key", key)];
        let files = fake.write(&files);
        (fake, files)
    }

    /// Writes files into a directory of this server. The port makes its name unique.
    fn write(&self, files: &[(&str, String)]) -> Files {
        Files::write(&format!("flowmeter-fake-{}", self.address.port()), files)
    }

    /// Services on a free port that contain `contents`, accept only the token `good`, and check items.
    pub async fn start_strict(contents: Contents) -> Self {
        Self::serve(Server::builder(), any_port().await, State::strict(contents))
    }

    /// [`Fake::start`] with this server and listener.
    #[must_use]
    pub fn listen(server: Server, listener: TcpListener) -> Self {
        Self::serve(server, listener, State::default())
    }

    fn serve(mut server: Server, listener: TcpListener, state: State) -> Self {
        let state = Arc::new(state);
        let service = Service(state.clone());
        let address = listener.local_addr().unwrap();
        let serving = server
            .add_service(AdminServiceServer::new(service.clone()))
            .add_service(CatalogServiceServer::new(service.clone()))
            .add_service(QueryServiceServer::new(service.clone()))
            .add_service(IngestServiceServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = AbortOnDropHandle::new(tokio::spawn(async { serving.await.unwrap() }));
        Self { address, state, _server: server }
    }

    /// The URL without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The services themselves, so that they can also be served in another way.
    #[must_use]
    pub fn service(&self) -> Service {
        Service(self.state.clone())
    }
}

/// Runs an example of the documentation with a separate fake.
pub fn example(run: impl AsyncFnOnce(Fake) -> Result<(), Box<dyn Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { run(Fake::start().await).await }).unwrap();
}

/// A listener on a free port.
pub async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// An event that differs from others by its detail.
pub fn event(detail: impl Display) -> UsageEvent {
    UsageEvent { detail: detail.to_string(), ..UsageEvent::default() }
}

/// An error in the form of the real services.
#[must_use]
pub fn failure(code: Code, reason: &str, retry_delay: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "flowmeter", HashMap::new());
    if retry_delay.is_some() {
        details.set_retry_info(retry_delay);
    }
    Status::with_error_details(code, format!("{reason} as planned"), details)
}

fn unimplemented<T>() -> Answer<T> {
    Err(Status::unimplemented("the fake does not have this method"))
}

fn not_found(kind: &str, name: &str) -> Status {
    let mut details = ErrorDetails::with_error_info("NOT_FOUND", "flowmeter", HashMap::new());
    details.set_resource_info(kind, name, "", "");
    Status::with_error_details(Code::NotFound, format!("there is no {kind} \"{name}\""), details)
}
