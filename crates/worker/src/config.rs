//! The settings of the worker.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use flowmeter_service::config::{DatabaseArgs, QueueArgs, ServerArgs, duration};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_load_and_has_a_limit() {
        let batching =
            Batching { batch_events: 20_000, batch_linger: Duration::from_millis(5), prefetch: 64 };
        let waits = [0, 200, 500, 1_000, 20_000].map(|events| batching.linger_after(events).as_millis());
        assert_eq!(waits, [5, 5, 10, 25, 25]);
    }
}
