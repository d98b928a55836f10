//! Takes messages out of a queue, and says what became of them.

use bytes::Bytes;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::Envelope;
use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel, Confirmation, Connection};

use crate::connect::{MANDATORY, close};
use crate::message::{self, TraceContext};
use crate::{DEAD_LETTER_REASON, QueueError, Settings};

/// A message that was taken and is not yet acknowledged.
#[derive(Debug)]
pub struct Delivery {
    /// Its place in the order of this subscription.
    pub tag: u64,
    /// When it was enqueued. Results of checks do not say so, nor messages put there by other hands.
    pub enqueued_at: Option<Timestamp>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// The message as it came.
    pub data: Bytes,
    properties: BasicProperties,
}

impl Delivery {
    /// The requests in it, or why it is none of our messages.
    pub fn envelope(&self) -> Result<Envelope, String> {
        message::decode(self.data.clone()).map_err(|error| format!("not an envelope: {error}"))
    }
}

/// A connection that takes nothing yet.
pub struct Session {
    connection: Connection,
    channel: Channel,
    dead_letters: Channel,
    queue: String,
    dead_letter_queue: String,
}

impl Session {
    /// Connects, to take messages of one shard: at most `prefetch` that are not yet acknowledged.
    pub async fn open(settings: &Settings, shard: u16, prefetch: u16) -> Result<Self, QueueError> {
        let connection = settings.connect("flowmeter worker").await?;
        let channel = connection.create_channel().await?;
        settings.topology.declare(&connection).await?;
        // Before consuming, because it bounds the buffer of deliveries.
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let dead_letters = connection.create_channel().await?;
        dead_letters.confirm_select(ConfirmSelectOptions::default()).await?;
        let (queue, dead_letter_queue) = (settings.topology.queue(shard), settings.topology.dead_letters());
        Ok(Self { connection, channel, dead_letters, queue, dead_letter_queue })
    }

    /// From now on the broker delivers.
    pub async fn subscribe(self) -> Result<Subscription, QueueError> {
        let consumer = self
            .channel
            .basic_consume(
                self.queue.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                lapin::types::FieldTable::default(),
            )
            .await?;
        Ok(Subscription { session: self, consumer })
    }
}

/// A subscription to the queue of one shard.
pub struct Subscription {
    session: Session,
    consumer: lapin::Consumer,
}

impl Subscription {
    /// The next message. May be dropped while it waits: no message is lost by that.
    pub async fn next(&mut self) -> Result<Delivery, QueueError> {
        let delivery = self.consumer.next().await.ok_or(QueueError::Ended)??;
        Ok(Delivery {
            tag: delivery.delivery_tag,
            enqueued_at: message::enqueued_at(&delivery.properties),
            trace: message::trace(&delivery.properties),
            data: Bytes::from(delivery.data),
            properties: delivery.properties,
        })
    }

    /// Acknowledges every message up to and including that tag.
    pub async fn ack_through(&self, tag: u64) -> Result<(), QueueError> {
        self.session.channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        Ok(())
    }

    /// Puts `data`, which is all or a part of a message, among the dead letters. The
    /// message itself is to be acknowledged afterwards: after a crash in between the
    /// letter is there twice, but never lost.
    pub async fn bury(&self, delivery: &Delivery, data: &[u8], reason: &str) -> Result<(), QueueError> {
        let mut headers = delivery.properties.headers().clone().unwrap_or_default();
        headers.insert(DEAD_LETTER_REASON.into(), AMQPValue::LongString(reason.into()));
        let confirmation = self
            .session
            .dead_letters
            .basic_publish(
                "".into(),
                self.session.dead_letter_queue.as_str().into(),
                MANDATORY,
                data,
                delivery.properties.clone().with_headers(headers).with_delivery_mode(2),
            )
            .await?
            .await?;
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(QueueError::Unroutable),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(QueueError::Refused),
        }
    }

    /// Gives back what was taken and not acknowledged, and disconnects. An error means that the broker
    /// may take a while to notice.
    pub async fn close(self) -> Result<(), QueueError> {
        close(&self.session.connection).await
    }
}
