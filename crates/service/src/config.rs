//! Settings that the services share. Each is a flag and an environment variable.

use std::time::Duration;

use clap::Args;

/// The gRPC server. The address to listen on is a setting of each service, because the defaults differ.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// How long a connection lives before the client is asked to open a new one, so that the load spreads to
    /// replicas that are added.
    // Reconnecting every 15 minutes costs nothing that can be measured.
    #[arg(long, env = "FLOWMETER_MAX_CONNECTION_AGE", default_value = "15m", value_parser = duration)]
    pub max_connection_age: Duration,

    /// How long calls and transactions may go on after the service is asked to stop.
    // Less than the 30 s after which Kubernetes kills a pod.
    #[arg(long, env = "FLOWMETER_DRAIN_TIMEOUT", default_value = "20s", value_parser = duration)]
    pub drain_timeout: Duration,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// Logs and traces.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// What is logged: a level, or `module=level` directives separated by commas.
    // At the level of warnings, the AMQP client logs the content of messages that the broker returns.
    #[arg(long, env = "FLOWMETER_LOG", default_value = "info,lapin=error,tokio_postgres=warn")]
    pub log: String,

    /// Format of the log.
    #[arg(long, env = "FLOWMETER_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Where to send traces by OTLP over gRPC, such as <http://localhost:4317>. Without it there are no
    /// traces.
    #[arg(long, env = "FLOWMETER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How to reach PostgreSQL.
#[derive(Args)]
pub struct DatabaseArgs {
    /// URL of PostgreSQL, as postgres://user:password@host:port/database.
    #[arg(long, env = "FLOWMETER_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Maximum number of connections to PostgreSQL.
    // Far fewer are enough to keep the cores of the database busy.
    #[arg(long, env = "FLOWMETER_DATABASE_CONNECTIONS", default_value_t = 8)]
    pub database_connections: usize,

    /// How long a statement may take.
    // Longer than a caller waits for an answer.
    #[arg(long, env = "FLOWMETER_STATEMENT_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub statement_timeout: Duration,
}

impl DatabaseArgs {
    /// The settings of the store.
    #[must_use]
    pub fn settings(&self) -> flowmeter_store::Settings {
        flowmeter_store::Settings {
            url: self.database_url.clone(),
            max_connections: self.database_connections,
            statement_timeout: self.statement_timeout,
        }
    }
}

/// How to reach RabbitMQ, and its queues. All services need the same settings.
#[derive(Args)]
pub struct QueueArgs {
    /// URL of RabbitMQ, as amqp://user:password@host:port/vhost.
    #[arg(long, env = "FLOWMETER_AMQP_URL", hide_env_values = true)]
    pub amqp_url: String,

    /// Prefix of the names of the queues.
    #[arg(long, env = "FLOWMETER_QUEUE_PREFIX", default_value = "flowmeter")]
    pub queue_prefix: String,

    /// Number of queues over which requests are spread. In a cluster of brokers, each queue can have its
    /// leader on another node.
    // One saturates a small machine; more queues make smaller batches.
    #[arg(long, env = "FLOWMETER_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,

    /// Maximum size of a queue in bytes. A full queue rejects messages.
    // 4 GiB: some minutes of full load on a small machine, or hours of usual load.
    #[arg(long, env = "FLOWMETER_MAX_QUEUE_BYTES", default_value_t = 4 << 30)]
    pub max_queue_bytes: i64,
}

impl QueueArgs {
    /// The settings of the queue.
    #[must_use]
    pub fn settings(&self) -> flowmeter_queue::Settings {
        flowmeter_queue::Settings {
            url: self.amqp_url.clone(),
            topology: flowmeter_queue::Topology {
                prefix: self.queue_prefix.clone(),
                shards: self.shards,
                max_queue_bytes: self.max_queue_bytes,
            },
        }
    }
}

/// Parses a duration such as 400d, 15m, 20s or 250ms.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and ms, s, m, h or d, such as 250ms or 15m".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = text[..split].parse().map_err(|_| expected())?;
    let unit_ms = match &text[split..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("400d"), Ok(Duration::from_hours(9_600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "5", "s", "5 s", "-5s", "99999999999999999999s", "999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
