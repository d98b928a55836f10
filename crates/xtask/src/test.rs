//! `cargo xtask test`: every check of this repository, from nothing, with servers of its own.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use flowmeter_stack::{
    Binaries, Profile, Progress, Servers, Signal, StackDir, cargo, signal_group, workspace_root,
};

use crate::interrupt;

#[derive(Clone, Debug, Args)]
pub(crate) struct Test {
    /// Run only the tests whose names contain this.
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let interrupted = interrupt::flag()?;
        let progress = Progress::visible(Arc::clone(&interrupted));
        let mut failures = if self.filter.is_none() { failing_checks(&progress) } else { Vec::new() };
        let counts = match self.run_tests(&progress) {
            Ok(counts) => {
                if counts.crashed {
                    failures.push("tests: a test program does not compile, or crashed; see above".to_owned());
                }
                counts
            }
            Err(error) => {
                failures.push(format!("tests: {error:#}"));
                Counts::default()
            }
        };
        if let Some(filter) = &self.filter
            && counts.passed + counts.failed == 0
        {
            failures.push(format!("no test has `{filter}` in its name"));
        }
        println!();
        for failure in &failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", counts.passed, counts.failed);
        let good = failures.is_empty() && counts.failed == 0 && !progress.is_interrupted();
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn run_tests(&self, progress: &Progress) -> Result<Counts> {
        progress.note("building the workspace");
        let binaries = progress.step("programs built", || Binaries::build_with_workspace(Profile::Dev))?;
        remove_earlier_directories()?;
        let directory = unique_directory();
        let mut servers = Servers::start(&directory, true, progress)?;
        let counts = self.cargo_test(&servers, binaries.dir(), progress);
        servers.stop()?;
        progress.note("servers stopped");
        drop(servers);
        let counts = counts?;
        if counts.failed == 0 {
            fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
        } else {
            println!("The servers' logs and data are in {} until the next run", directory.display());
        }
        Ok(counts)
    }

    /// Runs all tests, and counts them in what cargo prints meanwhile.
    fn cargo_test(&self, servers: &Servers, programs: &Path, progress: &Progress) -> Result<Counts> {
        let color = if std::io::stdout().is_terminal() { "always" } else { "never" };
        let mut command = cargo(["test", "--workspace", "--no-fail-fast"]);
        command.args(self.filter.iter()).args(["--", "--color", color]);
        command
            .env("CARGO_TERM_COLOR", color)
            .env("FLOWMETER_TEST_DATABASE_URL", servers.postgres.url())
            .env("FLOWMETER_TEST_AMQP_URL", servers.rabbit.url())
            .env("FLOWMETER_TEST_BIN_DIR", programs)
            .stdout(Stdio::piped())
            // A group of its own, so that an interrupt can be passed on to all test programs.
            .process_group(0);
        let mut child = command.spawn().context("run cargo test")?;
        let (group, output) = (child.id(), child.stdout.take().context("cargo test has no output")?);
        let ended = AtomicBool::new(false);
        let counts = thread::scope(|scope| {
            scope.spawn(|| pass_on_interrupt(group, &ended, progress));
            let counts = copy_and_count(output);
            ended.store(true, Ordering::Relaxed);
            counts
        });
        let all_passed = child.wait().context("wait for cargo test")?.success();
        Ok(counts?.concluded(all_passed))
    }
}

fn pass_on_interrupt(group: u32, ended: &AtomicBool, progress: &Progress) {
    while !ended.load(Ordering::Relaxed) {
        if progress.is_interrupted() {
            // It may have ended this very moment.
            let _ = signal_group(group, Signal::TERM);
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Shows what the tests print while it counts.
fn copy_and_count(output: impl Read) -> Result<Counts> {
    let mut counts = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("read what cargo test prints")?;
        counts.add(&String::from_utf8_lossy(&line));
        let mut out = std::io::stdout().lock();
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("write to stdout")?;
    }
    Ok(counts)
}

/// The checks beside the tests; says which failed.
fn failing_checks(progress: &Progress) -> Vec<String> {
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
    failures
}

/// What the directories of all test runs are called.
const DIRECTORY_PREFIX: &str = "stack-test-";

/// Of this run alone, so that runs beside each other, and a stack that is up, do not meet.
fn unique_directory() -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    workspace_root().join(format!("target/{DIRECTORY_PREFIX}{seconds}-{}", std::process::id()))
}

/// Those of earlier runs that failed, which were kept to be looked at; not of runs that still go on.
fn remove_earlier_directories() -> Result<()> {
    for entry in fs::read_dir(workspace_root().join("target")).context("list target")?.flatten() {
        let path = entry.path();
        let is_earlier = entry.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX);
        if is_earlier && StackDir::owner(&path)?.is_none() {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// What the test runners reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Whether a test program does not compile or crashed: it reports no counts, and counts as one failure.
    crashed: bool,
}

impl Counts {
    /// The counts after cargo ended, content or not.
    fn concluded(self, all_passed: bool) -> Self {
        let crashed = !all_passed && self.failed == 0;
        Self { failed: self.failed + u64::from(crashed), crashed, ..self }
    }

    /// Adds up a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`, coloured or not.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let number_before = |word: &str| -> u64 {
            let before = result.split_once(word).map_or("", |(before, _)| before);
            before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        self.passed += number_before(" passed");
        self.failed += number_before(" failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_test_programs() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        counts.add("test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 3 passed; 2 failed; 0 ignored");
        counts.add("test some::test_with 9 passed; in it ... ok");
        assert_eq!(counts.concluded(false), Counts { passed: 17, failed: 2, crashed: false });
    }

    #[test]
    fn a_test_program_that_reports_nothing_counts_as_a_failure() {
        let counts = Counts { passed: 3, ..Counts::default() };
        assert_eq!(counts.concluded(true), counts);
        assert_eq!(counts.concluded(false), Counts { passed: 3, failed: 1, crashed: true });
    }
}
