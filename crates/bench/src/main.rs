//! Measures Flowmeter with real servers, real services in release mode, and a load that is bounded in time.
//! Everything runs on this machine, so only figures of the same run are comparable.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod assets;
mod events;
mod flows;
mod ingest;
mod installation;
mod percentiles;
mod query;
mod segments;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

/// Measures Flowmeter on this machine, with private servers and services in release
/// mode.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
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
    /// How many bytes an event takes in columns, and how fast columns are written and read.
    Segments(segments::Segments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().bench {
        Bench::Ingest(bench) => bench.run(),
        Bench::Flows(bench) => bench.run(),
        Bench::Assets(bench) => bench.run(),
        Bench::Query(bench) => bench.run(),
        Bench::Segments(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A request with its token.
fn authorized<T>(message: T, token: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token.clone());
    request
}
