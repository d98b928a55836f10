//! Connections to the broker.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

use crate::Topology;

/// How to reach the broker, and which queues are there.
#[derive(Clone)]
pub struct Settings {
    /// An AMQP URL. It may contain a password, so it is never shown.
    pub url: String,
    /// The queues.
    pub topology: Topology,
}

/// Why an operation on the broker failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL is invalid.
    #[error("the AMQP URL is invalid: expected amqp://user:password@host:port/vhost")]
    Url,
    /// The broker or the connection to it failed.
    #[error("the broker is unavailable: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker did not answer in time.
    #[error("the broker did not answer within {0:?}")]
    Silent(Duration),
    /// The broker ended the subscription, for example because the queue was deleted.
    #[error("the broker ended the subscription")]
    Ended,
    /// The queue of a message does not exist any more.
    #[error("the broker returned a message because its queue does not exist")]
    Unroutable,
    /// The broker did not accept a message.
    #[error("the broker rejected a message")]
    Refused,
}

/// The broker returns a message whose queue does not exist. Without this option it would confirm the message and
/// drop it.
pub(crate) const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

/// How long closing a connection may take. A broker that is short of memory does not answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Closes a connection, or drops it. An error means that the broker did not confirm the end.
pub(crate) async fn close(connection: &Connection) -> Result<(), QueueError> {
    match tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "done".into())).await {
        Ok(closed) => Ok(closed?),
        Err(_) => Err(QueueError::Silent(CLOSE_TIMEOUT)),
    }
}

/// A half-open connection is noticed after two missed heartbeats.
const HEARTBEAT_SECONDS: u16 = 10;
/// A broker that accepts the connection and then does not answer must not block a task for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// Connects under a name that the broker shows in its list of connections.
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
