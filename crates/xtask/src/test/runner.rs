//! Runs the tests with nextest if it is installed, and otherwise with cargo.
//!
//! nextest runs the tests of all programs in parallel, whereas cargo runs one program after the other.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use flowmeter_stack::{Progress, Servers, Signal, cargo, signal_group};

use super::counts::Counts;

/// Runs all tests, or those whose names contain `filter`, and counts them by their output.
pub(super) fn run(
    filter: Option<&str>,
    servers: &Servers,
    programs: &Path,
    progress: &Progress,
) -> Result<Counts> {
    let color = if std::io::stdout().is_terminal() { "always" } else { "never" };
    let mut commands = Vec::new();
    if has_nextest() {
        let mut nextest = cargo(["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"]);
        nextest.args(["--color", color]).args(filter);
        // nextest does not run the examples in the documentation.
        let mut doctests = cargo(["test", "--workspace", "--doc", "--no-fail-fast"]);
        doctests.args(filter).args(["--", "--color", color]);
        commands.extend([nextest, doctests]);
    } else {
        progress.note("cargo-nextest is not installed; running the tests with cargo, which takes longer");
        let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
        tests.args(filter).args(["--", "--color", color]);
        commands.push(tests);
    }
    let mut counts = Counts::default();
    for mut command in commands {
        if progress.is_interrupted() {
            break;
        }
        command
            .env("CARGO_TERM_COLOR", color)
            .env("FLOWMETER_TEST_DATABASE_URL", servers.postgres.url())
            .env("FLOWMETER_TEST_AMQP_URL", servers.rabbit.url())
            .env("FLOWMETER_TEST_BIN_DIR", programs);
        counts = counts.plus(run_counted(&mut command, progress)?);
    }
    Ok(counts)
}

fn has_nextest() -> bool {
    cargo(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Runs a test runner, shows its output, and counts its tests.
fn run_counted(command: &mut Command, progress: &Progress) -> Result<Counts> {
    // nextest reports on stderr, cargo's test programs on stdout: both in their order.
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    let errors = writer.try_clone().context("open the pipe twice")?;
    // A group of its own, so that an interrupt can be passed on to all test programs.
    let child = command.stdout(writer).stderr(errors).process_group(0).spawn();
    let mut child = child.context("run the tests")?;
    // The command holds the writing end of the pipe, which has to close for the reading end to end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let group = child.id();
    let ended = AtomicBool::new(false);
    let counts = thread::scope(|scope| {
        scope.spawn(|| pass_on_interrupt(group, &ended, progress));
        let counts = copy_and_count(reader);
        ended.store(true, Ordering::Relaxed);
        counts
    });
    let all_passed = child.wait().context("wait for the tests")?.success();
    Ok(counts?.concluded(all_passed))
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

/// Shows the output of the tests, and counts the tests.
fn copy_and_count(output: impl Read) -> Result<Counts> {
    let mut counts = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("read what the tests print")?;
        counts.add(&String::from_utf8_lossy(&line));
        let mut out = std::io::stdout().lock();
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("write to stdout")?;
    }
    Ok(counts)
}
