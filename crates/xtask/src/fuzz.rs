//! `cargo xtask fuzz`: feeds random input to all parsers of what callers send.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use flowmeter_stack::{cargo_of_toolchain, workspace_root};

/// The names of the targets in `fuzz/fuzz_targets`.
const TARGETS: [&str; 8] =
    ["range", "calendar", "holiday", "filter", "page_token", "names", "list", "segment"];

/// The maximum length of an input in bytes, which is more than any parser accepts.
const MAX_INPUT_BYTES: u32 = 9_000;

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub struct Fuzz {
    /// The targets to fuzz. Default: all.
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,

    /// The number of seconds to spend on each target.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
}

impl Fuzz {
    pub fn run(self) -> Result<ExitCode> {
        let root = &workspace_root();
        require(&["--version"], "a nightly compiler: rustup toolchain install nightly")?;
        require(&["fuzz", "--version"], "cargo-fuzz: cargo install cargo-fuzz --locked")?;
        let chosen = if self.targets.is_empty() { TARGETS.map(str::to_owned).to_vec() } else { self.targets };
        for target in &chosen {
            eprintln!("fuzzing {target} for {} s", self.seconds);
            fuzz(root, target, self.seconds)?;
        }
        println!("{}: nothing found", chosen.join(", "));
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks that the nightly cargo accepts these arguments. Otherwise, the error names the missing tool `what`.
fn require(arguments: &[&str], what: &str) -> Result<()> {
    match cargo_of_toolchain("nightly", arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("fuzzing needs {what}"),
    }
}

fn fuzz(root: &Path, target: &str, seconds: u32) -> Result<()> {
    let status = cargo_of_toolchain("nightly", ["fuzz", "run", "--fuzz-dir"])
        .arg(root.join("fuzz"))
        .arg("--target-dir")
        .arg(root.join("target/fuzz"))
        .arg(target)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_INPUT_BYTES}"))
        // Everything that is read is bounded; what takes longer is a finding.
        .arg("-timeout=5")
        .status()
        .context("cargo fuzz cannot be run")?;
    if !status.success() {
        bail!("{target} failed; the input is in fuzz/artifacts/{target}");
    }
    Ok(())
}
