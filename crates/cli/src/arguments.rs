//! The command line: global flags and the list of commands. Each module in `commands` declares the arguments
//! of its command.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{commands, moment};

/// The Flowmeter command line: replay logs, read and draw time series, define metrics and calendars,
/// monitor flows, executions and assets, and manage tenants and tokens.
#[derive(Debug, Parser)]
#[command(
    name = "flowmeter",
    version,
    max_term_width = 100,
    after_help = "Start here:\n  \
        flowmeter sample | flowmeter replay - --format jsonl\n  \
        flowmeter series ODSLRequest/ReadRequests\n  \
        flowmeter metric list\n\n\
        Exit codes: 0 success; 1 failure; 2 invalid arguments; 3 success, but some lines of a replay were not recorded."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) remote: Remote,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The parser of the command line.
///
/// The usage in an error names only the required arguments, as the help does. By default, clap would also
/// name every flag that an environment variable sets.
pub(crate) fn command() -> clap::Command {
    let mut command = with_negative_numbers(Arguments::command());
    command.build();
    with_plain_usage(command)
}

/// Lets clap read a negative number after an option as the option's value. By default, clap would report an
/// unknown option and advise to put `--` before it.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let with = |arg: clap::Arg| {
        let is_option = !arg.is_positional() && arg.get_action().takes_values();
        arg.allow_negative_numbers(is_option)
    };
    command.mut_args(with).mut_subcommands(with_negative_numbers)
}

fn with_plain_usage(mut command: clap::Command) -> clap::Command {
    if command.has_subcommands() {
        let names: Vec<_> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
        return names
            .into_iter()
            .fold(command, |command, name| command.mut_subcommand(name, with_plain_usage));
    }
    let usage = command.render_usage().to_string();
    match usage.strip_prefix("Usage: ") {
        Some(usage) => command.override_usage(usage.to_owned()),
        None => command,
    }
}

/// The names of the called command and its subcommand, such as metric and get.
pub(crate) fn path(matches: &ArgMatches) -> Vec<&str> {
    std::iter::successors(matches.subcommand(), |(_, below)| below.subcommand())
        .map(|(name, _)| name)
        .collect()
}

/// The value that the user gave for this flag or argument of the called command.
pub(crate) fn given(matches: &ArgMatches, name: &str) -> Option<String> {
    if let Some((_, below)) = matches.subcommand() {
        return given(below, name);
    }
    let values = matches.try_get_raw(name).ok()??;
    let values: Vec<_> = values.filter_map(|value| value.to_str()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Where the services are and how to connect to them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Remote {
    /// The access token. Prefer the environment variable: other users of this machine can see the
    /// arguments of a process.
    #[arg(long, global = true, env = "FLOWMETER_TOKEN", hide_env_values = true, value_name = "SECRET")]
    pub(crate) token: Option<Secret>,

    /// The URL of the ingest service, http:// or https://.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_INGEST_URL",
        default_value = "http://127.0.0.1:7071",
        value_name = "URL"
    )]
    pub(crate) ingest_url: String,

    /// The URL of the query service, which also hosts the catalog and admin services.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_QUERY_URL",
        default_value = "http://127.0.0.1:7072",
        value_name = "URL"
    )]
    pub(crate) query_url: String,

    /// A PEM file with the certificates of the authorities to trust for https:// URLs, instead of those
    /// that browsers trust.
    #[arg(long, global = true, env = "FLOWMETER_CA_CERTIFICATE", value_name = "FILE")]
    pub(crate) ca_certificate: Option<PathBuf>,

    // Longer than 10 s, which is the longest that a query waits until a request is applied.
    /// How long to wait for the response to one call.
    #[arg(
        long,
        global = true,
        env = "FLOWMETER_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = moment::parse_duration
    )]
    pub(crate) timeout: Duration,

    /// The output format. Default: a table, or a chart if `series`, `flow metric`, `executions` or `asset
    /// show` print to a terminal.
    #[arg(long, short, global = true, env = "FLOWMETER_OUTPUT", value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
}

/// A secret that cannot be printed by accident.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret in plain text, to send it.
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

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns.
    Table,
    /// Protobuf JSON: camelCase names, RFC 3339 timestamps, 64-bit integers as strings.
    Json,
    /// A chart (`series`, `flow metric`, `executions` and `asset show`; other commands print a table).
    Chart,
}

