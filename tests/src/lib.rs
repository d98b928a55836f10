//! The harness of the end-to-end tests: installations of their own, on the servers that
//! `cargo xtask test` shares between them, and a proxy that fails on command.

#![allow(clippy::must_use_candidate, reason = "of no use in tests")]

mod installation;
mod proxy;

pub use installation::{Installation, Options, Tenant, event, eventually, request_id, servers};
pub use proxy::Proxy;
