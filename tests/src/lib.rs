//! The harness of the end-to-end tests: a separate installation for each test, on the servers that `cargo xtask test`
//! shares between them, and a proxy that injects faults.

#![allow(clippy::must_use_candidate, reason = "not useful in tests")]

mod installation;
mod proxy;

pub use installation::{Installation, Options, Tenant, event, eventually, request_id, servers};
pub use proxy::Proxy;
