//! `cargo xtask test`: runs every check of this repository with private servers.

mod checks;
mod counts;
mod dependencies;
mod runner;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use flowmeter_stack::{Binaries, Progress, Servers, compiled_by};

use self::counts::Counts;
use crate::{docs, interrupt, run_directory};

#[derive(Clone, Debug, Args)]
pub(crate) struct Test {
    /// Run only the tests whose names, and the documents whose paths, contain this text.
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let interrupted = interrupt::flag()?;
        let progress = Progress::visible(Arc::clone(&interrupted));
        let mut failures = if self.filter.is_none() { checks::failing(&progress) } else { Vec::new() };
        let counts = match self.run_tests(&progress) {
            Ok(counts) => counts,
            Err(error) => {
                failures.push(format!("tests: {error:#}"));
                Counts::default()
            }
        };
        if counts.crashed {
            failures.push("tests: a test program did not compile, or crashed; see above".to_owned());
        }
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
        progress.note("building the programs and tests");
        let binaries = progress.step("programs and tests built", Binaries::build_with_tests)?;
        progress.step("nothing compiled twice", nothing_is_compiled_again)?;
        run_directory::remove_earlier()?;
        let directory = run_directory::unique();
        let mut servers = Servers::start(&directory, true, progress)?;
        let counts = self.run_on(&servers, &binaries, progress);
        servers.stop()?;
        progress.note("servers stopped");
        drop(servers);
        let counts = counts?;
        if counts.failed == 0 {
            run_directory::remove(&directory)?;
        } else {
            println!("The servers' logs and data are in {} until the next run", directory.display());
        }
        Ok(counts)
    }

    fn run_on(&self, servers: &Servers, binaries: &Binaries, progress: &Progress) -> Result<Counts> {
        let filter = self.filter.as_deref();
        let mut counts = runner::run(filter, servers, binaries.dir(), progress)?;
        let documents = docs::documents(filter)?;
        let documents = docs::run(&documents, binaries, servers, false, progress)?;
        counts.passed += documents.passed;
        counts.failed += documents.failed;
        Ok(counts)
    }
}

/// Checks that the tests need the same artifacts as those that were built.
fn nothing_is_compiled_again() -> Result<()> {
    let compiled = compiled_by(["test", "--workspace", "--no-run"])?;
    anyhow::ensure!(
        compiled.is_empty(),
        "`cargo test` compiled artifacts a second time: {}",
        compiled.join(", ")
    );
    Ok(())
}
