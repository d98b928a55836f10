//! The queues of an installation. Every service declares all of them, so the services can start in any order.

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::QueueError;

/// The header of a dead letter with the reason why it could not be applied.
pub const DEAD_LETTER_REASON: &str = "x-flowmeter-reason";

/// The queues of an installation.
#[derive(Debug, Clone)]
pub struct Topology {
    /// The prefix of every queue's name, so that installations can share a broker.
    pub prefix: String,
    /// The number of queues over which requests are spread.
    pub shards: u16,
    /// The maximum size of a queue in bytes. A full queue rejects messages, and ingest returns an error to
    /// the sender.
    pub max_queue_bytes: i64,
}

/// The number of deliveries after which the broker itself moves a message to the dead letters, so that a
/// message that makes every worker crash does not stop the queue for ever. A worker returns all of its
/// messages when it restarts, so the limit is well above the number of restarts on a bad day.
const DELIVERY_LIMIT: i32 = 100;

impl Topology {
    /// The queue of a shard.
    #[must_use]
    pub fn queue(&self, shard: u16) -> String {
        format!("{}.requests.{shard}", self.prefix)
    }

    /// The queue of dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}.dead-letters", self.prefix)
    }

    /// Declares every queue.
    pub(crate) async fn declare(&self, connection: &Connection) -> Result<(), QueueError> {
        let mut dead = quorum();
        // Dead letters wait for an operator, so none of them is dropped to make room for others.
        dead.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        declare(connection, &self.dead_letters(), dead).await?;
        for shard in 0..self.shards {
            let mut arguments = quorum();
            let dead_letters = self.dead_letters();
            for (name, value) in [
                ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)),
                ("x-overflow", AMQPValue::LongString("reject-publish".into())),
                ("x-max-length-bytes", AMQPValue::LongLongInt(self.max_queue_bytes)),
                ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
                ("x-dead-letter-routing-key", AMQPValue::LongString(dead_letters.into())),
                ("x-dead-letter-strategy", AMQPValue::LongString("at-least-once".into())),
            ] {
                arguments.insert(name.into(), value);
            }
            declare(connection, &self.queue(shard), arguments).await?;
        }
        Ok(())
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

/// Declares a queue. A queue that exists with other arguments is used as it is: its arguments cannot be
/// changed, and a queue that works is worth more than an exact limit.
async fn declare(connection: &Connection, name: &str, arguments: FieldTable) -> Result<(), QueueError> {
    let declare = async |options, arguments| {
        // A rejection closes the channel, so each attempt has its own.
        let channel = connection.create_channel().await?;
        channel.queue_declare(ShortString::from(name), options, arguments).await?;
        channel.close(200, "done".into()).await
    };
    let Err(refused) = declare(QueueDeclareOptions::durable(), arguments).await else { return Ok(()) };
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    declare(passive, FieldTable::default()).await?;
    tracing::warn!(queue = name, error = %refused, "the queue exists with other arguments and keeps them: delete the queue to change them");
    Ok(())
}
