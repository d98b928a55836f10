//! The domain of Flowmeter, pure: what a usage event is, how events become
//! aggregates, how time is cut into buckets and what a query means. Nothing here
//! does I/O, and nothing here knows of gRPC, AMQP or SQL connections.

pub mod aggregate;
pub mod asset;
pub mod calendar;
pub mod execution;
pub mod filter;
pub mod flow;
pub mod fold;
pub mod ids;
pub mod metric;
pub mod plan;
pub mod quantity;
pub mod range;
pub mod timestamp;
pub mod usage;
pub mod violation;
pub mod written;
pub mod zone;
