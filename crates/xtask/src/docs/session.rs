//! The bash session in which the commands of one file run.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flowmeter_stack::{Signal, signal_group};

/// The time limit of a command, which is enough for any command of a document, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The line after the output of a command; the exit code follows.
const END: &str = "\u{1}end of output";

/// What a command printed, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The output to stdout and stderr, in the order in which it was written.
    pub(crate) output: Vec<String>,
    pub(crate) exit_code: i32,
}

/// A running bash. Dropping it ends bash and all processes that bash has started.
pub(crate) struct Session {
    bash: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
}

impl Session {
    /// Starts bash in a directory, with the environment of the caller except for the variables of Flowmeter.
    pub(crate) fn start(directory: &Path, environment: &[(String, String)]) -> Result<Self> {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLOWMETER_"))
        {
            command.env_remove(name);
        }
        let mut bash = command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("run bash")?;
        let mut commands = bash.stdin.take().context("bash has no input")?;
        let output = bash.stdout.take().context("bash has no output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        writeln!(commands, "exec 2>&1").context("write to bash")?;
        Ok(Self { bash, commands, lines })
    }

    /// Runs one command to its end.
    pub(crate) fn run(&mut self, command: &str) -> Result<Outcome> {
        let quoted = command.replace('\'', r"'\''");
        // An error in the syntax ends `eval` and not bash. `(exit …)` hands the code on to the next command.
        write!(
            self.commands,
            "eval '{quoted}' </dev/null\n_status=$?; printf '\\n{END} %d\\n' $_status; (exit $_status)\n"
        )
        .context("write to bash")?;
        let deadline = Instant::now() + PATIENCE;
        let mut output = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(code) = line.strip_prefix(END) {
                        let exit_code = code.trim().parse().context("read the exit code")?;
                        while output.last().is_some_and(|line: &String| line.trim().is_empty()) {
                            output.pop();
                        }
                        return Ok(Outcome { output, exit_code });
                    }
                    output.push(line.trim_end().to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the command did not end within {} s", PATIENCE.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the command ended the session"),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = signal_group(self.bash.id(), Signal::KILL);
        let _ = self.bash.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::start(&std::env::temp_dir(), &[("GREETING".to_owned(), "it's me".to_owned())]).unwrap()
    }

    fn run(session: &mut Session, command: &str) -> (String, i32) {
        let outcome = session.run(command).unwrap();
        (outcome.output.join("\n"), outcome.exit_code)
    }

    #[test]
    fn commands_share_a_session_and_report_output_and_exit_code() {
        let session = &mut session();
        assert_eq!(run(session, "name=value; echo 'one'; echo two >&2"), ("one\ntwo".to_owned(), 0));
        assert_eq!(run(session, "echo $name, $GREETING"), ("value, it's me".to_owned(), 0));
        assert_eq!(run(session, "printf 'no line end'; exit_code() { return 3; }; exit_code").1, 3);
        assert_eq!(run(session, "echo $?"), ("3".to_owned(), 0));
        assert_eq!(run(session, "cat <<'END'\n$name\nEND"), ("$name".to_owned(), 0));
        assert_eq!(run(session, "cat"), (String::new(), 0));
    }

    #[test]
    fn a_mistake_in_the_syntax_does_not_end_the_session() {
        let session = &mut session();
        assert_ne!(run(session, "echo (").1, 0);
        assert_eq!(run(session, "echo still here").0, "still here");
        assert!(session.run("exit 1").is_err());
    }
}
