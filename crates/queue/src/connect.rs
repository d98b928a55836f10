//! Connections to the broker.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

use crate::Topology;

/// How to reach the broker, and what is expected there.
#[derive(Clone)]
pub struct Settings {
    /// An AMQP URL. It may hold a password, so it is never shown.
    pub url: String,
    /// The queues.
    pub topology: Topology,
}

/// Why the broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL is of no use.
    #[error("the AMQP URL cannot be read: expected amqp://user:password@host:port/vhost")]
    Url,
    /// The broker or the way to it failed.
    #[error("the broker: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker did not answer in time.
    #[error("the broker did not answer within {0:?}")]
    Silent(Duration),
    /// The broker ended the subscription, as it does when a queue is deleted.
    #[error("the broker ended the subscription")]
    Ended,
    /// There is no such queue any more.
    #[error("the broker returned a message: its queue is gone")]
    Unroutable,
    /// The broker did not take a message.
    #[error("the broker refused a message")]
    Refused,
}

/// A message that no queue takes comes back: without this the broker would confirm it and
/// throw it away.
pub(crate) const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

/// How long a farewell may take. A broker that is short of memory does not listen.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Closes a connection, or drops it. An error means that the broker did not say that it knows.
pub(crate) async fn close(connection: &Connection) -> Result<(), QueueError> {
    match tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "done".into())).await {
        Ok(closed) => Ok(closed?),
        Err(_) => Err(QueueError::Silent(CLOSE_TIMEOUT)),
    }
}

/// Half-open connections are noticed after two missed beats.
const HEARTBEAT_SECONDS: u16 = 10;
/// A broker that accepts and then says nothing must not hold us for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// Connects under a name that shows in the broker's list of connections.
    pub(crate) async fn connect(&self, name: &str) -> Result<Connection, QueueError> {
        let mut uri: AMQPUri = self.url.parse().map_err(|_| QueueError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(uri, properties);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(QueueError::Silent(CONNECT_TIMEOUT)),
        }
    }
}
