//! The settings of the ingest service.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use flowmeter_core::flow::FlowLimits;
use flowmeter_core::usage::Limits;
use flowmeter_service::config::{DatabaseArgs, QueueArgs, ServerArgs, duration};

/// Takes reports of usage over gRPC, validates them and puts them into the queue.
#[derive(Parser)]
#[command(name = "flowmeter-ingest", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 takes a free
    /// one, which the log names.
    // On every address, because a service in a container is asked from outside.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7071")]
    pub listen: SocketAddr,

    /// How to serve.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The database, for tokens and the names of flows.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The queue.
    #[command(flatten)]
    pub queue: QueueArgs,

    /// Events, requests of flows or metrics of assets in a request at most.
    // Ten times what is worth sending at once.
    #[arg(long, env = "FLOWMETER_MAX_BATCH_EVENTS", default_value_t = 10_000)]
    pub max_batch_events: usize,

    /// Bytes of these at most.
    // A batch of the most events of usual size.
    #[arg(long, env = "FLOWMETER_MAX_BATCH_BYTES", default_value_t = 4 * 1024 * 1024)]
    pub max_batch_bytes: usize,

    /// Bytes of requests that may wait for the broker at the same time. More wait
    /// outside, in the clients.
    // A bound on memory that is far above what a broker confirms within a second.
    #[arg(long, env = "FLOWMETER_MAX_WAITING_BYTES", default_value_t = 64 * 1024 * 1024)]
    pub max_waiting_bytes: usize,

    /// How old an event or the metrics of an asset may be.
    // A year and a month, so that last year's month can still be completed.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AGE", default_value = "400d", value_parser = duration)]
    pub max_event_age: Duration,

    /// How old a request of a flow may be.
    // As far back as its metrics are answered by days.
    #[arg(long, env = "FLOWMETER_MAX_FLOW_AGE", default_value = "90d", value_parser = duration)]
    pub max_flow_age: Duration,

    /// How far ahead of this machine's clock an event, a request of a flow or the metrics of an
    /// asset may be.
    // Clocks go wrong by an hour when a time zone is mistaken.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AHEAD", default_value = "1h", value_parser = duration)]
    pub max_event_ahead: Duration,

    /// How long to wait for the broker's confirmation before the caller is told to try
    /// again.
    // A broker's fail-over takes a few seconds.
    #[arg(long, env = "FLOWMETER_CONFIRM_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub confirm_timeout: Duration,

    /// How long a small request waits for others to share a message with, while earlier
    /// ones are on their way.
    // Little beside the broker's own 2 to 5 ms.
    #[arg(long, env = "FLOWMETER_LINGER", default_value = "2ms", value_parser = duration)]
    pub linger: Duration,
}

impl Config {
    /// What is accepted as an event.
    #[must_use]
    pub fn event_limits(&self) -> Limits {
        Limits {
            max_event_age: self.max_event_age,
            max_event_ahead: self.max_event_ahead,
            ..Limits::default()
        }
    }

    /// What is accepted as a request of a flow.
    #[must_use]
    pub fn flow_limits(&self) -> FlowLimits {
        FlowLimits { max_age: self.max_flow_age, max_ahead: self.max_event_ahead }
    }
}
