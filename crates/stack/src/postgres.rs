//! A private PostgreSQL server: loopback only, password only, durable.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid};

use crate::credentials::{kept_secret, random_password};
use crate::directory::read_tail;
use crate::install::ensure_postgres;
use crate::ports::free_port;
use crate::process::{Ended, Identity, Launch, Process, describe};
use crate::progress::Progress;
use crate::usage::{self, Usage};

const USER: &str = "flowmeter";
const DATABASE: &str = "flowmeter";

/// Time for crash recovery of a large write-ahead log on a busy machine.
const START_PATIENCE: Duration = Duration::from_mins(2);
/// Time for the checkpoint at the end.
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// A PostgreSQL server: a private one, or an external one.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    identity: Option<Identity>,
    process: Option<Process>,
}

impl Postgres {
    /// The server in `DATABASE_URL`, or otherwise a private one with its data in `dir`. Existing data is used
    /// again.
    pub fn start(dir: &Path, progress: &Progress) -> Result<Self> {
        if let Some(url) = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            return Ok(Self { url, server: None });
        }
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let bin = ensure_postgres(data_version(dir)?, progress)
            .with_context(|| format!("for the data in {} (`--fresh` removes it)", dir.display()))?;
        let identity = unprivileged(dir)?;
        let password = kept_secret(&dir.join("password"), random_password)?;
        let mut server = Server { bin, dir: dir.to_owned(), port: free_port()?, identity, process: None };
        server.create(&password)?;
        server.start()?;
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{}/{DATABASE}", server.port);
        Ok(Self { url, server: Some(server) })
    }

    /// The URL, with the password of a user with all permissions.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates an empty database, and returns its URL.
    pub fn create_database(&self, name: &str) -> Result<String> {
        let psql = self.server.as_ref().map_or(PathBuf::from("psql"), |server| server.bin.join("psql"));
        let statement = format!("CREATE DATABASE \"{name}\"");
        let output = Command::new(&psql)
            .args(["--no-psqlrc", "--quiet", "--command", &statement, &self.url])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}, PostgreSQL's client", psql.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "cannot create the database {name}: {}", errors.trim_end());
        Ok(with_database(&self.url, name))
    }

    /// The id of the main process. None for an external server, or if the server does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref()?.process.as_ref().map(Process::pid)
    }

    /// The resources that the server has used so far, including connections that have ended. None for an
    /// external server.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage::of_tree(self.pid()?)
    }

    /// Why the server has ended, if it was not stopped.
    pub fn failure(&mut self) -> Result<Option<String>> {
        self.server.as_mut().map_or(Ok(None), Server::failure)
    }

    /// Stops the server in an orderly way: sessions are ended, and all data is written. None for an external
    /// server.
    pub fn stop(&mut self) -> Result<Option<Ended>> {
        match self.server.as_mut().and_then(|server| server.process.take()) {
            // SIGINT is the "fast" shutdown, which does not wait for clients to leave.
            Some(mut process) => process.end(Signal::INT, STOP_PATIENCE).map(Some),
            None => Ok(None),
        }
    }

    /// Kills the main process with SIGKILL. Its children then end by themselves.
    pub fn kill9(&mut self) -> Result<()> {
        let server = self
            .server
            .as_mut()
            .context("this PostgreSQL server was not started by this program, so it cannot be killed")?;
        if let Some(mut process) = server.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Sends a signal, such as STOP or CONT, to the main process only.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let server = self
            .server
            .as_ref()
            .context("this PostgreSQL server was not started by this program, so it cannot be signalled")?;
        server.process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Starts the server again, with the same port and data, after [`Postgres::stop`] or [`Postgres::kill9`].
    pub fn start_again(&mut self) -> Result<()> {
        self.server
            .as_mut()
            .context("this PostgreSQL server was not started by this program, so it cannot be started again")?
            .start()
    }
}

/// The URL of another database on the same server.
fn with_database(url: &str, name: &str) -> String {
    let (url, parameters) = url.split_once('?').map_or((url, None), |(url, rest)| (url, Some(rest)));
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let parameters = parameters.map_or(String::new(), |parameters| format!("?{parameters}"));
    format!("{scheme}://{authority}/{name}{parameters}")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Unlike a kill this also ends the sessions' processes at once. Errors: the process's own drop follows.
        if let Some(mut process) = self.server.as_mut().and_then(|server| server.process.take()) {
            let _ = process.end(Signal::QUIT, Duration::from_secs(10));
        }
    }
}

impl Server {
    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn launch(&self, program: &str) -> Launch {
        Launch::new(self.bin.join(program))
            .directory(&self.dir)
            .identity(self.identity)
            .without_env_prefix("PG")
            // SIGQUIT: its sessions end at once with it, and the next start recovers, as after a power failure.
            .death_signal("QUIT")
    }

