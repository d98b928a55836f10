//! A private RabbitMQ broker with a separate node, port mapper, directories and password, on loopback only.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::credentials::{kept_secret, random_password, write_secret};
use crate::directory::read_tail;
use crate::install::ensure_rabbitmq;
use crate::ports::free_port;
use crate::process::{Ended, Launch, Process, describe};
use crate::progress::Progress;
use crate::usage::{self, Usage};

const USER: &str = "flowmeter";

/// The name of the node is part of its data, so it never changes; only the ports do.
const NODE: &str = "flowmeter@localhost";

/// A start takes about 9 s on two idle cores, several times that beside a build.
const START_PATIENCE: Duration = Duration::from_mins(3);
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// A RabbitMQ broker: a private one, or an external one.
#[derive(Debug)]
pub struct Rabbit {
    url: String,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    script: PathBuf,
    epmd: PathBuf,
    dir: PathBuf,
    port: u16,
    distribution_port: u16,
    epmd_port: u16,
    // In this order they are dropped: the node, then the port mapper that it is registered with.
    node: Option<Process>,
    port_mapper: Option<Process>,
}

impl Rabbit {
    /// The broker in `AMQP_URL`, or otherwise a private one with its data in `dir`. Existing data is used
    /// again.
    pub fn start(dir: &Path, progress: &Progress) -> Result<Self> {
        if let Some(url) = std::env::var("AMQP_URL").ok().filter(|url| !url.is_empty()) {
            return Ok(Self { url, server: None });
        }
        let (script, epmd) = ensure_rabbitmq(progress)?;
        for name in ["home", "data", "log"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        let password = kept_secret(&dir.join("password"), random_password)?;
        let mut server = Server {
            script,
            epmd,
            dir: dir.to_owned(),
            port: free_port()?,
            distribution_port: free_port()?,
            epmd_port: free_port()?,
            node: None,
            port_mapper: None,
        };
        server.configure(&password)?;
        server.start()?;
        // %2f is the default virtual host, "/".
        let url = format!("amqp://{USER}:{password}@127.0.0.1:{}/%2f", server.port);
        Ok(Self { url, server: Some(server) })
    }

    /// The URL, with the password of a user with all permissions.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id of the Erlang machine. None for an external broker, or if the broker does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref()?.node.as_ref().map(Process::pid)
    }

    /// The resources that the broker has used so far. None for an external broker.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage::of_tree(self.pid()?)
    }

    /// Why the server has ended, if it was not stopped.
    pub fn failure(&mut self) -> Result<Option<String>> {
        self.server.as_mut().map_or(Ok(None), Server::failure)
    }

    /// Stops the broker in an orderly way. None for an external broker.
    pub fn stop(&mut self) -> Result<Option<Ended>> {
        let Some(server) = &mut self.server else { return Ok(None) };
        let ended = match server.node.take() {
            Some(mut node) => Some(node.end(Signal::TERM, STOP_PATIENCE)?),
            None => None,
        };
        // It keeps nothing that would have to be written.
        server.port_mapper.take();
        Ok(ended)
    }

    /// Kills the Erlang machine and its port mapper with SIGKILL.
    pub fn kill9(&mut self) -> Result<()> {
        let server = self
            .server
            .as_mut()
            .context("this RabbitMQ broker was not started by this program, so it cannot be killed")?;
        if let Some(mut node) = server.node.take() {
            node.kill()?;
        }
        server.port_mapper.take();
        Ok(())
    }

    /// Sends a signal, such as STOP or CONT, to the Erlang machine.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let server = self
            .server
            .as_ref()
            .context("this RabbitMQ broker was not started by this program, so it cannot be signalled")?;
        server.node.as_ref().map_or(Ok(()), |node| node.signal(signal))
    }

    /// Starts the broker again, with the same port and data, after [`Rabbit::stop`] or [`Rabbit::kill9`].
    pub fn start_again(&mut self) -> Result<()> {
        self.server
            .as_mut()
            .context("this RabbitMQ broker was not started by this program, so it cannot be started again")?
            .start()
    }
}

