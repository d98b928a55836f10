//! Connections: a bounded pool, with a limit on how long any statement may take.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Config, NoTls};

use crate::StoreError;

/// How to reach the database.
#[derive(Clone)]
pub struct Settings {
    /// A PostgreSQL URL. It may hold a password, so it is never shown.
    pub url: String,
    /// Connections at most.
    pub max_connections: usize,
    /// How long a statement may take, since a caller that went away cannot stop it.
    pub statement_timeout: Duration,
}

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    config: Config,
    /// Connections that questions may take, of which some are slow.
    questions: Arc<Semaphore>,
    question_connections: usize,
}

/// Connections that questions leave for what is always quick: tokens, definitions, the look
/// whether the database is there.
const KEPT_FREE: usize = 2;
/// How long to wait for a connection.
const WAIT: Duration = Duration::from_secs(5);

impl Store {
    /// Prepares a pool. It connects when it is first used, so a service starts while
    /// the database is away.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let mut config: Config = settings.url.parse().map_err(StoreError::from_url)?;
        // Compiling a statement costs more than any of ours takes.
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
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .build()
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let question_connections = settings.max_connections.saturating_sub(KEPT_FREE).max(1);
        let questions = Arc::new(Semaphore::new(question_connections));
        Ok(Self { pool, config, questions, question_connections })
    }

    /// How many connections questions may take together.
    #[must_use]
    pub fn question_connections(&self) -> usize {
        self.question_connections
    }

    /// A turn for a question that may take long.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = tokio::time::timeout(WAIT, self.questions.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            StoreError::Unavailable("too many questions at once: none has ended in time".to_owned())
        })
    }

    /// A connection from the pool.
    pub async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// How to open a connection beside the pool, for one that lives long.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.client().await?.simple_query("-- check\nSELECT 1").await?;
        Ok(())
    }
}

/// The server's side of [`notice_dead_peers`]: a worker that vanished must not keep its
/// locks.
const DEAD_PEER_OPTIONS: &str = "-c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=10 \
    -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30s";

/// Notices within half a minute that the other side is gone without a word, where the
/// defaults of TCP take hours.
pub(crate) fn notice_dead_peers(config: &mut Config) {
    config
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(30));
}

impl StoreError {
    pub(crate) fn from_url(_: tokio_postgres::Error) -> Self {
        // The parser's text could repeat the password.
        Self::Refused(
            "the database URL cannot be read: expected postgres://user:password@host:port/name".into(),
        )
    }
}
