//! Connections: a bounded pool, and a time limit for every statement.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Config, NoTls};

use crate::StoreError;

/// How to reach the database.
#[derive(Clone)]
pub struct Settings {
    /// The PostgreSQL URL. It may contain a password, so it is never logged.
    pub url: String,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The time limit of a statement. A caller that has gone away cannot stop its statement.
    pub statement_timeout: Duration,
}

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    config: Config,
    /// Permits for queries, which may be slow: one for each connection that queries may use.
    query_permits: Arc<Semaphore>,
    query_connections: usize,
    /// Permits to evaluate segments: one for each processor.
    evaluators: Arc<Semaphore>,
}

/// Connections that are reserved for statements that are always fast: tokens, definitions and the health check.
const RESERVED_CONNECTIONS: usize = 2;
/// How long to wait for a connection, or for a permit.
const MAX_WAIT: Duration = Duration::from_secs(5);

impl Store {
    /// Creates a pool. It connects when it is first used, so a service can start while the database is unavailable.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let mut config: Config = settings.url.parse().map_err(StoreError::from_url)?;
        // JIT compilation takes longer than any of our statements.
        let options = format!(
            "{} -c statement_timeout={} -c default_transaction_isolation=read\\ committed -c timezone=UTC -c jit=off -c client_min_messages=warning {DEAD_PEER_OPTIONS}",
            config.get_options().unwrap_or(""),
            settings.statement_timeout.as_millis()
        );
        config.application_name("flowmeter").connect_timeout(Duration::from_secs(5)).options(options);
        notice_dead_peers(&mut config);
        let manager = Manager::from_config(
            config.clone(),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(MAX_WAIT))
            .create_timeout(Some(MAX_WAIT))
            .build()
            .map_err(|error| StoreError::refused(&error))?;
        let query_connections = settings.max_connections.saturating_sub(RESERVED_CONNECTIONS).max(1);
        let query_permits = Arc::new(Semaphore::new(query_connections));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let evaluators = Arc::new(Semaphore::new(processors));
        Ok(Self { pool, config, query_permits, query_connections, evaluators })
    }

    /// The number of connections that all queries together may use.
    #[must_use]
    pub fn query_connections(&self) -> usize {
        self.query_connections
    }

    /// A permit for a query, which may be slow.
    pub(crate) async fn query_permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let permit = tokio::time::timeout(MAX_WAIT, self.query_permits.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            StoreError::Unavailable("too many concurrent queries: none has finished in time".to_owned())
        })
    }

    /// Runs work that computes, on a thread of its own: as many at a time as there are processors, in the order in
    /// which they ask.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.evaluators.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let computed = tokio::task::spawn_blocking(move || {
            let computed = work();
            drop(permit);
            computed
        });
        computed.await.map_err(|error| StoreError::refused(&error))
    }

    /// A connection from the pool.
    pub async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// The configuration of a connection outside the pool, for a connection that is kept open.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Checks that the database answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.client().await?.simple_query("-- check\nSELECT 1").await?;
        Ok(())
    }
}

/// The server's side of [`notice_dead_peers`]: a worker that vanished must not keep its locks.
const DEAD_PEER_OPTIONS: &str = "-c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=10 \
    -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30s";

/// Detects within half a minute that the peer has vanished. With the defaults of TCP this takes hours.
pub(crate) fn notice_dead_peers(config: &mut Config) {
    config
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(30));
}

impl StoreError {
    pub(crate) fn from_url(_: tokio_postgres::Error) -> Self {
        // The message of the parser may contain the password.
        Self::Refused(
            "the database URL cannot be read: expected postgres://user:password@host:port/name".into(),
        )
    }
}
