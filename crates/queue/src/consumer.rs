//! Receives messages from the queue of a shard, acknowledges them, and publishes dead letters.

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

/// A message that was received and is not yet acknowledged.
#[derive(Debug)]
pub struct Delivery {
    /// Its delivery tag, which counts the messages of this subscription.
    pub tag: u64,
    /// When it was enqueued. None for the reports of workers, and for messages of other programs.
    pub enqueued_at: Option<Timestamp>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// The encoded message.
    pub data: Bytes,
    properties: BasicProperties,
}

impl Delivery {
    /// The requests in the message, or the reason why it cannot be decoded.
    pub fn envelope(&self) -> Result<Envelope, String> {
        message::decode(self.data.clone())
            .map_err(|error| format!("expected an encoded envelope of requests: {error}"))
    }
}

/// A connection that has not subscribed yet.
pub struct Session {
    connection: Connection,
    channel: Channel,
    dead_letters: Channel,
    queue: String,
    dead_letter_queue: String,
}

impl Session {
    /// Connects, to receive messages of one shard. At most `prefetch` of them are unacknowledged at a time.
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

    /// Subscribes: from now on the broker delivers messages.
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
    /// Receives the next message. The future can be dropped while it waits without losing a message.
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

    /// Acknowledges every message up to and including the one with this tag.
    pub async fn ack_through(&self, tag: u64) -> Result<(), QueueError> {
        self.session.channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        Ok(())
    }

    /// Publishes `data`, which is all or a part of a message, to the queue of dead letters. The message
    /// itself must be acknowledged afterwards: after a crash in between, the dead letter exists twice, but it
    /// is never lost.
    pub async fn dead_letter(
        &self,
        delivery: &Delivery,
        data: &[u8],
        reason: &str,
    ) -> Result<(), QueueError> {
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

    /// Returns the messages that are not acknowledged, and disconnects. After an error, it can take a while
    /// until the broker notices.
    pub async fn close(self) -> Result<(), QueueError> {
        close(&self.session.connection).await
    }
}
