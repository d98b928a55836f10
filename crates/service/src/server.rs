//! The gRPC server of a service: listening, health checks, reflection, and a shutdown in bounded time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::auth::Authenticator;
use crate::config::ServerArgs;
use crate::gate::Gate;

/// The maximum size of a message in bytes. The limit of a batch is far lower, and its error has a reason.
/// This limit only protects memory.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The maximum number of concurrent calls of one connection.
const STREAMS: u32 = 128;
/// How often an idle connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// With the default of 64 KiB, a batch would wait for the reader many times.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Reports whether a service is ready: the server as a whole, and each gRPC service that it serves.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    served: &'static [&'static str],
}

impl Health {
    async fn set(&self, status: ServingStatus) {
        for name in [""].iter().chain(self.served) {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}

/// A server that listens and does not serve yet.
pub struct GrpcServer {
    listener: TcpListener,
    routes: RoutesBuilder,
    health: Health,
    max_connection_age: Duration,
    drain_timeout: Duration,
}

impl GrpcServer {
    /// Binds the address, and adds health checks and reflection for the gRPC services in `served`. `service`
    /// is the name in the log.
    pub async fn bind(
        listen: SocketAddr,
        args: &ServerArgs,
        service: &str,
        served: &'static [&'static str],
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}: is the port taken?"))?;
        let address = listener.local_addr()?;
        tracing::info!(service, %address, version = env!("CARGO_PKG_VERSION"), "listening");
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = Health { reporter, served };
        health.set(ServingStatus::NotServing).await;
        let mut routes = RoutesBuilder::default();
        routes.add_service(health_service);
        let descriptors = || {
            let all = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(flowmeter_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // The messages in the details of errors, so that clients can decode them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
            // Reflection describes the whole contract, and lists the services of this server.
            let listed = ["grpc.health.v1.Health"].iter().chain(served);
            listed.fold(all, |all, name| all.with_service_name(*name))
        };
        // Older clients, including some releases of grpcurl, use the alpha version.
        routes.add_service(descriptors().build_v1()?).add_service(descriptors().build_v1alpha()?);
        Ok(Self {
            listener,
            routes,
            health,
            max_connection_age: args.max_connection_age,
            drain_timeout: args.drain_timeout,
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The routes, to which services are added.
    pub fn routes(&mut self) -> &mut RoutesBuilder {
        &mut self.routes
    }

    /// Reports whether the service is ready.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `stop`, and then lets calls finish in bounded time. Methods that need a token are only
    /// reached with a valid one.
    pub async fn serve(
        self,
        authenticator: Option<Authenticator>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let health = self.health;
        // The setting of the server itself applies only to listeners that it creates. Without it, an answer
        // of several packets waits 40 ms for the client's delayed acknowledgement.
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_connection_age(self.max_connection_age)
            .max_connection_age_grace(self.drain_timeout)
            .max_concurrent_streams(STREAMS)
            .layer(Gate::new(authenticator, health.served))
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let overtime = async {
            stop.cancelled().await;
            // Load balancers check this and send no more calls.
            health.set(ServingStatus::NotServing).await;
            tokio::time::sleep(self.drain_timeout).await;
        };
        tokio::select! {
            outcome = server => outcome.context("the gRPC server failed"),
            () = overtime => {
                tracing::warn!("calls or connections were cut off because they took longer than the drain timeout");
                Ok(())
            }
        }
    }
}

/// How often readiness is checked, and how often while the service is not ready.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
const WATCH_INTERVAL_NOT_READY: Duration = Duration::from_millis(100);

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the health status up to date: SERVING while `check` succeeds.
pub async fn watch_health<F, E>(health: Health, stop: CancellationToken, check: impl Fn() -> F)
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut ready = None;
    while !stop.is_cancelled() {
        // A check that hangs has failed.
        let outcome = match tokio::time::timeout(CHECK_TIMEOUT, check()).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {CHECK_TIMEOUT:?}")),
        };
        match &outcome {
            Ok(()) if ready != Some(true) => {
                tracing::info!("ready");
                health.set(ServingStatus::Serving).await;
            }
            Err(error) if ready == Some(true) => {
                tracing::warn!(%error, "not ready: health checks answer NOT_SERVING until it is ready again");
                health.set(ServingStatus::NotServing).await;
            }
            Err(error) if ready.is_none() => tracing::info!(%error, "not ready yet"),
            _ => {}
        }
        ready = Some(outcome.is_ok());
        let interval = if outcome.is_ok() { WATCH_INTERVAL } else { WATCH_INTERVAL_NOT_READY };
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => {}
        }
    }
}
