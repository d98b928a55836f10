//! Child processes that cannot outlive this process, and that can be signalled and waited for.
//!
//! On Linux, the kernel ends the children with this process by the parent-death signal. `setpriv` sets it,
//! because safe Rust cannot run code between fork and exec. The signal is sent when the *thread* that spawned
//! the child ends, so all children are spawned by one thread that lives as long as the process. On other
//! systems, only the destructors end the children.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The user that a child runs as, if it is not the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether the child can pass directories that this user cannot enter, such as a checkout below
    /// `/root`.
    pub(crate) passes_closed_directories: bool,
}

/// A program, and how to run it.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    without_env: Vec<OsString>,
    directory: Option<PathBuf>,
    identity: Option<Identity>,
    death_signal: &'static str,
}

impl Launch {
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            without_env: Vec::new(),
            directory: None,
            identity: None,
            death_signal: "KILL",
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Removes the variables with this prefix from the environment of the program.
    pub(crate) fn without_env_prefix(mut self, prefix: &str) -> Self {
        let names = std::env::vars_os().map(|(name, _)| name);
        self.without_env.extend(names.filter(|name| name.to_string_lossy().starts_with(prefix)));
        self
    }

    pub(crate) fn directory(mut self, path: &Path) -> Self {
        self.directory = Some(path.to_owned());
        self
    }

    pub(crate) fn identity(mut self, identity: Option<Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// Sets the signal that the kernel sends to the program when this process ends. Default: KILL.
    pub(crate) fn death_signal(mut self, name: &'static str) -> Self {
        self.death_signal = name;
        self
    }

    /// The command, in a separate process group, so that Ctrl-C in the terminal does not reach the program.
    pub(crate) fn command(&self) -> Command {
        let mut command = if has_setpriv() {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", self.death_signal]);
            if let Some(identity) = self.identity {
                command.args(["--reuid", &identity.uid.to_string()]);
                command.args(["--regid", &identity.gid.to_string(), "--clear-groups"]);
                if identity.passes_closed_directories {
                    command.args(["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]);
                }
            }
            command.arg("--").arg(&self.program);
            command
        } else {
            let mut command = Command::new(&self.program);
            if let Some(identity) = self.identity {
                command.gid(identity.gid).uid(identity.uid);
            }
            command
        };
        for name in &self.without_env {
            command.env_remove(name);
        }
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    /// Starts the program as a server whose output is appended to `log`.
    ///
    /// `mark` is a part of the command line that no other process has. A later run that finds the pid file
    /// uses it to check that the id does not belong to another process now.
    pub(crate) fn spawn(&self, log: &Path, pid_file: PathBuf, mark: impl Display) -> Result<Process> {
        let output = append_to(log)?;
        let errors = output.try_clone().with_context(|| format!("open {} twice", log.display()))?;
        let mut command = self.command();
        command.stdout(output).stderr(errors);
        let child = spawn_from_lasting_thread(command)
            .with_context(|| format!("start {}", self.program.display()))?;
        let process = Process { child, pid_file, status: None };
        fs::write(&process.pid_file, format!("{}\n{}\n", process.pid(), mark))
            .with_context(|| format!("write {}", process.pid_file.display()))?;
        Ok(process)
    }

    /// Runs the program to its end. An error contains its output.
    pub(crate) fn run(&self, input: Option<File>) -> Result<()> {
        let mut command = self.command();
        if let Some(input) = input {
            command.stdin(input);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = self.program.display();
        let child = spawn_from_lasting_thread(command).with_context(|| format!("start {name}"))?;
        let output = child.wait_with_output().with_context(|| format!("wait for {name}"))?;
        anyhow::ensure!(
            output.status.success(),
            "{name} ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn append_to(log: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("open the log {}", log.display()))
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ended before it was asked to.
    Before(ExitStatus),
    /// It ended in time when it was asked to.
    Gracefully(ExitStatus),
    /// It did not end in time and was killed.
    Killed,
}

impl Ended {
    /// Whether the process ended in time with the exit code 0.
    #[must_use]
    pub fn is_clean(self) -> bool {
        matches!(self, Self::Gracefully(status) if status.success())
    }
}

/// A running child process. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid_file: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("ask for a child's status")?;
            if self.status.is_some() {
                self.forget();
            }
        }
        Ok(self.status)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // After the child was waited for, its number may belong to another process.
        if self.status.is_none() {
            signal_process(self.pid(), signal)?;
        }
        Ok(())
    }

    /// Asks the process to end, waits for at most `patience`, and then kills it.
    pub(crate) fn end(&mut self, ask: Signal, patience: Duration) -> Result<Ended> {
        if let Some(status) = self.ended()? {
            return Ok(Ended::Before(status));
        }
        self.signal(ask)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(Ended::Gracefully(status));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.kill()?;
        Ok(Ended::Killed)
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill().context("kill a child")?;
            self.status = Some(self.child.wait().context("wait for a killed child")?);
            self.forget();
        }
        Ok(())
    }

    fn forget(&self) {
        // A file that stays says no more than that a dead process may still live.
        let _ = fs::remove_file(&self.pid_file);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about an error here: the parent-death signal is the second net.
        let _ = self.kill();
    }
}

/// Describes how a process ended.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// Sends a signal to a process. If the process has already ended, this is not an error.
pub fn signal_process(pid: u32, signal: Signal) -> Result<()> {
    sent(kill_process(to_pid(pid)?, signal)).with_context(|| format!("signal process {pid}"))
}

/// Sends a signal to all processes of a group. If the group no longer exists, this is not an error.
pub fn signal_group(group: u32, signal: Signal) -> Result<()> {
    sent(kill_process_group(to_pid(group)?, signal)).with_context(|| format!("signal process group {group}"))
}

fn to_pid(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(|| format!("{pid} is not a process id"))
}

fn sent(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if result == Err(Errno::SRCH) { Ok(()) } else { result }
}

/// Whether there is a `setpriv` that knows the parent-death signal (`BusyBox` has one that does not).
fn has_setpriv() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

type Order = (Command, Sender<io::Result<Child>>);

fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver): (Sender<Order>, Receiver<Order>) = channel();
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                // Who asked waits for the answer, so it is there to take it.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, result) = channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    orders.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
