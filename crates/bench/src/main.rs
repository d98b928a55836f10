//! Measures Flowmeter with real servers, real services in release mode, and a load that is bounded in time.
//! Everything runs on this machine, so only figures of the same run are comparable.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod assets;
mod copy;
mod days;
mod events;
mod figures;
mod flows;
mod ingest;
mod installation;
mod peers;
mod percentiles;
mod query;
mod report;
mod segments;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

use crate::report::Report;

/// The name of this program as users call it.
const NAME: &str = "cargo xtask bench";

/// Measures Flowmeter on this machine, with private servers and services in release
/// mode.
///
/// Without a command, all benches but `peers` run one after the other with moderate sizes, in about 5 minutes, and a
/// summary follows. A figure with a target says whether the target holds.
#[derive(Debug, Parser)]
#[command(name = NAME)]
struct Arguments {
    /// Writes all figures to this file as JSON, with their units and targets, and with the cores, the memory and the
    /// PostgreSQL version of this machine.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Prints each figure beside that of an earlier run, with the ratio. The file is one that --json wrote.
    #[arg(long, global = true, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(subcommand)]
    bench: Option<Bench>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Measures how many events per second are accepted and become queryable.
    Ingest(ingest::Ingest),
    /// Measures how many flow requests per second are accepted and counted, and how long flow metrics take with 90
    /// days of history.
    Flows(flows::Flows),
    /// Measures how many asset values per second are accepted and stored, and how long queries about a million
    /// assets take.
    Assets(assets::Assets),
    /// Measures how long answers over a month of events take, and prints the plans of those that miss their target.
    ///
    /// The bench fills a private PostgreSQL server through the worker's own writer, in batches and in order of time,
    /// and folds the events as a worker does. Then each query is sent to the query service many times. Instead of
    /// waiting for autovacuum, the bench runs VACUUM ANALYZE on each table that autovacuum would have reached during
    /// the month. Like autovacuum, it skips the parents of partitions.
    Query(query::Query),
    /// Measures how many bytes an event takes in columns, and how fast columns are written and read.
    Segments(segments::Segments),
    /// Measures what the private servers can take at most, without Flowmeter.
    ///
    /// PostgreSQL copies rows with a primary key and appends large binary values, and RabbitMQ confirms messages of a
    /// quorum queue, all with fsync on. Flowmeter cannot be faster than these limits on the same machine.
    Copy(copy::Copy),
    /// Loads the same events into Flowmeter, VictoriaMetrics and InfluxDB 1, asks the same questions, and compares.
    ///
    /// VictoriaMetrics and InfluxDB are installed with apt-get if they are missing (the packages `victoria-metrics`
    /// and `influxdb` of Debian); no other command does that. They run as private processes on free loopback ports
    /// with their data in target/stack-bench-peers, and are stopped and their data removed at the end.
    Peers(peers::Peers),
}

impl Bench {
    fn run(&self, report: &mut Report) -> Result<()> {
        match self {
            Self::Ingest(bench) => bench.run(report),
            Self::Flows(bench) => bench.run(report),
            Self::Assets(bench) => bench.run(report),
            Self::Query(bench) => bench.run(report),
            Self::Segments(bench) => bench.run(report),
            Self::Copy(bench) => bench.run(report),
            Self::Peers(bench) => bench.run(report),
        }
    }
}

/// What runs without a command. The sizes are moderate, so that all of it takes about 5 minutes on 2 cores.
const ALL: [&str; 6] = [
    "ingest --seconds 10",
    "query --events 1000000 --queries 200 --seconds 5",
    "flows --seconds 5 --queries 200",
    "assets --assets 200000 --queries 500",
    "segments --events 1000,20000",
    "copy",
];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref(), arguments.compare.as_deref())?;
    let Some(bench) = &arguments.bench else {
        return run_all(&mut report);
    };
    report.begin(command(std::env::args().skip(1)));
    let measured = bench.run(&mut report);
    // What was measured before an error is worth keeping.
    report.finish()?;
    measured
}

/// Runs all benches. One that fails does not prevent the others.
fn run_all(report: &mut Report) -> Result<()> {
    let mut failed = Vec::new();
    for command in ALL {
        println!("\n{NAME} {command}");
        report.begin(command);
        let measured = parsed(command).and_then(|bench| bench.run(report));
        if let Err(error) = measured {
            eprintln!("error: {command}: {error:#}");
            failed.push(command);
        }
    }
    report.print_summary();
    report.finish()?;
    if !failed.is_empty() {
        bail!("expected all benches to succeed; failed: {}", failed.join("; "));
    }
    Ok(())
}

/// The bench that a command of [`ALL`] stands for.
fn parsed(command: &str) -> Result<Bench> {
    let words = std::iter::once(NAME).chain(command.split(' '));
    match Arguments::try_parse_from(words)?.bench {
        Some(bench) => Ok(bench),
        None => bail!("expected the name of a bench, found `{command}`"),
    }
}

/// The arguments without the files, so that a command describes its load only.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" | "--compare" => drop(arguments.next()),
            file if file.starts_with("--json=") || file.starts_with("--compare=") => {}
            _ => words.push(argument),
        }
    }
    words.join(" ")
}

/// A request with its token.
fn authorized<T>(message: T, token: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token.clone());
    request
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once(NAME).chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn each_command_of_all_is_a_bench() {
        let benches: Vec<_> = ALL.iter().map(|command| parsed(command).unwrap()).collect();
        assert!(!benches.iter().any(|bench| matches!(bench, Bench::Peers(_))));
        assert!(matches!(benches[0], Bench::Ingest(_)));
    }

    #[test]
    fn files_are_given_before_or_after_the_bench() {
        for line in ["--json a --compare b copy", "copy --json a --compare b", "--json a copy --compare=b"] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.json, Some("a".into()), "{line}");
            assert_eq!(arguments.compare, Some("b".into()), "{line}");
            assert!(matches!(arguments.bench, Some(Bench::Copy(_))), "{line}");
            assert_eq!(command(line.split(' ').map(str::to_owned)), "copy", "{line}");
        }
    }

    #[test]
    fn all_benches_need_no_argument() {
        let arguments = parse("--json a").unwrap();
        assert!(arguments.bench.is_none());
        assert!(parse("nonsense").is_err() && parse("--json").is_err());
    }
}
