//! `cargo xtask up`: the stack in the foreground, with a sample in it, until Ctrl-C.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use flowmeter_stack::{Progress, ServicePorts, Stack, StackDir, StackOptions, workspace_root};
use jiff::{Timestamp, ToSpan};

use crate::{detach, guide, interrupt, sample};

/// Ports that are easy to remember. If they are in use, other ports are used.
const PORTS: ServicePorts = ServicePorts { ingest: 7071, query: 7072, worker: 7073 };

#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Run in the background; `cargo xtask down` stops it.
    #[arg(long)]
    detach: bool,
    /// Remove the data of earlier runs first.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Ports of ingest, query and worker; 0 takes any free port. Default: 7071,7072,7073, or free ports where these are
    /// in use.
    #[arg(long, value_name = "INGEST,QUERY,WORKER")]
    pub(crate) ports: Option<Ports>,
    /// Run as the background process of `--detach`.
    #[arg(long, hide = true)]
    background: bool,
}

/// Three ports as one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports(ServicePorts);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: Result<Vec<u16>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match parsed.as_deref() {
            Ok(&[ingest, query, worker]) => Ok(Self(ServicePorts { ingest, query, worker })),
            _ => Err("expected three ports, such as 7071,7072,7073".to_owned()),
        }
    }
}

impl std::fmt::Display for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.0.ingest, self.0.query, self.0.worker)
    }
}

/// Where the stack of `up` keeps its data.
pub(crate) fn directory() -> PathBuf {
    workspace_root().join("target/stack")
}

impl Up {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if let Some(pid) = StackDir::owner(&directory())? {
            bail!("a stack already runs (process {pid}); `cargo xtask down` stops it");
        }
        if self.detach {
            return detach::up(self);
        }
        let interrupted = interrupt::flag()?;
        let progress = Progress::visible(Arc::clone(&interrupted));
        let started = self.start(&progress);
        if interrupted.load(Ordering::Relaxed) {
            println!("Interrupted; everything has been stopped.");
            return Ok(ExitCode::FAILURE);
        }
        let (mut stack, since) = started?;
        println!("{}", guide::commands(&stack.installation, &since));
        if self.background {
            detach::say_ready()?;
            println!("Running in the background; `cargo xtask down` stops it.");
        } else {
            println!("Running; Ctrl-C stops everything.");
        }
        let failure = watch(&mut stack, &interrupted)?;
        println!("\nStopping:");
        stack.stop(&progress)?;
        match failure {
            Some(failure) => bail!("{failure}"),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Starts the stack. Returns the date of the first events of the sample in it.
    fn start(&self, progress: &Progress) -> Result<(Stack, String)> {
        println!("Starting Flowmeter in {}:", directory().display());
        let ports = match self.ports {
            Some(Ports(ports)) => ports,
            None => PORTS.or_any_free(),
        };
        if self.ports.is_none() && ports != PORTS {
            progress
                .note(format_args!("some of the ports {} are in use; using others instead", Ports(PORTS)));
        }
        let options = StackOptions { fresh: self.fresh, ports, ..StackOptions::default() };
        let stack = Stack::start(&directory(), &options, progress)?;
        let since = sample_since(&stack, progress)?;
        progress.step("first answer", || show_series(&stack, &since))?;
        Ok((stack, since))
    }
}

/// Records the sample, once for each data directory. Returns the date of its first events.
fn sample_since(stack: &Stack, progress: &Progress) -> Result<String> {
    let marker = stack.servers.dir().path().join("sample-since");
    if let Ok(since) = fs::read_to_string(&marker) {
        return Ok(since);
    }
    progress.step("sample replayed", || sample::replay(&stack.installation))?;
    // The sample is a day long and ends now.
    let since = Timestamp::now() - 24.hours();
    let since = since.strftime("%Y-%m-%d").to_string();
    fs::write(&marker, &since).with_context(|| format!("write {}", marker.display()))?;
    Ok(since)
}

/// Draws the sample as a time series, to show that all parts work together.
fn show_series(stack: &Stack, since: &str) -> Result<()> {
    let range = format!("from({since})");
    let status = stack
        .installation
        .cli()
        .args(["series", guide::METRIC, "--calendar", guide::CALENDAR, "--range", &range])
        .stdin(Stdio::null())
        .status()
        .context("run `flowmeter series`")?;
    anyhow::ensure!(status.success(), "`flowmeter series` ended with {status}");
    Ok(())
}

/// Waits for an interrupt, or for a failure of a part of the stack. None for an interrupt.
fn watch(stack: &mut Stack, interrupted: &AtomicBool) -> Result<Option<String>> {
    while !interrupted.load(Ordering::Relaxed) {
        if let Some(failure) = stack.failure()? {
            return Ok(Some(failure));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_three_numbers() {
        let ports: Ports = "1,2, 3".parse().unwrap();
        assert_eq!(ports.0, ServicePorts { ingest: 1, query: 2, worker: 3 });
        assert_eq!(ports.to_string(), "1,2,3");
        for wrong in ["", "1,2", "1,2,3,4", "1,2,70000", "a,b,c"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }
}
