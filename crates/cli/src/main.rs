//! `flowmeter`, the command line of Flowmeter: replays logs, reads and draws
//! time series, defines what they are of, and manages tenants and tokens. It speaks gRPC to the services;
//! only `migrate` and `bootstrap` open the database.

mod arguments;
mod commands;
mod connection;
mod decimal;
mod failure;
mod json;
mod mask;
mod moment;
mod render;
mod replay;
mod resource;
mod sample;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(code) => code,
        Err(error) if failure::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", failure::describe(&error));
            ExitCode::FAILURE
        }
    }
}
