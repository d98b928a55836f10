//! Measures Flowmeter: real servers, real services in release mode, and a load that is
//! bounded in time. Everything runs on this machine; compare figures of one run only.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod events;
mod ingest;
mod percentiles;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let Bench::Ingest(bench) = Arguments::parse().bench;
    match bench.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
