//! Which queues there are. Every service declares the same ones, so the order in which
//! they start does not matter.

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::QueueError;

/// The header of a dead letter that says why it is one.
pub const DEAD_LETTER_REASON: &str = "x-flowmeter-reason";

/// The queues of an installation.
#[derive(Debug, Clone)]
pub struct Topology {
    /// What every name begins with, so that installations can share a broker.
    pub prefix: String,
    /// The number of queues over which requests are spread.
    pub shards: u16,
    /// Bytes that a queue holds at most. More are refused, and the sender is told so.
    pub max_queue_bytes: i64,
}

/// Deliveries after which the broker itself calls a message dead. A worker that dies
/// of a message over and over must not take all others down with it. A worker gives
/// back everything that it holds when it restarts, so the limit is well above the
/// restarts of a bad day.
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
        // Dead letters wait for an operator: none is dropped to make room for another.
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

/// Declares a queue. One that is there with other arguments is used as it is: they cannot
/// be changed, and a broker that works is worth more than a limit that is exact.
async fn declare(connection: &Connection, name: &str, arguments: FieldTable) -> Result<(), QueueError> {
    let declare = async |options, arguments| {
        // A refusal closes the channel, so each attempt has one of its own.
        let channel = connection.create_channel().await?;
        channel.queue_declare(ShortString::from(name), options, arguments).await?;
        channel.close(200, "done".into()).await
    };
    let Err(refused) = declare(QueueDeclareOptions::durable(), arguments).await else { return Ok(()) };
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    declare(passive, FieldTable::default()).await?;
    tracing::warn!(queue = name, error = %refused, "the queue keeps its old arguments: delete it to change them");
    Ok(())
}
