//! An ingest service for tests and examples of those who report: it listens on a real socket, decodes what comes,
//! fails as it is told, and remembers what it was asked. It knows nothing of the client, so that the client's own
//! tests can use it, and it checks no field.

#![allow(clippy::unwrap_used, reason = "it is part of tests, and a test that panics has failed")]

mod authority;
mod build_info;
mod service;
mod state;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_proto::v1::UsageEvent;
use flowmeter_proto::v1::ingest_service_server::IngestServiceServer;
use prost_types::Timestamp;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::ServerTlsConfig;
use tonic::transport::{Certificate, Identity, Server};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use self::authority::{Authority, Files};
pub use self::service::Service;
pub use self::state::{Plan, Seen, State};

use self::build_info::BuildInfo;

/// The time of what came without one.
pub const RECEIVED: Timestamp = Timestamp { seconds: 1_800_000_000, nanos: 0 };

/// A service that listens until it is dropped.
#[derive(Debug)]
pub struct Fake {
    /// Where it listens.
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
    /// One on a free port.
    pub async fn start() -> Self {
        Self::listen(Server::builder(), any_port().await)
    }

    /// One that speaks TLS.
    pub async fn start_with_tls(tls: ServerTlsConfig) -> Self {
        Self::listen(Server::builder().tls_config(tls).unwrap(), any_port().await)
    }

    /// One that speaks mutual TLS as `localhost`, and the files of a client that may speak to it: `authority.pem`,
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
        // The port is this server's alone.
        let files = Files::write(&format!("flowmeter-fake-{}", fake.address.port()), &files);
        (fake, files)
    }

    /// One that serves what comes to a listener.
    #[must_use]
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

    /// Where it listens, without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service itself, to be served in another way as well.
    #[must_use]
    pub fn service(&self) -> Service {
        Service(self.state.clone())
    }
}

/// Runs an example of the documentation against a fake of its own.
pub fn example(run: impl AsyncFnOnce(Fake) -> Result<(), Box<dyn Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { run(Fake::start().await).await }).unwrap();
}

/// A listener on a free port.
pub async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// An event that is told from others by its detail.
pub fn event(detail: impl Display) -> UsageEvent {
    UsageEvent { detail: detail.to_string(), ..UsageEvent::default() }
}

/// A failure as the service reports it.
#[must_use]
pub fn failure(code: Code, reason: &str, retry_delay: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "flowmeter", HashMap::new());
    if retry_delay.is_some() {
        details.set_retry_info(retry_delay);
    }
    Status::with_error_details(code, format!("{reason} as planned"), details)
}
