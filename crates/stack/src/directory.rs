//! The directory of a stack. It has one owner at a time, and no process of an earlier owner is left running.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::process::signal_process;

const LOCK: &str = "lock";

/// A claimed directory. The claim is a file lock, so it ends when this is dropped or when the process ends in
/// any way.
#[derive(Debug)]
pub struct StackDir {
    path: PathBuf,
    _lock: File,
}

impl StackDir {
    /// Claims `path`, and creates it if it is missing. `fresh` removes everything that an earlier stack left
    /// there.
    pub fn claim(path: &Path, fresh: bool) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
        let path = fs::canonicalize(path).with_context(|| format!("resolve {}", path.display()))?;
        let mut lock = open_lock(&path)?;
        if !try_lock(&lock)? {
            let owner = read_owner(&mut lock).map_or("unknown".to_owned(), |pid| pid.to_string());
            bail!(
                "a stack already runs in {} (process {owner}); stop it with `cargo xtask down`, \
                 or with Ctrl-C where it was started",
                path.display()
            );
        }
        lock.set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()))
            .with_context(|| format!("write the lock in {}", path.display()))?;
        end_leftovers(&path)?;
        if fresh {
            wipe(&path)?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The process that has claimed `path`, if there is one.
    pub fn owner(path: &Path) -> Result<Option<u32>> {
        if !path.join(LOCK).exists() {
            return Ok(None);
        }
        let mut lock = open_lock(path)?;
        if try_lock(&lock)? {
            return Ok(None);
        }
        read_owner(&mut lock).map(Some).context("the lock is held, but its owner is not known yet; try again")
    }

    /// Stops the stack that runs in `path`, and waits until it has ended. Returns whether there was one.
    pub fn stop_owner(path: &Path, patience: Duration) -> Result<bool> {
        let Some(pid) = Self::owner(path)? else {
            // The claim ended with its process, but servers may still run on systems without a parent-death
            // signal.
            return end_leftovers(path);
        };
        signal_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while Self::owner(path)? == Some(pid) {
            if Instant::now() > deadline {
                signal_process(pid, Signal::KILL)?;
                thread::sleep(Duration::from_millis(500));
                end_leftovers(path)?;
                bail!("process {pid} did not stop within {} s and was killed", patience.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        end_leftovers(path)?;
        Ok(true)
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A subdirectory, which is created if it is missing.
    pub fn below(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(path)
    }
}

fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .with_context(|| format!("open the lock in {}", path.display()))
}

fn try_lock(lock: &File) -> Result<bool> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).context("lock a stack's directory"),
    }
}

fn read_owner(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn wipe(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).with_context(|| format!("list {}", path.display()))? {
        let entry = entry.with_context(|| format!("list {}", path.display()))?;
        let child = entry.path();
        if entry.file_name() == LOCK {
            continue;
        }
        let removed = if child.is_dir() { fs::remove_dir_all(&child) } else { fs::remove_file(&child) };
        removed.with_context(|| format!("remove {}", child.display()))?;
    }
    Ok(())
}

/// Kills the processes in the pid files of subdirectories, if they still run and are still the same programs.
fn end_leftovers(path: &Path) -> Result<bool> {
    let mut found = false;
    for parent in fs::read_dir(path).into_iter().flatten().flatten() {
        for entry in fs::read_dir(parent.path()).into_iter().flatten().flatten() {
            let file = entry.path();
            if file.extension().is_none_or(|extension| extension != "pid") {
                continue;
            }
            let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let mut lines = text.lines();
            let pid = lines.next().and_then(|line| line.parse().ok());
            if let (Some(pid), Some(mark)) = (pid, lines.next())
                && runs(pid, mark)
            {
                signal_process(pid, Signal::KILL)?;
                found = true;
            }
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        }
    }
    Ok(found)
}

/// Whether `pid` is a process whose command line contains `mark`.
fn runs(pid: u32, mark: &str) -> bool {
    // Not every Linux has `ps`, and only Linux has this file.
    let line = fs::read(format!("/proc/{pid}/cmdline")).or_else(|_| {
        Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().map(|o| o.stdout)
    });
    line.is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
}

/// The last `count` lines of a log, for an error message.
#[must_use]
pub fn read_tail(log: &Path, count: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("flowmeter-stack-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let path = scratch("claim");
        let claim = StackDir::claim(&path, false).unwrap();
        assert_eq!(StackDir::owner(&path).unwrap(), Some(std::process::id()));
        let refused = StackDir::claim(&path, true).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(claim);
        assert_eq!(StackDir::owner(&path).unwrap(), None);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn fresh_removes_what_was_there() {
        let path = scratch("fresh");
        fs::create_dir_all(path.join("postgres/data")).unwrap();
        drop(StackDir::claim(&path, false).unwrap());
        assert!(path.join("postgres/data").exists());
        drop(StackDir::claim(&path, true).unwrap());
        assert!(!path.join("postgres").exists());
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let path = scratch("tail");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read_tail(&path, 2), "two\nthree");
        assert_eq!(read_tail(&path, 9), "one\ntwo\nthree");
        fs::remove_file(&path).unwrap();
    }
}