impl Remote {
    /// Whether to print JSON.
    pub(crate) fn json(&self) -> bool {
        self.output == Some(Output::Json)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(commands::replay::Replay),
    Sample(commands::sample::Sample),
    Record(Box<commands::record::Record>),
    Series(Box<commands::series::Series>),
    #[command(subcommand)]
    Events(commands::events::Events),
    Values(commands::values::Values),
    #[command(subcommand)]
    Provider(commands::provider::Provider),
    #[command(subcommand)]
    Metric(commands::metric::Metric),
    #[command(subcommand)]
    Calendar(commands::calendar::Calendar),
    #[command(subcommand)]
    TimeSeries(commands::time_series::TimeSeries),
    #[command(subcommand)]
    Flow(commands::flow::Flow),
    #[command(subcommand)]
    Executions(commands::executions::Executions),
    #[command(subcommand)]
    Asset(commands::asset::Asset),
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
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_arguments_never_show_a_secret() {
        let arguments = Arguments::try_parse_from(["flowmeter", "--token", "hunter2", "build-info"]).unwrap();
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }

    #[test]
    fn usage_names_only_required_arguments() {
        let error = command().try_get_matches_from(["flowmeter", "--token", "t", "series"]).unwrap_err();
        let usage = error.to_string();
        assert!(usage.contains("Usage: flowmeter series [OPTIONS] <METRIC|NAME>\n"), "{usage}");
        let error = command().try_get_matches_from(["flowmeter", "--token", "t", "metric", "update", "A/b"]);
        let usage = error.unwrap_err().to_string();
        assert!(usage.contains("Usage: flowmeter metric update [OPTIONS] <NAME>\n"), "{usage}");
    }

    #[test]
    fn values_of_subcommands_are_found() {
        let arguments = ["flowmeter", "events", "list", "--filter", "a =", "--fields", "id,key"];
        let matches = command().get_matches_from(arguments);
        assert_eq!(given(&matches, "filter").as_deref(), Some("a ="));
        assert_eq!(given(&matches, "nonsense[0]"), None);
        assert_eq!(given(&matches, "after").as_deref(), Some(""));
    }

    /// The examples in a help text, each split into words as a shell does.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let Some((_, examples)) = help.split_once("Examples:\n") else { return Vec::new() };
        let lines: Vec<&str> = examples.lines().take_while(|line| line.starts_with("  ")).collect();
        let joined = lines.join("\n").replace("\\\n", " ");
        joined.lines().map(words).collect()
    }

    /// The words of a line up to a redirection, without single quotes.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (at, part) in line.split('\'').enumerate() {
            if at % 2 == 1 {
                words.last_mut().unwrap().push_str(part);
                continue;
            }
            for (gap, word) in part.split(' ').enumerate() {
                if gap > 0 {
                    words.push(String::new());
                }
                words.last_mut().unwrap().push_str(word);
            }
        }
        // An empty word is kept if it was quoted, as in --filter ''.
        let quoted_empty = line.contains("''");
        let mut words: Vec<_> = words.into_iter().take_while(|word| word != "<").collect();
        words.retain(|word| !word.is_empty());
        if quoted_empty {
            let at = line.split("''").next().unwrap().split_whitespace().count();
            words.insert(at, String::new());
        }
        words
    }

    /// The commands without subcommands, each with its words.
    fn leaves(command: &clap::Command, above: &[String]) -> Vec<(Vec<String>, clap::Command)> {
        let path = [above, &[command.get_name().to_owned()]].concat();
        if !command.has_subcommands() {
            return vec![(path, command.clone())];
        }
        command.get_subcommands().flat_map(|below| leaves(below, &path)).collect()
    }

    fn help(command: &clap::Command) -> String {
        command.get_long_about().map(ToString::to_string).unwrap_or_default()
    }

    /// The error for this value of each chosen option, or an empty text if the option accepts it.
    fn said_of(value: &str, is_chosen: impl Fn(&clap::Arg) -> bool) -> Vec<String> {
        let mut command = command();
        let mut said = Vec::new();
        for (path, leaf) in leaves(&command.clone(), &[]) {
            for option in leaf.get_opts().filter(|option| !option.is_global_set() && is_chosen(option)) {
                let flag = format!("--{}", option.get_long().unwrap());
                let given = path.iter().map(String::as_str).chain([flag.as_str(), value]);
                let error = command.try_get_matches_from_mut(given).err().map(|error| error.to_string());
                said.push(format!("{} {flag}: {}", path.join(" "), error.unwrap_or_default()));
            }
        }
        said
    }

    #[test]
    fn a_wrong_time_is_refused_with_an_example() {
        let is_time =
            |option: &clap::Arg| option.get_value_names().is_some_and(|names| names.contains(&"TIME".into()));
        let said = said_of("yesterday", is_time);
        assert!(said.len() >= 9, "{said:?}");
        for said in said {
            assert!(said.contains(": expected a time such as 2026-11-21T09:30:00Z"), "{said}");
        }
    }

    #[test]
    fn a_negative_number_is_read_as_a_value() {
        let said = said_of("-3", |_| true);
        let range = "invalid value '-3' for '--items-remaining <COUNT>': -3 is not in 0..";
        assert!(said.iter().any(|said| said.contains(range)), "{said:?}");
        for said in said {
            assert!(!said.contains("unexpected argument"), "{said}");
        }
    }

    #[test]
    fn the_examples_in_the_help_are_valid_commands() {
        let mut seen = 0;
        for (path, leaf) in leaves(&Arguments::command(), &[]) {
            for example in examples(&help(&leaf)) {
                seen += 1;
                Arguments::try_parse_from(&example)
                    .unwrap_or_else(|error| panic!("{path:?}: {example:?}: {error}"));
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn commands_that_read_or_define_have_examples() {
        let groups = [
            "series",
            "events",
            "values",
            "provider",
            "metric",
            "calendar",
            "time-series",
            "flow",
            "executions",
            "asset",
        ];
        for (path, leaf) in leaves(&Arguments::command(), &[]) {
            if groups.contains(&path[1].as_str()) {
                assert!(!examples(&help(&leaf)).is_empty(), "{path:?}");
            }
        }
    }
}
