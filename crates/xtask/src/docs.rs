//! `cargo xtask docs`: runs the console blocks of the documents, and compares the output that they show with
//! the real output.
//!
//! Each document has a separate installation with the sample in it, and a bash session. CONTRIBUTING.md
//! explains how to write a console block.

mod bless;
mod blocks;
mod document;
mod grpcurl;
mod session;
mod shape;
mod translation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use flowmeter_stack::{Binaries, Progress, Servers, workspace_root};

use self::document::Document;
use crate::{interrupt, run_directory};

#[derive(Clone, Debug, Args)]
pub(crate) struct Docs {
    /// Run only the documents whose paths contain this text.
    filter: Option<String>,
    /// Replace the output in the documents that differs from the real output.
    #[arg(long)]
    bless: bool,
}

impl Docs {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let progress = Progress::visible(interrupt::flag()?);
        let documents = documents(self.filter.as_deref())?;
        if documents.is_empty() {
            anyhow::bail!(
                "no document with console blocks has `{}` in its path",
                self.filter.as_deref().unwrap_or("")
            );
        }
        progress.note("building the workspace");
        let binaries = progress.step("programs built", Binaries::for_tests)?;
        run_directory::remove_earlier()?;
        let directory = run_directory::unique();
        let mut servers = Servers::start(&directory, true, &progress)?;
        let counts = run(&documents, &binaries, &servers, self.bless, &progress);
        servers.stop()?;
        let counts = counts?;
        if counts.failed == 0 {
            run_directory::remove(&directory)?;
        } else {
            println!("\nThe logs of the services are in {} until the next run", directory.display());
        }
        println!("\n{} passed, {} failed", counts.passed, counts.failed);
        Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The number of commands whose output agrees with their documents, and of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// The documents with console blocks: all of them, or those whose paths contain `filter`.
pub(crate) fn documents(filter: Option<&str>) -> Result<Vec<Document>> {
    let root = workspace_root();
    let mut paths = vec![root.join("README.md")];
    markdown_below(&root.join("docs"), &mut paths)?;
    let crates = fs::read_dir(root.join("crates")).context("list crates")?.flatten();
    paths.extend(crates.map(|entry| entry.path().join("README.md")).filter(|path| path.is_file()));
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let document = Document::read(name, path)?;
        if !document.steps.is_empty() {
            documents.push(document);
        }
    }
    Ok(documents)
}

fn markdown_below(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            markdown_below(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Runs documents one after the other on running servers. `bless` replaces the output that does not agree.
pub(crate) fn run(
    documents: &[Document],
    binaries: &Binaries,
    servers: &Servers,
    bless: bool,
    progress: &Progress,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let need_grpcurl = documents.iter().any(Document::needs_grpcurl);
    let tools = if need_grpcurl { grpcurl::ensure(progress)? } else { None };
    for (number, document) in documents.iter().enumerate() {
        if progress.is_interrupted() {
            break;
        }
        let place = document::Place { number, binaries, servers, tools: tools.as_deref() };
        let verdict = progress.step_with(
            |verdict: &document::Verdict| format!("{}: {}", document.name, verdict.summary()),
            &document.name,
            || document.run(&place, bless),
        );
        match verdict {
            Ok(verdict) => {
                for failure in &verdict.failures {
                    println!("{failure}");
                }
                counts.passed += verdict.passed;
                counts.failed += verdict.failures.len() as u64;
            }
            Err(error) => {
                println!("{}: {error:#}", document.name);
                counts.failed += 1;
            }
        }
    }
    Ok(counts)
}
