//! The settings of the worker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use flowmeter_service::config::{DatabaseArgs, QueueArgs, ServerArgs, duration};

use crate::checks::guard::Guard;
use crate::checks::schedule::{LONGEST_INTERVAL, SHORTEST_INTERVAL};
use crate::jobs::Intervals;

/// Applies reports: receives requests from the queue, and writes events and roll-ups. Its gRPC server answers
/// health checks and reflection only.
#[derive(Parser)]
#[command(name = "flowmeter-worker", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 picks a free port and logs it.
    // All addresses, because a service in a container is called from outside.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7073")]
    pub listen: SocketAddr,

    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The queue.
    #[command(flatten)]
    pub queue: QueueArgs,

    /// Batching.
    #[command(flatten)]
    pub batching: Batching,

    /// Periodic jobs.
    #[command(flatten)]
    pub jobs: Intervals,

    /// Checks of the endpoints of flows.
    #[command(flatten)]
    pub checks: Checks,
}

/// How messages share transactions.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Batching {
    /// Number of events, or rows of flow counters, at which a transaction does not wait for more.
    // Measured: larger transactions are not faster, and delay answers.
    #[arg(long, env = "FLOWMETER_BATCH_EVENTS", default_value_t = 20_000)]
    pub batch_events: usize,

    /// How long a message waits for others to share a transaction with, under little load. Under more load,
    /// the wait grows up to five times as long.
    // Short compared to the second within which answers are complete, and a fifth of the cost of a commit.
    #[arg(long, env = "FLOWMETER_BATCH_LINGER", default_value = "5ms", value_parser = duration)]
    pub batch_linger: Duration,

    /// Number of messages of a shard that a worker receives before it acknowledges the first.
    // Two transactions of messages of 1,000 events, which are usual, and some more.
    #[arg(long, env = "FLOWMETER_PREFETCH", default_value_t = 64)]
    pub prefetch: u16,
}

/// How the endpoints of flows are checked. One worker at a time checks them, so all workers should have the
/// same settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Checks {
    /// How often the endpoint of a flow that does not define an interval is checked, from 1s to 1d.
    // Finds an outage within a minute, at a cost that no endpoint notices.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_INTERVAL", default_value = "60s", value_parser = interval)]
    pub flow_check_interval: Duration,

    /// How long an endpoint may take to answer a check, including the look-up of its name.
    // The slowest answer that counts as within 10 s among the latencies of requests.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub flow_check_timeout: Duration,

    /// Maximum number of checks at the same time; one tenant has at most half of them. A check that cannot begin
    /// within its flow's interval is skipped.
    // 1,000 flows of a tenant with the usual interval that all hang need 167. Each takes a socket, and the
    // limit of open files of a process is often 1,024.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_CONCURRENCY", default_value_t = 384, value_parser = clap::value_parser!(u16).range(1..))]
    pub flow_check_concurrency: u16,

    /// Internal networks that checks are allowed to reach, such as 10.0.0.0/8,127.0.0.1/32.
    // None: tenants choose the endpoints, and the network around the worker is not theirs.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_ALLOW", default_value = "", value_parser = Guard::parse)]
    pub flow_check_allow: Guard,

    /// A PEM file with certificate authorities that are trusted for https endpoints, in addition to those
    /// that browsers trust.
    // None: only companies with private authorities need it.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_CA")]
    pub flow_check_ca: Option<PathBuf>,
}

/// Reads the interval of checks.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        Err("expected 1s to 1d".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser)]
    struct OfChecks {
        #[command(flatten)]
        checks: Checks,
    }

    #[test]
    fn the_settings_of_checks_are_read() {
        let read = |arguments: &[&str]| OfChecks::try_parse_from([&["worker"], arguments].concat());
        let checks = read(&[]).map(|read| read.checks).unwrap();
        assert_eq!(checks.flow_check_allow, Guard::default());
        assert_eq!((checks.flow_check_interval.as_secs(), checks.flow_check_timeout.as_secs()), (60, 10));
        let checks =
            read(&["--flow-check-allow", "127.0.0.1/32,10.0.0.0/8"]).map(|read| read.checks).unwrap();
        assert_eq!(checks.flow_check_allow, Guard::parse("127.0.0.1/32,10.0.0.0/8").unwrap());
        for wrong in [
            ["--flow-check-interval", "999ms"],
            ["--flow-check-interval", "25h"],
            ["--flow-check-concurrency", "0"],
            ["--flow-check-allow", "localhost"],
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
