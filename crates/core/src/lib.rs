//! The domain of Flowmeter as pure code: what a usage event is, how events are aggregated, how time is divided
//! into buckets, and what a query means. Nothing in this crate does I/O or knows about gRPC, AMQP or SQL.

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
pub mod resolution;
pub mod syntax;
pub mod timestamp;
pub mod usage;
pub mod violation;
pub mod written;
pub mod zone;
