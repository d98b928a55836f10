//! Runs one document: an installation, a session, and each command with its expected output.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use flowmeter_stack::{Binaries, Installation, Progress, Servers, StackOptions, workspace_root};

use super::blocks::{SHOW_EXIT_CODE, Step, steps};
use super::session::{Outcome, Session};
use super::translation::Translation;
use super::{bless, shape};
use crate::sample;

/// The addresses in documents: ingest, query and worker, as `cargo xtask up` takes them.
const SHOWN_PORTS: [u16; 3] = [7071, 7072, 7073];

/// How long a reading command is repeated, because an answer can lag behind a write.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// A command with one of these words changes something, so it runs once.
const WRITES: [&str; 15] = [
    "activate",
    "bootstrap",
    "create",
    "deactivate",
    "delete",
    "emit",
    "migrate",
    "record",
    "redrive",
    "replay",
    "report",
    "revoke",
    "sample",
    "set",
    "update",
];

/// A Markdown file with console blocks.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its path in the repository.
    pub(crate) name: String,
    path: PathBuf,
    markdown: String,
    pub(crate) steps: Vec<Step>,
}

/// The environment of a document.
pub(crate) struct Place<'a> {
    /// The number of the document.
    pub(crate) number: usize,
    pub(crate) binaries: &'a Binaries,
    pub(crate) servers: &'a Servers,
    /// A directory with further programs.
    pub(crate) tools: Option<&'a Path>,
}

/// The results of the commands of a document.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) passed: u64,
    /// A description of each command that failed.
    pub(crate) failures: Vec<String>,
    rewritten: u64,
}

impl Verdict {
    pub(crate) fn summary(&self) -> String {
        let mut summary = format!("{} passed, {} failed", self.passed, self.failures.len());
        if self.rewritten > 0 {
            let _ = write!(summary, ", {} rewritten", self.rewritten);
        }
        summary
    }
}

impl Document {
    pub(crate) fn read(name: String, path: PathBuf) -> Result<Self> {
        let markdown = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
        let steps = steps(&markdown).map_err(|error| anyhow!("{name}, {error}"))?;
        Ok(Self { name, path, markdown, steps })
    }

    pub(crate) fn needs_grpcurl(&self) -> bool {
        self.steps.iter().any(|step| step.command.contains("grpcurl"))
    }

    /// Runs all commands on a new installation.
    pub(crate) fn run(&self, place: &Place<'_>, bless: bool) -> Result<Verdict> {
        let name = format!("document_{}", place.number);
        let directory = place.servers.dir().below(&name)?;
        let database_url = place.servers.postgres.create_database(&name)?;
        let stack = flowmeter_stack::Place {
            dir: &directory,
            database_url: &database_url,
            database_name: &name,
            amqp_url: place.servers.rabbit.url(),
        };
        let options = StackOptions {
            settings: vec![
                ("FLOWMETER_QUEUE_PREFIX".to_owned(), name.clone()),
                ("FLOWMETER_DATABASE_CONNECTIONS".to_owned(), "4".to_owned()),
            ],
            ..StackOptions::default()
        };
        let mut installation =
            Installation::start(&stack, place.binaries.clone(), &options, &Progress::quiet())?;
        sample::replay(&installation)?;
        let services = [&installation.ingest, &installation.query, &installation.worker];
        let addresses = SHOWN_PORTS
            .iter()
            .zip(services)
            .flat_map(|(port, service)| {
                ["127.0.0.1", "localhost"]
                    .map(|host| (format!("{host}:{port}"), service.address().to_owned()))
            })
            .collect();
        let translation =
            Translation::new(&self.markdown, addresses).map_err(|error| anyhow!("{}: {error}", self.name))?;
        let session = Session::start(&working_directory(&directory)?, &environment(&installation, place))?;
        let verdict = self.run_steps(session, translation, bless)?;
        installation.stop(&Progress::quiet())?;
        Ok(verdict)
    }

    fn run_steps(&self, mut session: Session, mut translation: Translation, bless: bool) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let mut rewritten = Vec::new();
        for step in &self.steps {
            let command = translation.command(&step.command);
            let outcome = run_step(&mut session, step, &command)
                .with_context(|| format!("line {}: `{}`", step.line, step.command))?;
            let difference = difference(step, &outcome);
            if let Ok(pairs) = shape::compare(&step.expected, &outcome.output) {
                translation.carry(&pairs);
            }
            match difference {
                None => verdict.passed += 1,
                Some(Difference::Output { .. }) if bless => {
                    translation.carry(&bless::ids(&step.expected, &outcome.output));
                    rewritten.push((
                        step.output_lines.clone(),
                        bless::output(step, &outcome.output, &translation),
                    ));
                    verdict.passed += 1;
                    verdict.rewritten += 1;
                }
                Some(difference) => {
                    verdict.failures.push(describe(&self.name, step, &outcome, &difference, &translation));
                }
            }
        }
        if !rewritten.is_empty() {
            let text = bless::replace_lines(&self.markdown, &rewritten);
            fs::write(&self.path, text).with_context(|| format!("write {}", self.name))?;
        }
        Ok(verdict)
    }
}

