//! The programs of the workspace, built by cargo.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build: for tests.
    Dev,
    /// Quick to run: for use and for measurements.
    Release,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The command line, `flowmeter`.
    pub cli: PathBuf,
    /// `flowmeter-ingest`.
    pub ingest: PathBuf,
    /// `flowmeter-worker`.
    pub worker: PathBuf,
    /// `flowmeter-query`.
    pub query: PathBuf,
}

impl Binaries {
    /// For tests: those in the directory that `FLOWMETER_TEST_BIN_DIR` names, as `cargo xtask test` sets it, else
    /// built now.
    pub fn for_tests() -> Result<Self> {
        let Some(dir) = std::env::var_os("FLOWMETER_TEST_BIN_DIR") else {
            return Self::build_with_workspace(Profile::Dev);
        };
        let program = |name: &str| {
            let path = Path::new(&dir).join(name);
            anyhow::ensure!(path.is_file(), "{} is not there; was it built?", path.display());
            Ok(path)
        };
        Ok(Self {
            cli: program("flowmeter")?,
            ingest: program("flowmeter-ingest")?,
            worker: program("flowmeter-worker")?,
            query: program("flowmeter-query")?,
        })
    }

    /// Builds the four programs; cargo's own progress goes to stderr.
    pub fn build(profile: Profile) -> Result<Self> {
        let packages = ["flowmeter-cli", "flowmeter-ingest", "flowmeter-worker", "flowmeter-query"];
        Self::build_selected(profile, &packages.map(|package| ["-p", package]).concat())
    }

    /// Builds them as part of the whole workspace, which resolves features just as `cargo test --workspace` does,
    /// so that nothing is compiled twice.
    pub fn build_with_workspace(profile: Profile) -> Result<Self> {
        Self::build_selected(profile, &["--workspace", "--bins"])
    }

    fn build_selected(profile: Profile, selection: &[&str]) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.arg("build").args(selection).arg("--message-format=json-render-diagnostics");
        if profile == Profile::Release {
            command.arg("--release");
        }
        let output = command
            .current_dir(workspace_root())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("run cargo build")?;
        anyhow::ensure!(output.status.success(), "cargo build failed with {}", output.status);
        let built = executables(&String::from_utf8_lossy(&output.stdout));
        let find = |name: &str| {
            built.get(name).cloned().with_context(|| format!("cargo built no program called {name}"))
        };
        Ok(Self {
            cli: find("flowmeter")?,
            ingest: find("flowmeter-ingest")?,
            worker: find("flowmeter-worker")?,
            query: find("flowmeter-query")?,
        })
    }

    /// The directory that all four are in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.cli.parent().unwrap_or(Path::new("/"))
    }
}

/// The root of the source tree that this was compiled from.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The executables in cargo's stream of messages, by the name of their target.
fn executables(messages: &str) -> HashMap<String, PathBuf> {
    let parse = |line: &str| -> Option<(String, PathBuf)> {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.get("target")?.get("name")?.as_str()?;
        Some((name.to_owned(), message.get("executable")?.as_str()?.into()))
    };
    messages.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_libraries() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"flowmeter_core"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"flowmeter"},"executable":"/t/debug/flowmeter"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found["flowmeter"], Path::new("/t/debug/flowmeter"));
    }
}
