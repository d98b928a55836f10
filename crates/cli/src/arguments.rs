//! The command line: global flags and the list of commands. What a command takes
//! is declared beside what it does, in `commands`.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{commands, moment};

/// The command line of Flowmeter: replay logs, read and draw time series, manage
/// tenants and tokens.
#[derive(Debug, Parser)]
#[command(
    name = "flowmeter",
    version,
    max_term_width = 100,
    after_help = "Start here:\n  \
        flowmeter sample | flowmeter replay - --format jsonl\n  \
        flowmeter series ODSLRequest/ReadRequests --calendar '#PT1H' --range 2026-11\n\n\
        Exit code: 0 done; 1 failed; 2 wrong arguments; 3 done, but some lines of a replay were not recorded."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) remote: Remote,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the services are and how to speak to them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Remote {
    /// The token to show the services. The environment is the better place for it:
    /// other users of this machine can see the arguments of a process.
    #[arg(long, global = true, env = "FLOWMETER_TOKEN", hide_env_values = true, value_name = "SECRET")]
    pub(crate) token: Option<Secret>,

    /// Where the ingest service listens.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_INGEST_URL",
        default_value = "http://127.0.0.1:7071",
        value_name = "URL"
    )]
    pub(crate) ingest_url: String,

    /// Where the query service listens, which also hosts the admin service.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_QUERY_URL",
        default_value = "http://127.0.0.1:7072",
        value_name = "URL"
    )]
    pub(crate) query_url: String,

    // Longer than the 10 s that a query waits at most for a request to be applied.
    /// How long to wait for an answer to one call.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = moment::parse_duration
    )]
    pub(crate) timeout: Duration,

    /// How to print answers. Default: a table; `series` also draws a chart when it
    /// prints to a terminal.
    #[arg(long, short, global = true, env = "FLOWMETER_OUTPUT", value_name = "FORM")]
    pub(crate) output: Option<Output>,
}

/// A secret that cannot be printed by accident.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret itself, to send it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns, for people.
    Table,
    /// Proto JSON, for programs: camelCase names, RFC 3339 timestamps, 64-bit
    /// numbers as strings.
    Json,
    /// A chart in the terminal (`series`; elsewhere a table).
    Chart,
}

impl Remote {
    /// Whether the answer is to be printed as JSON.
    pub(crate) fn json(&self) -> bool {
        self.output == Some(Output::Json)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(commands::replay::Replay),
    Sample(commands::sample::Sample),
    Record(Box<commands::record::Record>),
    Series(commands::series::Series),
    #[command(subcommand)]
    Events(commands::events::Events),
    Receipt(commands::receipt::Receipt),
    BuildInfo(commands::build_info::BuildInfo),
    Health(commands::health::Health),
    #[command(subcommand)]
    Tenant(commands::tenant::Tenant),
    #[command(subcommand)]
    Token(commands::token::Token),
    Migrate(commands::migrate::Migrate),
    Bootstrap(commands::bootstrap::Bootstrap),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_form_of_the_arguments_shows_a_secret() {
        let arguments = Arguments::try_parse_from(["flowmeter", "--token", "hunter2", "build-info"]).unwrap();
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }
}
