//! The settings of the ingest service.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use flowmeter_core::flow::FlowLimits;
use flowmeter_core::usage::Limits as EventLimits;
use flowmeter_service::config::{DatabaseArgs, QueueArgs, ServerArgs, duration};

use crate::accept::{BatchLimits, Limits};

/// Accepts reports of usage over gRPC, validates them and publishes them to the queue.
#[derive(Parser)]
#[command(name = "flowmeter-ingest", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 picks a free port and logs it.
    // All addresses, because a service in a container is called from outside.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7071")]
    pub listen: SocketAddr,

    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The database, for tokens and the registrations of flows.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The queue.
    #[command(flatten)]
    pub queue: QueueArgs,

    /// Maximum number of events, flow requests or asset metrics in one batch.
    // Ten times what is worth sending at once.
    #[arg(long, env = "FLOWMETER_MAX_BATCH_EVENTS", default_value_t = 10_000)]
    pub max_batch_events: usize,

    /// Maximum size of a batch in bytes.
    // Enough for the maximum number of events of the usual size.
    #[arg(long, env = "FLOWMETER_MAX_BATCH_BYTES", default_value_t = 4 * 1024 * 1024)]
    pub max_batch_bytes: usize,

    /// Maximum size in bytes of all batches that wait for the broker at the same time. Further calls wait until
    /// there is room.
    // A bound on memory, far above what a broker confirms within a second.
    #[arg(long, env = "FLOWMETER_MAX_WAITING_BYTES", default_value_t = 64 * 1024 * 1024)]
    pub max_waiting_bytes: usize,

    /// Maximum age of an event or of asset metrics.
    // A year and a month, so that last year's month can still be completed.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AGE", default_value = "400d", value_parser = duration)]
    pub max_event_age: Duration,

    /// Maximum age of a flow request.
    // As far back as the metrics of flows can be queried by day.
    #[arg(long, env = "FLOWMETER_MAX_FLOW_AGE", default_value = "90d", value_parser = duration)]
    pub max_flow_age: Duration,

    /// How far an event, a flow request or asset metrics can be ahead of this machine's clock.
    // A clock that is set to a wrong time zone is often wrong by an hour.
    #[arg(long, env = "FLOWMETER_MAX_EVENT_AHEAD", default_value = "1h", value_parser = duration)]
    pub max_event_ahead: Duration,

    /// How long to wait for the broker to confirm a batch. After that, the call fails and the caller should retry.
    // The fail-over of a broker takes a few seconds.
    #[arg(long, env = "FLOWMETER_CONFIRM_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub confirm_timeout: Duration,

    /// How long a small batch waits for others to share a message with, while earlier messages are not confirmed.
    // Short compared to the 2 to 5 ms that the broker takes.
    #[arg(long, env = "FLOWMETER_LINGER", default_value = "2ms", value_parser = duration)]
    pub linger: Duration,
}

impl Config {
    /// The limits of accepted items.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            batch: BatchLimits { max_items: self.max_batch_events, max_bytes: self.max_batch_bytes },
            event: EventLimits {
                max_event_age: self.max_event_age,
                max_event_ahead: self.max_event_ahead,
                ..EventLimits::default()
            },
            flow: FlowLimits { max_age: self.max_flow_age, max_ahead: self.max_event_ahead },
        }
    }
}
