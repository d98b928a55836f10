//! `flowmeter`, the command line of Flowmeter: replays logs, reads and draws time series, defines metrics and
//! calendars, monitors flows, executions and assets, and manages tenants and tokens. It calls the services
//! over gRPC; only `migrate` and `bootstrap` open the database.

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
mod suggestion;
mod violations;
mod words;

use std::process::ExitCode;

use clap::FromArgMatches;

fn main() -> ExitCode {
    let matches = arguments::command().get_matches();
    let arguments = match arguments::Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let remote = arguments.remote.clone();
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
            let hint = runtime.block_on(suggestion::hint(&error, &arguments::path(&matches), &remote));
            let given = |field: &str| arguments::given(&matches, field);
            eprint!("{}", failure::describe(&error, &given, hint.as_deref()));
            ExitCode::FAILURE
        }
    }
}
