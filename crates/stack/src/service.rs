//! A Flowmeter service as a process, which can be started, stopped, killed, frozen and measured.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::directory::read_tail;
use crate::process::{Ended, Launch, Process, describe};
use crate::usage::{self, Usage};

/// Far more time than a start takes, even on a busy machine.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// A service to run. It logs JSON lines, from which its readiness is read.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The name of the service in messages, and of its log and pid files.
    pub name: String,
    /// The program.
    pub binary: PathBuf,
    /// Arguments in addition to `--listen` and `--log-format`.
    pub args: Vec<String>,
    /// The settings, as environment variables. They are added to the environment of this process, without its
    /// `FLOWMETER_…` variables.
    pub env: Vec<(String, String)>,
    /// The address to listen on. Port 0 picks a free port.
    pub listen: String,
    /// The directory of the log and pid files.
    pub dir: PathBuf,
}

impl ServiceSpec {
    /// A service that listens on any free loopback port, without further arguments and settings.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            args: Vec::new(),
            env: Vec::new(),
            listen: "127.0.0.1:0".to_owned(),
            dir: dir.into(),
        }
    }

    /// Adds a setting.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

/// A service that runs or has ended. Dropping it kills the service.
#[derive(Debug)]
pub struct Service {
    spec: ServiceSpec,
    address: String,
    process: Process,
}

impl Service {
    /// Starts the service, and waits until it listens.
    pub fn spawn(spec: ServiceSpec) -> Result<Self> {
        fs::create_dir_all(&spec.dir).with_context(|| format!("create {}", spec.dir.display()))?;
        let log = log_of(&spec);
        // An earlier run wrote its own "listening" line there.
        let from = fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut launch = Launch::new(&spec.binary)
            .args(["--listen", &spec.listen, "--log-format", "json"])
            .args(&spec.args)
            .without_env_prefix("FLOWMETER_");
        for (name, value) in &spec.env {
            launch = launch.env(name, value);
        }
        let pid_file = spec.dir.join(format!("{}.pid", spec.name));
        let process = launch.spawn(&log, pid_file, spec.binary.display())?;
        let mut service = Self { spec, address: String::new(), process };
        service.address = service.wait_until_listening(from)?;
        Ok(service)
    }

    fn wait_until_listening(&mut self, from: u64) -> Result<String> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Some(address) = find_address(&read_from(&self.log(), from)?) {
                return Ok(address);
            }
            if let Some(failure) = self.failure()? {
                bail!(failure);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not listen after {} s; the end of its log:\n{}",
                    self.spec.name,
                    START_PATIENCE.as_secs(),
                    read_tail(&self.log(), 15)
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The address on which the service listens, such as `127.0.0.1:41234`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL for clients, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_of(&self.spec)
    }

    /// The resources that the service has used so far. None if it has ended, and on systems other than Linux.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.pid())
    }

    /// Why the service has ended, with the last lines of its log. None if it runs.
    pub fn failure(&mut self) -> Result<Option<String>> {
        let Some(status) = self.process.ended()? else { return Ok(None) };
        let log = self.log();
        Ok(Some(format!(
            "{} ended with {}; the end of {}:\n{}",
            self.spec.name,
            describe(status),
            log.display(),
            read_tail(&log, 15)
        )))
    }

    /// Sends SIGTERM, and kills the service if it has not ended after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<Ended> {
        self.process.end(Signal::TERM, patience)
    }

    /// Kills the service with SIGKILL, and waits until it has ended.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Freezes the service, as a long pause of the machine would.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Resumes the service after [`Service::freeze`].
    pub fn thaw(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Starts the service again on the same address. If it still runs, it is killed first.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.kill()?;
        let spec = ServiceSpec { listen: self.address.clone(), ..self.spec.clone() };
        *self = Self::spawn(spec)?;
        Ok(())
    }
}

fn log_of(spec: &ServiceSpec) -> PathBuf {
    spec.dir.join(format!("{}.log", spec.name))
}

fn read_from(log: &Path, from: u64) -> Result<String> {
    let mut file = fs::File::open(log).with_context(|| format!("open {}", log.display()))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_to_end(&mut bytes))
        .with_context(|| format!("read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address in the log line that says that the service listens.
fn find_address(log: &str) -> Option<String> {
    log.lines().filter(|line| line.contains("listening")).find_map(|line| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let fields = entry.get("fields")?;
        (fields.get("message")? == "listening").then(|| fields.get("address")?.as_str().map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_says_listening() {
        let log = concat!(
            r#"{"level":"INFO","fields":{"message":"not listening yet","address":"127.0.0.1:1"}}"#,
            "\nno JSON, but listening\n",
            r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:41234"},"target":"x"}"#,
            "\n",
        );
        assert_eq!(find_address(log).as_deref(), Some("127.0.0.1:41234"));
        assert_eq!(find_address(r#"{"fields":{"message":"listening","addre"#), None);
    }
}
