//! What the three services share around their work: settings, logs and traces, the
//! gRPC server and its end, the supervision of background tasks, who may call, and how errors look from
//! outside.

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
