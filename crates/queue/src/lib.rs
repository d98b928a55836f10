//! RabbitMQ: the queues, the publisher and the subscription. This crate knows nothing of gRPC or SQL, or of what a
//! request means.

mod connect;
mod connections;
mod consumer;
mod message;
mod publisher;
mod topology;

pub use connect::{QueueError, Settings};
pub use connections::{Connections, OpenConnection};
pub use consumer::{Delivery, Session, Subscription};
pub use message::{Accepted, TraceContext};
pub use publisher::{PublishError, Publisher, PublisherSettings, ShardPublisher};
pub use topology::{DEAD_LETTER_REASON, Topology};
