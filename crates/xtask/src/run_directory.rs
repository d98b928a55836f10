//! The directory of one test run, with its servers, their data and logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use flowmeter_stack::{StackDir, workspace_root};

/// The prefix of the directories of all runs.
const PREFIX: &str = "stack-test-";

/// The directory of this run only, so that concurrent runs and a running stack do not interfere.
pub(crate) fn unique() -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    workspace_root().join(format!("target/{PREFIX}{seconds}-{}", std::process::id()))
}

/// Removes the directories of earlier failed runs, which were kept for inspection. Directories of runs in
/// progress are not removed.
pub(crate) fn remove_earlier() -> Result<()> {
    for entry in fs::read_dir(workspace_root().join("target")).context("list target")?.flatten() {
        let path = entry.path();
        let is_earlier = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_earlier && StackDir::owner(&path)?.is_none() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the directory of a run.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))
}
