//! The settings of the query service.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use flowmeter_service::config::{DatabaseArgs, ServerArgs, duration};

/// Answers from the data that workers have applied, and manages tenants and tokens.
#[derive(Parser)]
#[command(name = "flowmeter-query", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 picks a free port and logs it.
    // Every address, because the calls to a service in a container come from outside the container.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7072")]
    pub listen: SocketAddr,

    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Maximum number of buckets of a series.
    // A chart cannot show more, and an answer has about a megabyte.
    #[arg(long, env = "FLOWMETER_MAX_POINTS", default_value_t = 25_000)]
    pub max_points: u64,

    /// How far ahead of the clock an event can be. Ranges without an end include such events. Use the same value as for
    /// the ingest service.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AHEAD", default_value = "1h", value_parser = duration)]
    pub max_event_ahead: Duration,

    /// Minimum number of requests that a flow needs before its metrics are shown.
    // As in the WhatsApp Flows Metrics API: rates of few requests are misleading.
    #[arg(long, env = "FLOWMETER_FLOW_MIN_REQUESTS", default_value_t = 250)]
    pub flow_min_requests: u32,
}