impl Server {
    /// Writes the files that the node reads at its start.
    fn configure(&self, password: &str) -> Result<()> {
        // The password is in it.
        write_secret(&self.dir.join("rabbitmq.conf"), &settings(self.port, password))?;
        for (name, text) in
            [("enabled_plugins", "[].\n"), ("advanced.config", "[].\n"), ("rabbitmq-env.conf", "\n")]
        {
            let path = self.dir.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        let log = self.dir.join("log/console.log");
        // Started by us and in the foreground, it ends with us; the one that Erlang starts by itself would not.
        self.port_mapper = Some(self.launch(&self.epmd).args(["-port", &self.epmd_port.to_string()]).spawn(
            &log,
            self.dir.join("epmd.pid"),
            self.epmd.display(),
        )?);
        wait_for_port(self.epmd_port)?;
        let node = self.launch(&self.script).spawn(&log, self.dir.join("node.pid"), self.mark())?;
        self.node = Some(node);
        let deadline = Instant::now() + START_PATIENCE;
        while !speaks_amqp(self.port) {
            if let Some(failure) = self.failure()? {
                bail!(failure);
            }
            if Instant::now() > deadline {
                let tail = read_tail(&log, 15);
                bail!("RabbitMQ was not ready within {} s:\n{tail}", START_PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn launch(&self, program: &Path) -> Launch {
        let below = |name: &str| self.dir.join(name);
        Launch::new(program)
            .directory(&self.dir)
            .without_env_prefix("RABBITMQ_")
            .without_env_prefix("ERL_")
            // The Erlang cookie, which admits to the node, is kept in HOME.
            .env("HOME", below("home"))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", NODE)
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", below("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", below("advanced.config"))
            .env("RABBITMQ_CONF_ENV_FILE", below("rabbitmq-env.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", below("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", below("data"))
            .env("RABBITMQ_LOG_BASE", below("log"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", self.erlang_arguments())
            // Makes the script become the Erlang machine rather than its parent, so that signals, ours and the
            // kernel's at our death, reach the machine itself.
            .env("RUNNING_UNDER_SYSTEMD", "true")
    }

    /// Busy waiting of Erlang's schedulers would take the two cores from everybody else. The braces are an Erlang
    /// term: distribution, too, listens on loopback only. The flag at the end means nothing to Erlang.
    fn erlang_arguments(&self) -> String {
        format!(
            "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {{127,0,0,1}} \
             -flowmeter_stack {}",
            self.mark()
        )
    }

    /// Tells this node's command line from that of every other; without blanks, unlike a path perhaps.
    fn mark(&self) -> String {
        format!("node-{}-{}", self.epmd_port, self.distribution_port)
    }

    fn failure(&mut self) -> Result<Option<String>> {
        let Some(node) = &mut self.node else { return Ok(None) };
        let Some(status) = node.ended()? else { return Ok(None) };
        let log = self.dir.join("log/console.log");
        Ok(Some(format!(
            "RabbitMQ ended with {}; the end of {}:\n{}",
            describe(status),
            log.display(),
            read_tail(&log, 15)
        )))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A killed machine leaves no data behind that its next start does not repair, but a moment of grace makes
        // that start shorter. Errors: the process's own drop follows.
        if let Some(mut node) = self.node.take() {
            let _ = node.end(Signal::TERM, Duration::from_secs(10));
        }
    }
}

fn settings(port: u16, password: &str) -> String {
    format!(
        "# Written at each start.
listeners.tcp.1 = 127.0.0.1:{port}
default_user = {USER}
default_pass = {password}
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
# The memory that all quorum queues together need until their log is rolled over; the default is 512 MiB.
raft.wal_max_size_bytes = 33554432
# Publishers are held back above this, not at 40 % of a machine that is shared with others.
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 256MB
log.console = true
log.console.level = info
log.file = false"
    )
}

/// Whether a broker answers on this port: to the protocol's header it sends a frame of type 1, method.
fn speaks_amqp(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    answer().is_ok_and(|kind| kind == 1)
}

fn wait_for_port(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            bail!("Erlang's port mapper does not answer on port {port}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
