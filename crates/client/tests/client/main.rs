//! The client against a fake service that each test controls, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod assets;
mod batcher;
mod calls;
mod connect;
mod examples;
mod executions;
mod failures;
mod layers;
mod once;
#[cfg(feature = "tls")]
mod tls;
