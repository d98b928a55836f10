//! Other databases for time series, which `cargo xtask bench peers` compares Flowmeter with: as they come from the
//! distribution, with their default settings except for places, ports and the age of data.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::directory::read_tail;
use crate::install::{ensure_influxdb, ensure_victoria_metrics};
use crate::ports::free_port;
use crate::process::{Ended, Launch, Process, describe};
use crate::progress::Progress;
use crate::usage::{self, Usage};

const START_PATIENCE: Duration = Duration::from_mins(1);
/// Time to write everything to disk.
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// A database that is not part of Flowmeter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// VictoriaMetrics as a single node.
    VictoriaMetrics,
    /// InfluxDB 1.
    InfluxDb,
}

impl PeerKind {
    /// The name that its makers give it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::InfluxDb => "InfluxDB",
        }
    }

    /// The name of its files.
    fn file_name(self) -> &'static str {
        match self {
            Self::VictoriaMetrics => "victoria-metrics",
            Self::InfluxDb => "influxdb",
        }
    }
}

/// A private server on a free loopback port. Dropping it kills the server.
#[derive(Debug)]
pub struct Peer {
    kind: PeerKind,
    port: u16,
    dir: PathBuf,
    process: Process,
}

impl Peer {
    /// Installs a server if it is missing. [`Peer::start`] does so too.
    pub fn install(kind: PeerKind, progress: &Progress) -> Result<()> {
        program(kind, progress).map(drop)
    }

    /// Starts a server with its data in `dir`, which must exist, and waits until it listens. Installs it if it is
    /// missing.
    pub fn start(kind: PeerKind, dir: &Path, progress: &Progress) -> Result<Self> {
        let port = free_port()?;
        let program = program(kind, progress)?;
        let launch = match kind {
            PeerKind::VictoriaMetrics => victoria_metrics(&program, dir, port),
            PeerKind::InfluxDb => influxdb(&program, dir, port)?,
        };
        let pid_file = dir.join(format!("{}.pid", kind.file_name()));
        // Its command line contains the directory.
        let process = launch.directory(dir).spawn(&log_of(kind, dir), pid_file, dir.display())?;
        let mut peer = Self { kind, port, dir: dir.to_owned(), process };
        progress
            .step(format_args!("{} at {}", kind.name(), peer.address()), || peer.wait_until_it_listens())?;
        Ok(peer)
    }

    /// The address, such as `127.0.0.1:20123`. The protocol is HTTP.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The directory of the log and the data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The directory of the data only.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        data_below(&self.dir)
    }

    /// The resources that the server has used so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage::of_tree(self.process.pid())
    }

    /// Stops the server in an orderly way: all data is written.
    pub fn stop(mut self) -> Result<Ended> {
        self.process.end(Signal::TERM, STOP_PATIENCE)
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let (name, log) = (self.kind.name(), log_of(self.kind, &self.dir));
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.process.ended()? {
                bail!("{name} ended with {}; the end of its log:\n{}", describe(status), read_tail(&log, 15));
            }
            if Instant::now() > deadline {
                let seconds = START_PATIENCE.as_secs();
                bail!(
                    "{name} does not listen after {seconds} s; the end of its log:\n{}",
                    read_tail(&log, 15)
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn program(kind: PeerKind, progress: &Progress) -> Result<PathBuf> {
    match kind {
        PeerKind::VictoriaMetrics => ensure_victoria_metrics(progress),
        PeerKind::InfluxDb => ensure_influxdb(progress),
    }
}

fn log_of(kind: PeerKind, dir: &Path) -> PathBuf {
    dir.join(format!("{}.log", kind.file_name()))
}

fn data_below(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn victoria_metrics(program: &Path, dir: &Path, port: u16) -> Launch {
    Launch::new(program).args([
        format!("-storageDataPath={}", data_below(dir).display()),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        // The default is a month, which can be shorter than the 30 days and a part of today.
        "-retentionPeriod=1y".to_owned(),
    ])
}

fn influxdb(program: &Path, dir: &Path, port: u16) -> Result<Launch> {
    let config = dir.join("influxdb.conf");
    let text = influxdb_settings(&data_below(dir), port, free_port()?);
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    Ok(Launch::new(program).without_env_prefix("INFLUXDB_").args([
        Path::new("run"),
        Path::new("-config"),
        &config,
    ]))
}

/// The settings without which it would use places and ports of the machine, report to its makers, and keep figures
/// about itself beside the data.
fn influxdb_settings(data: &Path, port: u16, backup_port: u16) -> String {
    let data = data.display();
    format!(
        "reporting-disabled = true
bind-address = \"127.0.0.1:{backup_port}\"

[meta]
dir = \"{data}/meta\"

[data]
dir = \"{data}/data\"
wal-dir = \"{data}/wal\"
# The default of 10 minutes would leave the last events in the write-ahead log, where they take more bytes.
cache-snapshot-write-cold-duration = \"5s\"
# Logging each query would slow down the queries.
query-log-enabled = false

[monitor]
store-enabled = false

[http]
bind-address = \"127.0.0.1:{port}\"
log-enabled = false
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn influxdb_listens_on_loopback_only() {
        let settings = influxdb_settings(Path::new("/run/data"), 1, 2);
        let addresses: Vec<_> = settings.lines().filter(|line| line.starts_with("bind-address")).collect();
        assert_eq!(addresses, ["bind-address = \"127.0.0.1:2\"", "bind-address = \"127.0.0.1:1\""]);
        let places = settings.lines().filter(|line| line.contains("dir = "));
        assert!(places.clone().count() == 3 && places.clone().all(|line| line.contains("\"/run/data/")));
    }
}
