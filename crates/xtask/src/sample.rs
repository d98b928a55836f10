//! The sample that a new installation starts with: a day of events that ends now.

use std::process::Stdio;

use anyhow::{Context, Result};
use flowmeter_stack::Installation;

/// Records the sample, and waits until it is applied.
pub(crate) fn replay(installation: &Installation) -> Result<()> {
    let mut sample = installation
        .cli()
        .arg("sample")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("run `flowmeter sample`")?;
    let lines = sample.stdout.take().context("the sample has no output")?;
    let replay = installation
        .cli()
        .args(["replay", "-", "--format", "jsonl"])
        .stdin(lines)
        .output()
        .context("run `flowmeter replay`")?;
    let made = sample.wait().context("wait for `flowmeter sample`")?;
    let errors = String::from_utf8_lossy(&replay.stderr);
    anyhow::ensure!(replay.status.success(), "`flowmeter replay` failed:\n{}", errors.trim_end());
    anyhow::ensure!(made.success(), "`flowmeter sample` ended with {made}");
    Ok(())
}
