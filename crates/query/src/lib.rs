//! The query service reads the data that workers have applied, stores the definitions of tenants, and manages tenants
//! and tokens. It never writes measured data.
//!
//! A request passes these modules: `api` has one file for each method; `spec` reads the request; `resolve` finds
//! in the store what the request names; `plan` decides how it is answered; the method reads from the store; and
//! `answer` encodes the response. `spec`, `plan` and `answer` are pure.

mod answer;
mod api;
mod config;
pub mod page;
mod plan;
mod resolve;
mod spec;
mod tenant_limiter;

use std::time::Duration;

use crate::api::{admin, catalog, query};
use flowmeter_proto::v1::admin_service_server::AdminServiceServer;
use flowmeter_proto::v1::catalog_service_server::CatalogServiceServer;
use flowmeter_proto::v1::query_service_server::QueryServiceServer;
use flowmeter_service::auth::Authenticator;
use flowmeter_service::server::{GrpcServer, watch_health};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::Store;
use flowmeter_store::receipts::Receipts;

pub use config::Config;
pub use spec::event_list;

/// Serves until the tasks are asked to stop, and then finishes the running calls.
pub async fn run(config: Config, mut tasks: Tasks) -> anyhow::Result<()> {
    let store = Store::new(&config.database.settings())?;
    let mut server = GrpcServer::bind(
        config.listen,
        &config.server,
        "query",
        &["flowmeter.v1.QueryService", "flowmeter.v1.CatalogService", "flowmeter.v1.AdminService"],
    )
    .await?;
    let authenticator = Authenticator::new(store.clone());
    let (receipts, listener) = Receipts::new(store.clone());
    let query_service = query::QueryApi {
        store: store.clone(),
        receipts,
        authenticator: authenticator.clone(),
        tenant_limiter: tenant_limiter::TenantLimiter::new(store.query_connections()),
        max_points: config.max_points,
        max_event_ahead: config.max_event_ahead,
        flow_min_requests: config.flow_min_requests,
    };
    let admin = admin::AdminApi { store: store.clone(), authenticator: authenticator.clone() };
    let catalog = catalog::CatalogApi { store: store.clone(), authenticator: authenticator.clone() };
    server
        .routes()
        .add_service(QueryServiceServer::new(query_service))
        .add_service(CatalogServiceServer::new(catalog))
        .add_service(AdminServiceServer::new(admin));
    let stop = tasks.stop();
    let listening = stop.clone();
    tasks.spawn("listener for applied requests", async move {
        listening.run_until_cancelled(listener.run()).await;
    });
    let check = move || {
        let store = store.clone();
        async move { store.check().await }
    };
    tasks.spawn("health", watch_health(server.health(), stop.clone(), check));
    tasks.spawn("gRPC server", server.serve(Some(authenticator), stop));
    tasks.supervise(config.server.drain_timeout, Duration::ZERO).await
}
