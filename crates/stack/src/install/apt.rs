//! Installs packages with apt-get, with as few changes to the machine as possible.
//!
//! No server is started, no cluster is created, and on a machine with systemd none is started at the next boot either.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{POSTGRESQL, Package};
use crate::credentials::random_password;
use crate::directory::read_tail;

const PROGRAM: &str = "/usr/bin/apt-get";

/// The right to install packages, which one process on this machine has at a time. Otherwise, the end of one
/// installation would remove precautions that another one still needs.
pub(super) struct Apt {
    root: Root,
    /// A lock on the file of the program, which every user can take and which leaves nothing behind.
    _turn: File,
}

impl Apt {
    /// Waits for the right to install. Fails if there is no apt-get, or if the user is not allowed to use it.
    pub(super) fn take() -> Result<Self> {
        let Ok(turn) = File::open(PROGRAM) else {
            bail!("apt-get is not available");
        };
        let root = Root::check()?;
        turn.lock().with_context(|| format!("lock {PROGRAM}"))?;
        Ok(Self { root, _turn: turn })
    }

    /// Installs a package and its dependencies.
    pub(super) fn install(&self, package: Package) -> Result<()> {
        let _no_start = Temporary::place(&self.root, Path::new("/usr/sbin/policy-rc.d"), NO_START, "755")?;
        let _no_cluster =
            (package.name == POSTGRESQL.name).then(|| place_no_cluster(&self.root)).transpose()?;
        let port_mapper_ran = port_mapper_runs();
        // Waits for an installation of another program.
        let apt_get = [PROGRAM, "-o", "DPkg::Lock::Timeout=120"];
        let install = [&apt_get[..], &["install", "-y", "--no-install-recommends", package.name]].concat();
        let installed = self
            .root
            .run(&[&apt_get[..], &["update"]].concat(), Stdio::null())
            .and_then(|()| self.root.run(&install, Stdio::null()));
        if !port_mapper_ran && port_mapper_runs() {
            // The package's scripts started it on its standard port. It ends only if no node uses it.
            let _ = Command::new("epmd").arg("-kill").stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        if Path::new("/run/systemd/system").exists() {
            // A package enables its service for the next boot; only what has just been installed is disabled.
            let _ = self.root.run(&["systemctl", "disable", package.unit], Stdio::null());
        }
        installed
    }
}

/// The script that Debian's packages ask before they start a service. Exit code 101 forbids it.
const NO_START: &str =
    "#!/bin/sh\n# Temporary, while Flowmeter's stack installs a package; safe to remove.\nexit 101\n";

/// Prevents Debian's package from creating a cluster.
fn place_no_cluster(root: &Root) -> Result<Temporary<'_>> {
    Temporary::place(
        root,
        Path::new("/etc/postgresql-common/createcluster.d/flowmeter.conf"),
        "# Temporary, while Flowmeter's stack installs a package; safe to remove.\ncreate_main_cluster = false\n",
        "644",
    )
}

fn port_mapper_runs() -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, 4369)).is_ok()
}

/// How to run commands as root: directly, or with sudo without a password.
struct Root {
    sudo: bool,
}

impl Root {
    fn check() -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            return Ok(Self { sudo: false });
        }
        let may = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
        if may.is_ok_and(|status| status.success()) {
            return Ok(Self { sudo: true });
        }
        bail!("the installation needs root, or sudo without a password")
    }

    /// Runs a command. An error contains the last lines of its output.
    fn run(&self, words: &[&str], input: Stdio) -> Result<()> {
        // A file and not a pipe: a daemon that a package starts would hold a pipe open for ever.
        let log = std::env::temp_dir().join(format!("flowmeter-install-{}.log", random_password()?));
        let output = File::create_new(&log).with_context(|| format!("create {}", log.display()))?;
        let errors = output.try_clone().context("open the log twice")?;
        let mut command;
        if self.sudo {
            command = Command::new("sudo");
            command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"]).args(words);
        } else {
            command = Command::new(words[0]);
            command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        }
        let line = words.join(" ");
        let status = command.stdin(input).stdout(output).stderr(errors).status();
        let tail = read_tail(&log, 15);
        fs::remove_file(&log).with_context(|| format!("remove {}", log.display()))?;
        let status = status.with_context(|| format!("run `{line}`"))?;
        anyhow::ensure!(status.success(), "`{line}` failed:\n{tail}");
        Ok(())
    }
}

/// A system file that exists only while a package is being installed. A file that already existed is left
/// unchanged.
struct Temporary<'a> {
    root: &'a Root,
    path: Option<PathBuf>,
}

impl<'a> Temporary<'a> {
    fn place(root: &'a Root, path: &Path, text: &str, mode: &str) -> Result<Self> {
        // One of ours that a killed installation left behind is taken over, and so removed in the end.
        let ours = fs::read_to_string(path).is_ok_and(|there| there == text);
        if path.exists() && !ours {
            return Ok(Self { root, path: None });
        }
        let (reader, mut writer) = std::io::pipe().context("make a pipe")?;
        writer.write_all(text.as_bytes()).context("write to a pipe")?;
        drop(writer);
        let words = ["install", "-D", "-m", mode, "/dev/stdin", &path.to_string_lossy()];
        root.run(&words, reader.into())?;
        Ok(Self { root, path: Some(path.to_owned()) })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = self.root.run(&["rm", "-f", &path.to_string_lossy()], Stdio::null())
        {
            eprintln!("warning: cannot remove {}; remove it by hand: {error:#}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AS_WE_ARE: Root = Root { sudo: false };

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("flowmeter-stack-{name}-{}", std::process::id())).join("file")
    }

    #[test]
    fn a_temporary_file_is_there_for_a_while() {
        let path = scratch("temporary");
        let file = Temporary::place(&AS_WE_ARE, &path, NO_START, "755").unwrap();
        assert!(Command::new(&path).status().is_ok_and(|status| status.code() == Some(101)));
        // As after an installation that was killed.
        std::mem::forget(file);
        drop(Temporary::place(&AS_WE_ARE, &path, NO_START, "755").unwrap());
        assert!(!path.exists());
        fs::remove_dir(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let path = scratch("left-alone");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "theirs").unwrap();
        drop(Temporary::place(&AS_WE_ARE, &path, NO_START, "755").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let error =
            AS_WE_ARE.run(&["sh", "-c", "echo the reason; exit 3"], Stdio::null()).unwrap_err().to_string();
        assert!(error.contains("the reason"), "{error}");
    }
}
