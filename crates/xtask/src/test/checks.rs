//! The checks in addition to the tests: format, lints, documentation and dependencies.

use anyhow::Context;
use flowmeter_stack::{Progress, cargo};

use super::dependencies;

/// Runs all checks. Returns those that failed.
pub(super) fn failing(progress: &Progress) -> Vec<String> {
    let mut doc = cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let checks = [
        ("cargo fmt --check", cargo(["fmt", "--all", "--check"])),
        (
            "cargo clippy -D warnings",
            cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        ),
        ("cargo doc -D warnings", doc),
    ];
    let mut failures = Vec::new();
    for (name, mut command) in checks {
        progress.note(name);
        let run = || {
            let status = command.status().with_context(|| format!("run {name}"))?;
            anyhow::ensure!(status.success(), "{status}");
            Ok(())
        };
        if let Err(error) = progress.step(name, run) {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    let name = "licences and sources of dependencies";
    if let Err(error) = progress.step(name, dependencies::check) {
        failures.push(format!("{name}: {error:#}"));
    }
    failures
}