    /// Creates the data directory, unless it is complete already.
    fn create(&self, password: &str) -> Result<()> {
        let complete = self.dir.join("created");
        if complete.exists() {
            return Ok(());
        }
        let data = self.data();
        if data.exists() {
            // A creation that was interrupted.
            fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        }
        fs::create_dir(&data).with_context(|| format!("create {}", data.display()))?;
        self.hand_over(&data, 0o700)?;
        let password_file = self.dir.join("initdb-password");
        fs::write(&password_file, password).with_context(|| format!("write {}", password_file.display()))?;
        self.hand_over(&password_file, 0o400)?;
        let created = self
            .launch("initdb")
            .args(["--username", USER, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
            .args(["--pwfile".as_ref(), password_file.as_path(), "--pgdata".as_ref(), &data])
            .run(None);
        fs::remove_file(&password_file).with_context(|| format!("remove {}", password_file.display()))?;
        created?;
        self.create_database(&data)?;
        File::create(&complete).with_context(|| format!("create {}", complete.display()))?;
        Ok(())
    }

    /// Creates the database in single-user mode, which needs neither a running server nor a client program.
    fn create_database(&self, data: &Path) -> Result<()> {
        let sql = self.dir.join("create.sql");
        fs::write(&sql, format!("CREATE DATABASE {DATABASE}\n"))
            .with_context(|| format!("write {}", sql.display()))?;
        let input = File::open(&sql).with_context(|| format!("open {}", sql.display()))?;
        self.launch("postgres")
            .args(["--single", "-j"])
            .args(["-D".as_ref(), data, "postgres".as_ref()])
            .run(Some(input))?;
        fs::remove_file(&sql).with_context(|| format!("remove {}", sql.display()))
    }

    fn start(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let conf = self.data().join("postgresql.conf");
        fs::write(&conf, settings(self.port)).with_context(|| format!("write {}", conf.display()))?;
        self.hand_over(&conf, 0o600)?;
        loop {
            let log = self.dir.join("postgres.log");
            let before = fs::metadata(&log).map_or(0, |meta| meta.len());
            let process = self.launch("postgres").args(["-D".as_ref(), self.data().as_path()]).spawn(
                &log,
                self.dir.join("postgres.pid"),
                self.data().display(),
            )?;
            self.process = Some(process);
            if self.wait_until_ready(deadline)? {
                return Ok(());
            }
            // After a kill -9 the sessions may hold the shared memory a moment longer than their parent lived.
            let tail = read_tail(&log, 10);
            let busy = tail.contains("pre-existing shared memory block") || tail.contains("lock file");
            if !busy || Instant::now() > deadline || before == 0 {
                bail!("PostgreSQL did not start; the end of {}:\n{tail}", log.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether the server became ready (true) or ended (false).
    fn wait_until_ready(&mut self, deadline: Instant) -> Result<bool> {
        let process = self.process.as_mut().context("PostgreSQL was not started")?;
        let (pid, file) = (process.pid().to_string(), self.dir.join("data/postmaster.pid"));
        while process.ended()?.is_none() {
            // Line 1 is the process and line 8 its state; the file of a server that crashed names another process.
            let text = fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            if lines.first() == Some(&pid.as_str())
                && lines.get(7).is_some_and(|state| state.trim() == "ready")
            {
                return Ok(true);
            }
            if Instant::now() > deadline {
                bail!("PostgreSQL was not ready within {} s", START_PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    fn failure(&mut self) -> Result<Option<String>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let Some(status) = process.ended()? else { return Ok(None) };
        let log = self.dir.join("postgres.log");
        Ok(Some(format!(
            "PostgreSQL ended with {}; the end of {}:\n{}",
            describe(status),
            log.display(),
            read_tail(&log, 15)
        )))
    }

    /// Gives a file to the user that the server runs as.
    fn hand_over(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .and_then(|()| self.identity.map_or(Ok(()), |id| chown(path, Some(id.uid), Some(id.gid))))
            .with_context(|| format!("hand {} to PostgreSQL", path.display()))
    }
}

/// The major version of the existing data.
fn data_version(dir: &Path) -> Result<Option<u32>> {
    if !dir.join("created").exists() {
        return Ok(None);
    }
    let file = dir.join("data/PG_VERSION");
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    text.trim().parse().map(Some).with_context(|| format!("{} is not a version", file.display()))
}

/// The user to run PostgreSQL as if this process runs as root, which PostgreSQL refuses: `postgres` if it
/// exists, otherwise `nobody`.
fn unprivileged(dir: &Path) -> Result<Option<Identity>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let (uid, gid) = ["postgres", "nobody"]
        .iter()
        .find_map(|user| find_user(&passwd, user))
        .context("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")?;
    let plain = Identity { uid, gid, passes_closed_directories: false };
    for identity in [plain, Identity { passes_closed_directories: true, ..plain }] {
        let enter = Launch::new("/bin/sh")
            .args(["-c", "cd -- \"$1\"", "sh"])
            .args([dir])
            .directory(Path::new("/"))
            .identity(Some(identity));
        if enter.run(None).is_ok() {
            return Ok(Some(identity));
        }
    }
    bail!("PostgreSQL is to run as user {uid}, who cannot enter {}", dir.display())
}

fn find_user(passwd: &str, user: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Settings for a small machine that also runs the services and a build, and for data that must survive a
/// crash.
fn settings(port: u16) -> String {
    format!(
        "# Written at each start.
listen_addresses = '127.0.0.1'
port = {port}
# No socket: its path may be at most 107 bytes long, and a checkout may lie deeper.
unix_socket_directories = ''
max_connections = 200
shared_buffers = 128MB
dynamic_shared_memory_type = posix
# What was acknowledged must survive a kill -9 and a power failure.
fsync = on
synchronous_commit = on
wal_compression = on
max_wal_size = 2GB
checkpoint_timeout = 15min
autovacuum = on
autovacuum_naptime = 10s
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgres-exporter:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/bash\n";
        assert_eq!(find_user(passwd, "postgres"), Some((101, 104)));
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
