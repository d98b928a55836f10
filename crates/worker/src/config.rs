//! The settings of the worker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use flowmeter_service::config::{DatabaseArgs, QueueArgs, ServerArgs, duration};

use crate::checks::guard::Guard;
use crate::checks::schedule::{LONGEST_INTERVAL, SHORTEST_INTERVAL};

/// Applies what was reported: takes requests from the queue and writes events and
/// roll-ups. Answers health checks only.
#[derive(Parser)]
#[command(name = "flowmeter-worker", version)]
pub struct Config {
    /// Address to listen on for gRPC, health checks and reflection. Port 0 takes a free
    /// one, which the log names.
    // On every address, because a service in a container is asked from outside.
    #[arg(long, env = "FLOWMETER_LISTEN", default_value = "0.0.0.0:7073")]
    pub listen: SocketAddr,

    /// How to serve.
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

    /// How often roll-ups are folded.
    // Readers add what is not folded yet, so this is about keeping that little.
    #[arg(long, env = "FLOWMETER_FOLD_INTERVAL", default_value = "1s", value_parser = duration)]
    pub fold_interval: Duration,

    /// Checks of the endpoints of flows.
    #[command(flatten)]
    pub checks: Checks,
}

/// How messages are gathered into transactions.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Batching {
    /// Events, or rows of flows' counters, of a transaction, from which on it does not wait for more.
    // Measured: larger ones are no faster, and make answers wait.
    #[arg(long, env = "FLOWMETER_BATCH_EVENTS", default_value_t = 20_000)]
    pub batch_events: usize,

    /// How long a message waits for others to share a transaction with, when little is
    /// reported. It grows with the load to five times as much.
    // Unnoticed beside the second that an answer may be old, and a fifth of a commit's cost.
    #[arg(long, env = "FLOWMETER_BATCH_LINGER", default_value = "5ms", value_parser = duration)]
    pub batch_linger: Duration,

    /// Messages of a shard that are held and not yet applied.
    // Two transactions of usual messages of 1,000 events, and some.
    #[arg(long, env = "FLOWMETER_PREFETCH", default_value_t = 64)]
    pub prefetch: u16,
}

impl Batching {
    /// How long to wait for others, after a transaction of so many `items`. Under load a longer
    /// wait is worth it: each transaction costs the same few partial rows for more of them.
    #[must_use]
    pub fn linger_after(&self, items: usize) -> Duration {
        /// Items from which on the wait is longer than the least.
        const MANY: usize = 200;
        /// At 25 ms a transaction is still far below the second within which answers come.
        const LONGEST: usize = 5;
        let factor = (items / MANY).clamp(1, LONGEST);
        self.batch_linger * u32::try_from(factor).expect("at most 5")
    }
}

/// How the endpoints of flows are checked. One worker at a time checks them, so all should have the
/// same settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Checks {
    /// How often an endpoint is checked whose flow does not say, from 1s to 1d.
    // Tells an outage within a minute, at a cost that no endpoint notices.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_INTERVAL", default_value = "60s", value_parser = interval)]
    pub flow_check_interval: Duration,

    /// How long an endpoint may take to answer a check, the look-up of its name included.
    // The slowest answer that still counts as within 10 s among the latencies of requests.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub flow_check_timeout: Duration,

    /// Checks that are under way at the same time; those of one tenant take at most half of them.
    /// Those that do not get their turn within their interval are skipped.
    // 1,000 flows of a tenant with the usual interval that all hang need 167. Each takes a socket,
    // and 1,024 files are what a process often may open.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_CONCURRENCY", default_value_t = 384, value_parser = clap::value_parser!(u16).range(1..))]
    pub flow_check_concurrency: u16,

    /// Networks that checks may reach although they are internal, such as 10.0.0.0/8,127.0.0.1/32.
    // None: tenants name the endpoints, and the network around the worker is not theirs.
    #[arg(long, env = "FLOWMETER_FLOW_CHECK_ALLOW", default_value = "", value_parser = Guard::parse)]
    pub flow_check_allow: Guard,

    /// A PEM file of authorities that https endpoints may have their certificates of, beside
    /// those that browsers trust.
    // None: for endpoints within a company, which has its own.
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

    #[test]
    fn the_wait_grows_with_the_load_and_has_a_limit() {
        let batching =
            Batching { batch_events: 20_000, batch_linger: Duration::from_millis(5), prefetch: 64 };
        let waits = [0, 200, 500, 1_000, 20_000].map(|events| batching.linger_after(events).as_millis());
        assert_eq!(waits, [5, 5, 10, 25, 25]);
    }
}
