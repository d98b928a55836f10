//! The common parts of the three services: settings, logs and traces, the gRPC server and its shutdown, the
//! supervision of background tasks, authorization, and errors for callers.

pub mod auth;
pub mod config;
pub mod deadline;
pub mod error;
mod gate;
pub mod retry;
pub mod server;
mod shutdown;
pub mod tasks;
pub mod telemetry;
