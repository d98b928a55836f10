//! `cargo xtask bench`: builds the benches in release mode and hands over to them.
//!
//! They are a program of their own, so that `cargo xtask up` does not have to compile a load generator.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use flowmeter_stack::workspace_root;

#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// Which bench, and its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // The whole workspace, which the bench asks for as well: so nothing is compiled twice.
        let built = Command::new(&cargo)
            .args(["build", "--release", "--workspace", "--bins"])
            .current_dir(workspace_root())
            .status()
            .context("run cargo build")?;
        anyhow::ensure!(built.success(), "the benches do not build");
        let arguments = if self.arguments.is_empty() { &["--help".to_owned()][..] } else { &self.arguments };
        let program = workspace_root().join("target/release/flowmeter-bench");
        let ended = Command::new(&program)
            .args(arguments)
            .status()
            .with_context(|| format!("run {}", program.display()))?;
        Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
