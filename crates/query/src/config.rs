//! The settings of the query service.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use flowmeter_service::config::{DatabaseArgs, ServerArgs, duration};

/// Answers from what has been applied, and manages tenants and tokens.
#[derive(Parser)]
#[command(name = "flowmeter-query", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 takes a free
    /// one, which the log names.
    // On every address, because a service in a container is asked from outside.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7072")]
    pub listen: SocketAddr,

    /// How to serve.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Buckets of a series at most.
    // A chart cannot show more, and an answer stays around a megabyte.
    #[arg(long, env = "FLOWMETER_MAX_POINTS", default_value_t = 25_000)]
    pub max_points: u64,

    /// How far ahead of the clock an event may be: the ingest service's setting. Ranges
    /// without an end reach so far.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AHEAD", default_value = "1h", value_parser = duration)]
    pub max_event_ahead: Duration,

    /// Requests that a flow must have had before its metrics are shown.
    // As in the WhatsApp Flows Metrics API: rates of few requests mislead.
    #[arg(long, env = "FLOWMETER_FLOW_MIN_REQUESTS", default_value_t = 250)]
    pub flow_min_requests: u32,
}
