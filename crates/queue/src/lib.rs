//! RabbitMQ: the queues, and how requests get into and out of them. Nothing here
//! knows of gRPC or SQL, or of what a request means.

mod backoff;
mod connect;
mod connections;
mod consumer;
mod message;
mod publisher;
mod topology;

pub use backoff::Backoff;
pub use connect::{QueueError, Settings};
pub use connections::{Connections, OpenConnection};
pub use consumer::{Delivery, Session, Subscription};
pub use message::{Accepted, TraceContext};
pub use publisher::{PublishError, Publisher, PublisherSettings, ShardPublisher};
pub use topology::{DEAD_LETTER_REASON, Topology};
