//! The client against a server that does what a test tells it to, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod assets;
mod batcher;
mod calls;
mod connect;
mod executions;
mod failures;
mod layers;
mod once;
mod tls;
