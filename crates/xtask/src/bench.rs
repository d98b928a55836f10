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
    /// The name of the bench, and its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        // The whole workspace, as the bench itself and `cargo build --release` ask for it.
        let built = build_executables(Profile::Release, &["--workspace", "--bins"])?;
        let program = built.get("flowmeter-bench").context("cargo built no program named flowmeter-bench")?;
        let arguments = if self.arguments.is_empty() { &["--help".to_owned()][..] } else { &self.arguments };
        let ended = Command::new(program)
            .args(arguments)
            .status()
            .with_context(|| format!("run {}", program.display()))?;
        Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
