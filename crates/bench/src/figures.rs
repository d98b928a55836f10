//! What a run measured, in a form that programs read.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The bench that measured it. [`Report`](crate::report::Report) fills it in.
    #[serde(default)]
    pub bench: String,
    /// What was measured. A bench has at most one figure of each name.
    pub name: String,
    /// The unit of the value, such as `events/s`.
    pub unit: String,
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What a reader must know to judge the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the figure belongs in a summary of all benches.
    #[serde(skip)]
    pub is_headline: bool,
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: impl Into<String>, value: f64) -> Self {
        Self {
            bench: String::new(),
            name: name.into(),
            unit: unit.into(),
            value,
            target: None,
            note: None,
            is_headline: false,
        }
    }

    /// Sets the target, if there is one.
    pub fn target(self, target: impl Into<Option<Target>>) -> Self {
        Self { target: target.into(), ..self }
    }

    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    pub fn headline(self) -> Self {
        Self { is_headline: true, ..self }
    }

    /// Whether the value meets the target. None if there is no target.
    pub fn holds(&self) -> Option<bool> {
        self.target.map(|target| target.is_met_by(self.value))
    }
}

/// The bound that a value must keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub cores: usize,
    /// Only known on Linux.
    pub memory_bytes: Option<u64>,
    /// The version of PostgreSQL, if a bench used it.
    pub postgresql: Option<String>,
}

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text)),
            postgresql: None,
        }
    }
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// All figures of a run of one or more benches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The benches with their options, as they are given on the command line.
    pub commands: Vec<String>,
    pub machine: Machine,
    pub figures: Vec<Figure>,
}

impl Run {
    /// Reads what [`Run::write`] wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{}: expected a file that `--json` wrote", path.display()))
    }

    /// Writes the run as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).context("encode the figures as JSON")?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// The value of the figure with the same bench, name and unit.
    pub fn value_of(&self, figure: &Figure) -> Option<f64> {
        let is_same = |other: &&Figure| {
            (&other.bench, &other.name, &other.unit) == (&figure.bench, &figure.name, &figure.unit)
        };
        self.figures.iter().find(is_same).map(|other| other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let rate = Figure::new("acknowledged", "events/s", 250_000.0).target(Target::AtLeast(100_000.0));
        let latency = Figure::new("acknowledgement, p99", "ms", 12.5).note("a busy hour");
        let figures = [rate, latency].map(|figure| Figure { bench: "ingest".into(), ..figure });
        Run {
            commands: vec!["ingest --seconds 10".into()],
            machine: Machine {
                cores: 2,
                memory_bytes: Some(8_589_934_592),
                postgresql: Some("15.13".into()),
            },
            figures: figures.into(),
        }
    }

    #[test]
    fn the_json_format_is_stable() {
        let json = serde_json::to_value(run()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "commands": ["ingest --seconds 10"],
                "machine": { "cores": 2, "memory_bytes": 8_589_934_592_u64, "postgresql": "15.13" },
                "figures": [
                    { "bench": "ingest", "name": "acknowledged", "unit": "events/s", "value": 250_000.0,
                      "target": { "at_least": 100_000.0 } },
                    { "bench": "ingest", "name": "acknowledgement, p99", "unit": "ms", "value": 12.5,
                      "note": "a busy hour" },
                ],
            })
        );
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let path = std::env::temp_dir().join(format!("flowmeter-bench-figures-{}.json", std::process::id()));
        run().write(&path).unwrap();
        assert_eq!(Run::read(&path).unwrap(), run());
        std::fs::write(&path, "{\"figures\": 7}").unwrap();
        let error = format!("{:#}", Run::read(&path).unwrap_err());
        assert!(error.contains("expected a file that `--json` wrote"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_figure_is_found_by_bench_name_and_unit() {
        let run = run();
        assert_eq!(run.value_of(&run.figures[0]), Some(250_000.0));
        let of_flows = Figure { bench: "flows".into(), ..run.figures[0].clone() };
        let in_seconds = Figure { unit: "s".into(), ..run.figures[1].clone() };
        assert_eq!((run.value_of(&of_flows), run.value_of(&in_seconds)), (None, None));
    }

    #[test]
    fn a_bound_itself_meets_the_target() {
        let figure = |value, target| Figure::new("", "", value).target(target);
        assert_eq!(figure(5.0, Target::AtMost(5.0)).holds(), Some(true));
        assert_eq!(figure(5.1, Target::AtMost(5.0)).holds(), Some(false));
        assert_eq!(figure(5.0, Target::AtLeast(5.0)).holds(), Some(true));
        assert_eq!(figure(4.9, Target::AtLeast(5.0)).holds(), Some(false));
        assert_eq!(Figure::new("", "", 1.0).holds(), None);
    }

    #[test]
    fn the_memory_is_read_in_bytes() {
        assert_eq!(total_memory("MemFree: 1 kB\nMemTotal:    2048 kB\n"), Some(2_097_152));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
    }
}
