//! Access to PostgreSQL: one module for each kind of stored object, with the SQL next to the function that
//! runs it. Nothing in this crate knows about gRPC or AMQP.

mod connect;
mod copy;
mod error;
mod migrate;
mod sql;

pub mod assets;
pub mod batch;
pub mod catalog;
pub mod events;
pub mod flows;
pub mod leases;
pub mod partitions;
pub mod points;
pub mod progress;
pub mod receipts;
pub mod rollups;
pub mod schedules;
pub mod tenants;
pub mod tokens;

pub use connect::{Settings, Store};
pub use error::StoreError;
pub use migrate::migrate;
