//! Cargo as a child process. All cargo commands are created here.
//!
//! Cargo sets environment variables for the programs that `cargo run` and `cargo test` start, such as
//! `CARGO_MANIFEST_DIR` and `CARGO_PKG_VERSION`. Build scripts can watch these variables, as the one of
//! `ring` does. So a build that inherited them would recompile what a build from the shell has compiled, and
//! the next build from the shell would recompile it again.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::binaries::{Profile, workspace_root};

/// The prefixes of the variables that cargo sets for the programs it runs. The variables that cargo reads are
/// not among them, such as `CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_BUILD_…`, `CARGO_TERM_…`, `CARGO_NET_…`
/// and `CARGO_REGISTRIES_…`.
const SET_BY_CARGO: [&str; 11] = [
    "CARGO_BIN_EXE_",
    "CARGO_BIN_NAME",
    "CARGO_CFG_",
    "CARGO_CRATE_NAME",
    "CARGO_FEATURE_",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// A cargo command in the root of the workspace, without input, with the environment of the user's shell.
#[must_use]
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    cargo_program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Like [`cargo`], for another toolchain, such as `nightly`.
///
/// It runs the `cargo` of rustup, because the current `cargo` belongs to one toolchain.
#[must_use]
pub fn cargo_of_toolchain<S: AsRef<OsStr>>(
    toolchain: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = cargo_program("cargo".into(), [format!("+{toolchain}")]);
    command.args(arguments).env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn cargo_program<S: AsRef<OsStr>>(program: OsString, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if is_set_by_cargo(&name) {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(workspace_root()).stdin(Stdio::null());
    command
}

fn is_set_by_cargo(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    SET_BY_CARGO.iter().any(|beginning| name.starts_with(beginning))
}

/// Builds the targets in `selection`, and returns the executables by the names of their targets. The progress
/// of cargo goes to stderr.
pub fn build_executables(profile: Profile, selection: &[&str]) -> Result<HashMap<String, PathBuf>> {
    let mut command = cargo(["build", "--message-format=json-render-diagnostics"]);
    command.args(selection);
    if profile == Profile::Release {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().context("run cargo build")?;
    anyhow::ensure!(output.status.success(), "cargo build failed with {}", output.status);
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// The programs in the messages of cargo, by the names of their targets. Test programs are left out, because
/// they can have the same names.
fn executables(messages: &str) -> HashMap<String, PathBuf> {
    let parse = |line: &str| -> Option<(String, PathBuf)> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message.pointer("/profile/test") == Some(&Value::Bool(true)) {
            return None;
        }
        let name = message.get("target")?.get("name")?.as_str()?;
        Some((name.to_owned(), message.get("executable")?.as_str()?.into()))
    };
    messages.lines().filter_map(parse).collect()
}

/// Runs cargo with these arguments, and returns the names of the artifacts that it compiled. Empty if
/// everything was already compiled.
///
/// # Errors
/// If the compilation fails.
pub fn compiled_by<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Vec<String>> {
    let mut command = cargo(arguments);
    let output = command
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo")?;
    anyhow::ensure!(output.status.success(), "cargo failed with {}", output.status);
    Ok(not_fresh(&String::from_utf8_lossy(&output.stdout)))
}

/// The names of the artifacts in the messages of cargo that were not compiled before.
fn not_fresh(messages: &str) -> Vec<String> {
    let parse = |line: &str| -> Option<String> {
        let message: Value = serde_json::from_str(line).ok()?;
        (message.get("fresh")? == false)
            .then(|| message.pointer("/target/name")?.as_str().map(str::to_owned))?
    };
    messages.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn executables_are_found_among_libraries() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"flowmeter_core"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"flowmeter"},"executable":"/t/debug/flowmeter"}"#,
            "\n",
            r#"{"target":{"name":"flowmeter"},"profile":{"test":true},"executable":"/t/debug/deps/flowmeter-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found["flowmeter"], Path::new("/t/debug/flowmeter"));
    }

    #[test]
    fn what_was_compiled_is_known() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"old"},"fresh":true}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"new"},"fresh":false}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(not_fresh(messages), ["new"]);
    }

    #[test]
    fn cargo_inherits_its_settings_but_not_what_cargo_told_this_program() {
        // Cargo set these for this test.
        let command = cargo(["--version"]);
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            assert!(removed.contains(&OsStr::new(name)), "{name}");
        }
        for name in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_BUILD_DIR",
            "CARGO_TERM_COLOR",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_INTERNAL_INDEX",
            "CARGO_PROFILE_DEV_DEBUG",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "RUSTUP_HOME",
        ] {
            assert!(!is_set_by_cargo(OsStr::new(name)), "{name}");
        }
    }
}