/// How an outcome differs from a step.
enum Difference {
    ExitCode,
    /// The number of expected lines that were found, before the first that was not.
    Output {
        found: usize,
    },
}

fn difference(step: &Step, outcome: &Outcome) -> Option<Difference> {
    if outcome.exit_code != 0 && !step.may_fail {
        return Some(Difference::ExitCode);
    }
    if step.expected.is_empty() {
        return None;
    }
    if step.command == SHOW_EXIT_CODE {
        return (step.expected != outcome.output).then_some(Difference::Output { found: 0 });
    }
    let found = shape::compare(&step.expected, &outcome.output).err()?;
    Some(Difference::Output { found })
}

/// Runs a command. A command that only reads is repeated while its output differs.
fn run_step(session: &mut Session, step: &Step, command: &str) -> Result<Outcome> {
    let deadline = Instant::now() + READ_PATIENCE;
    loop {
        let outcome = session.run(command)?;
        let is_blank = bless::is_to_be_filled_in(&step.expected);
        if difference(step, &outcome).is_none()
            || is_blank
            || !only_reads(command)
            || Instant::now() > deadline
        {
            return Ok(outcome);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn only_reads(command: &str) -> bool {
    let mut words = command.split_whitespace();
    match words.next() {
        Some("flowmeter") => !words.any(|word| WRITES.contains(&word)),
        Some("grpcurl") => words.any(|word| {
            let method = word.rsplit('/').next().unwrap_or(word);
            word.starts_with("flowmeter.")
                && ["Get", "List", "Query", "Search"].iter().any(|verb| method.starts_with(verb))
        }),
        _ => false,
    }
}

/// A directory with links to the entries of the repository, so that commands can read and write files.
fn working_directory(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("work");
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    for entry in fs::read_dir(workspace_root()).context("list the repository")?.flatten() {
        let name = entry.file_name();
        if name != "target" && !name.to_string_lossy().starts_with('.') {
            symlink(entry.path(), path.join(&name))
                .with_context(|| format!("link {}", entry.path().display()))?;
        }
    }
    Ok(path)
}

fn environment(installation: &Installation, place: &Place<'_>) -> Vec<(String, String)> {
    let mut path = vec![place.binaries.dir().to_owned()];
    path.extend(place.tools.map(Path::to_owned));
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).unwrap_or_default().to_string_lossy().into_owned();
    let variables = [
        ("PATH", path),
        ("FLOWMETER_INGEST_URL", installation.ingest.url()),
        ("FLOWMETER_QUERY_URL", installation.query.url()),
        ("FLOWMETER_TOKEN", installation.token.clone()),
        ("FLOWMETER_OPERATOR_TOKEN", installation.operator_token.clone()),
        ("FLOWMETER_DATABASE_URL", installation.database_url.clone()),
        ("FLOWMETER_AMQP_URL", installation.amqp_url.clone()),
        // As on a terminal.
        ("FLOWMETER_OUTPUT", "chart".to_owned()),
        ("COLUMNS", "80".to_owned()),
        ("NO_COLOR", "1".to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn describe(
    name: &str,
    step: &Step,
    outcome: &Outcome,
    difference: &Difference,
    translation: &Translation,
) -> String {
    let mut text = format!("\n{name}:{}: $ {}\n", step.line, step.command);
    match difference {
        Difference::ExitCode => {
            let _ = writeln!(text, "  expected exit code 0, found {}", outcome.exit_code);
        }
        Difference::Output { found } => {
            let _ = match step.expected.get(*found) {
                Some(line) => {
                    writeln!(text, "  expected a line of this shape:\n    {line}")
                }
                None => writeln!(text, "  expected the output to end, found more lines"),
            };
        }
    }
    text.push_str("  the output is:\n");
    for line in &outcome.output {
        let _ = writeln!(text, "    {}", translation.line(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_change_nothing_are_known() {
        for command in [
            "flowmeter series ODSLRequest/ReadRequests",
            "flowmeter asset show urn:x",
            "grpcurl -plaintext 127.0.0.1:7072 flowmeter.v1.QueryService/GetReceipt",
        ] {
            assert!(only_reads(command), "{command}");
        }
        for command in [
            "flowmeter flow create a",
            "flowmeter sample | flowmeter replay -",
            "grpcurl -plaintext 127.0.0.1:7071 flowmeter.v1.IngestService/RecordUsage",
            "cat file",
        ] {
            assert!(!only_reads(command), "{command}");
        }
    }
}
