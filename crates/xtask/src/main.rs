//! `cargo xtask`: the tasks of this repository that go beyond cargo itself.

mod bench;
mod detach;
mod docs;
mod fuzz;
mod guide;
mod interrupt;
mod run_directory;
mod sample;
mod strings;
mod test;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Starts, tests and measures Flowmeter on this machine, with private servers.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts all servers and services with sample data, and prints how to use them; Ctrl-C stops everything.
    ///
    /// PostgreSQL and RabbitMQ are private servers on free loopback ports, installed through apt-get when missing;
    /// `DATABASE_URL` and `AMQP_URL` name others to use instead. Their data is kept in target/stack.
    Up(up::Up),
    /// Stops what `up --detach` started.
    Down,
    /// Checks format, lints and documentation, and runs all tests against private servers.
    ///
    /// The console blocks of the documents are run as well. The last line says `N passed, N failed`. With a
    /// filter, only the tests whose names contain it and the documents whose paths contain it are run, and no
    /// other checks.
    Test(test::Test),
    /// Runs the console blocks of the documents, and compares the output that they show with the real output.
    ///
    /// `--bless` writes the real output into the documents. CONTRIBUTING.md explains how to write a console
    /// block.
    Docs(docs::Docs),
    /// Measures speed, memory and size in release mode, with private servers and a generated load.
    ///
    /// Without arguments, all benches run one after the other, and a summary follows. `cargo xtask bench --help`
    /// lists the benches. Each has its own `--help`.
    Bench(bench::Bench),
    /// Lists all texts that users read, such as help, errors, logs and documentation, in `target/strings.txt`.
    Strings,
    /// Feeds random input to every parser of what callers send.
    ///
    /// Needs a nightly compiler and cargo-fuzz. If they are missing, the command prints how to install them.
    /// The ordinary tests include a short run of the same kind.
    Fuzz(fuzz::Fuzz),
}

fn main() -> ExitCode {
    let result: Result<ExitCode> = match Arguments::parse().task {
        Task::Up(task) => task.run(),
        Task::Down => detach::down(),
        Task::Test(task) => task.run(),
        Task::Docs(task) => task.run(),
        Task::Bench(task) => task.run(),
        Task::Strings => strings::run(),
        Task::Fuzz(task) => task.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
