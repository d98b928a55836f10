//! `cargo xtask bench`: builds the benches in release mode and runs them.
//!
//! They are a separate program, so that `cargo xtask up` does not have to compile a load generator.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use flowmeter_stack::{Profile, build_executables};

#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// The name of the bench, and its options. Without a name, all benches but `peers` run.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        // The whole workspace, as the bench itself and `cargo build --release` ask for it.
        let built = build_executables(Profile::Release, &["--workspace", "--bins"])?;
        let program = built.get("flowmeter-bench").context("cargo built no program named flowmeter-bench")?;
        let ended = Command::new(program)
            .args(&self.arguments)
            .status()
            .with_context(|| format!("run {}", program.display()))?;
        Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::{Arguments, Task};

    #[test]
    fn everything_after_bench_is_passed_on() {
        for line in ["", "--help", "--json a", "--compare a ingest --seconds 3", "copy --json a --help"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let parsed = Arguments::try_parse_from(["xtask", "bench"].iter().chain(&words)).unwrap();
            let Task::Bench(bench) = parsed.task else { panic!("expected a bench, found {:?}", parsed.task) };
            assert_eq!(bench.arguments, words);
        }
    }
}
