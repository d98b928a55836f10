//! Runs `up` in the background: the same process as in the foreground, but in a separate process group and
//! with a file instead of a terminal. So there is one way to run a stack, and one way to stop it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flowmeter_stack::{Signal, StackDir, signal_process};

use crate::interrupt;
use crate::up::{Up, directory};

/// The time to drain three services and to stop two servers, each with its own limit.
const STOP_PATIENCE: Duration = Duration::from_mins(3);

/// The log is next to the directory of the stack and not in it, because `--fresh` empties the directory.
fn beside(extension: &str) -> PathBuf {
    directory().with_extension(extension)
}

/// Starts the background process, shows its output, and returns when it is ready.
pub(crate) fn up(options: &Up) -> Result<ExitCode> {
    let interrupted = interrupt::flag()?;
    let (log, ready) = (beside("log"), beside("ready"));
    if ready.exists() {
        fs::remove_file(&ready).with_context(|| format!("remove {}", ready.display()))?;
    }
    let mut child = spawn(options, &log)?;
    let mut said = File::open(&log).with_context(|| format!("open {}", log.display()))?;
    loop {
        // Asked before its output is copied, so that its last words are not missed.
        let (is_ready, ended) = (ready.exists(), child.try_wait().context("ask for the background process")?);
        copy(&mut said)?;
        if let Some(status) = ended {
            bail!("the stack did not start ({status}); its log is {}", log.display());
        }
        if is_ready {
            return Ok(ExitCode::SUCCESS);
        }
        if interrupted.load(Ordering::Relaxed) {
            signal_process(child.id(), Signal::TERM)?;
            child.wait().context("wait for the background process")?;
            return Ok(ExitCode::FAILURE);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn spawn(options: &Up, log: &PathBuf) -> Result<Child> {
    fs::create_dir_all(directory()).context("create the stack's directory")?;
    // For its owner only: it shows tokens.
    let output = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(log);
    let output = output.with_context(|| format!("create {}", log.display()))?;
    let errors = output.try_clone().context("open the log twice")?;
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(["up", "--background"]);
    if options.fresh {
        command.arg("--fresh");
    }
    if let Some(ports) = options.ports {
        command.args(["--ports", &ports.to_string()]);
    }
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context("start the background process")
}

fn copy(from: &mut File) -> Result<()> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).context("read what the background process says")?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).context("write to stdout")
}

/// Tells the foreground process that it can return.
pub(crate) fn say_ready() -> Result<()> {
    let ready = beside("ready");
    File::create(&ready).map(drop).with_context(|| format!("create {}", ready.display()))
}

/// `cargo xtask down`: stops the background process.
pub(crate) fn down() -> Result<ExitCode> {
    if StackDir::stop_owner(&directory(), STOP_PATIENCE)? {
        println!("Stopped.");
    } else {
        println!("Nothing is running.");
    }
    Ok(ExitCode::SUCCESS)
}
