//! End-to-end tests over gRPC of the real services, which run as processes with a real database and broker.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod assets;
mod auth;
mod bad_input;
mod catalog;
mod client;
mod contract;
mod dead_letters;
mod dice;
mod exactly_once;
mod executions;
mod flows;
mod lists;
mod outages;
mod progress;
mod replay;
mod rollups;
mod schema;
mod series;
mod stream;
mod supervision;
mod traces;
