//! Measures Flowmeter: real servers, real services in release mode, and a load that is
//! bounded in time. Everything runs on this machine; compare figures of one run only.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod assets;
mod events;
mod flows;
mod ingest;
mod installation;
mod percentiles;
mod query;

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
    /// How many events a second are taken in, from the first acknowledgement until all of
    /// them are in the answers.
    Ingest(ingest::Ingest),
    /// How many requests of flows a second are taken in and counted, and how long the metrics of
    /// flows take with 90 days of history.
    Flows(flows::Flows),
    /// How many values of assets a second are taken in and kept, and how long questions about a million
    /// assets take.
    Assets(assets::Assets),
    /// How long answers take over a month of events, and the plans of those that take too
    /// long.
    ///
    /// A private PostgreSQL server is filled through the worker's own writer, in batches and
    /// in order of time, and folded as a worker folds. Then the query service answers each
    /// question many times. Instead of waiting for autovacuum the bench runs VACUUM ANALYZE
    /// on each table that autovacuum would have come to during such a month; never on the
    /// parents of partitions, which it leaves out as well.
    Query(query::Query),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().bench {
        Bench::Ingest(bench) => bench.run(),
        Bench::Flows(bench) => bench.run(),
        Bench::Assets(bench) => bench.run(),
        Bench::Query(bench) => bench.run(),
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
