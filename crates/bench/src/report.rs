//! Collects the figures of a run, and prints them: each one as soon as it is measured, and the most important ones at
//! the end.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::figures::{Figure, Machine, Run, Target};
use crate::percentiles::Durations;

/// The width of the names of figures.
const NAME_WIDTH: usize = 56;
/// The column at which remarks begin, after the longest unit.
const REMARKS_AT: usize = NAME_WIDTH + 32;

/// The figures of a run so far.
pub struct Report {
    run: Run,
    earlier: Option<Run>,
    json: Option<PathBuf>,
}

impl Report {
    /// An empty report. It is written to `json`, and each figure is compared with that of the file `compare`.
    pub fn new(json: Option<&Path>, compare: Option<&Path>) -> Result<Self> {
        let earlier = compare.map(Run::read).transpose()?;
        let run = Run { commands: Vec::new(), machine: Machine::this(), figures: Vec::new() };
        let report = Self { run, earlier, json: json.map(Path::to_owned) };
        // A wrong path is an error before the first measurement, not after the last.
        report.write()?;
        Ok(report)
    }

    /// Begins the bench of this command, which is its name and its options.
    pub fn begin(&mut self, command: impl Into<String>) {
        let command = command.into();
        if self.earlier.as_ref().is_some_and(|earlier| !earlier.commands.contains(&command)) {
            println!("note: the earlier run did not contain `{command}`, so its load may have been another");
        }
        self.run.commands.push(command);
    }

    /// The version of PostgreSQL that the bench uses.
    pub fn set_postgresql(&mut self, version: String) {
        self.run.machine.postgresql = Some(version);
    }

    /// Prints what the next figures have in common.
    #[allow(clippy::unused_self, reason = "everything that a bench prints goes through its report")]
    pub fn section(&self, title: impl std::fmt::Display) {
        println!("\n{title}");
    }

    /// Adds a figure of the current bench, and prints it.
    pub fn add(&mut self, figure: Figure) {
        let figure = Figure { bench: self.bench().to_owned(), ..figure };
        debug_assert!(self.run.value_of(&figure).is_none(), "a second figure `{}`", figure.name);
        println!("{}", line(&figure, self.earlier.as_ref()));
        self.run.figures.push(figure);
    }

    /// Adds the median, the 99th percentile, to which the target applies, and the maximum.
    pub fn add_durations(&mut self, name: &str, durations: &Durations, target: Option<Target>) {
        self.add(Figure::new(format!("{name}, p50"), "ms", durations.millis(50)).headline());
        self.add(Figure::new(format!("{name}, p99"), "ms", durations.millis(99)).target(target).headline());
        self.add(Figure::new(format!("{name}, max"), "ms", durations.millis(100)));
    }

    /// The name of the current bench.
    fn bench(&self) -> &str {
        self.run.commands.last().and_then(|command| command.split(' ').next()).unwrap_or_default()
    }

    /// Prints the most important figures of all benches.
    pub fn print_summary(&self) {
        let mut bench = "";
        println!("\nSummary");
        for figure in self.run.figures.iter().filter(|figure| figure.is_headline) {
            if figure.bench != bench {
                bench = &figure.bench;
                println!("{bench}");
            }
            println!("{}", line(figure, self.earlier.as_ref()));
        }
    }

    /// Prints how many targets are met, and writes the figures to the file of `--json`.
    pub fn finish(&self) -> Result<()> {
        let verdicts: Vec<bool> = self.run.figures.iter().filter_map(Figure::holds).collect();
        if !verdicts.is_empty() {
            let met = verdicts.iter().filter(|holds| **holds).count();
            println!("\n{met} of {} targets are met.", verdicts.len());
        }
        if let Some(earlier) = &self.earlier
            && earlier.machine != self.run.machine
        {
            println!("note: the earlier run was on another machine, or with another version of PostgreSQL");
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        self.json.as_deref().map_or(Ok(()), |path| self.run.write(path))
    }
}

/// A figure as a line of a table: name, value, unit, then target and verdict, earlier value and ratio, and the note.
fn line(figure: &Figure, earlier: Option<&Run>) -> String {
    let mut line = format!("  {:<NAME_WIDTH$} {:>11} {}", figure.name, shown(figure.value), figure.unit);
    let mut remarks = Vec::new();
    if let Some(target) = figure.target {
        remarks.push(verdict(target, figure.value));
    }
    if let Some(earlier) = earlier {
        remarks.push(match earlier.value_of(figure) {
            Some(before) => format!("before {}, now {}", shown(before), ratio(figure.value, before)),
            None => "before: not measured".to_owned(),
        });
    }
    remarks.extend(figure.note.clone());
    if !remarks.is_empty() {
        let padding = REMARKS_AT.saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(' ', padding));
        line.push_str("  ");
        line.push_str(&remarks.join("; "));
    }
    line
}

fn verdict(target: Target, value: f64) -> String {
    let (bound, (word, factor)) = match target {
        Target::AtMost(bound) => (bound, ("at most", value / bound)),
        Target::AtLeast(bound) => (bound, ("at least", bound / value)),
    };
    let verdict = if factor <= 1.0 { "holds".to_owned() } else { format!("MISSES by {factor:.2}×") };
    format!("target {word} {}: {verdict}", shown(bound))
}

/// A value as a multiple of another one.
pub fn ratio(value: f64, other: f64) -> String {
    if other == 0.0 {
        return if value == 0.0 { "1.00×".to_owned() } else { "from nothing".to_owned() };
    }
    format!("{:.2}×", value / other)
}

/// A number with three significant digits, or with commas and without decimals from 1,000 on.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5 => grouped(&format!("{value:.0}")),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len() - place;
        if left.is_multiple_of(3) && text.ends_with(|last: char| last.is_ascii_digit()) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure { bench: "ingest".into(), ..Figure::new("acknowledged", "events/s", 150_000.0) }
    }

    fn earlier(value: f64) -> Run {
        let figures = vec![Figure { value, ..figure() }];
        Run { commands: Vec::new(), machine: Machine::this(), figures }
    }

    #[test]
    fn a_line_has_value_and_unit() {
        let line = line(&figure(), None);
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["acknowledged", "150,000", "events/s"]);
    }

    #[test]
    fn a_line_compares_with_the_earlier_run() {
        let line_with = |run: &Run| line(&figure(), Some(run));
        assert!(line_with(&earlier(100_000.0)).ends_with("  before 100,000, now 1.50×"));
        let without = Run { figures: Vec::new(), ..earlier(1.0) };
        assert!(line_with(&without).ends_with("  before: not measured"));
    }

    #[test]
    fn a_line_has_target_and_note() {
        let missed = figure().target(Target::AtLeast(300_000.0)).note("a busy hour");
        assert!(line(&missed, None).ends_with("  target at least 300,000: MISSES by 2.00×; a busy hour"));
        let held = figure().target(Target::AtMost(150_000.0));
        assert!(line(&held, None).ends_with("  target at most 150,000: holds"));
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let texts = [0.0, 0.126, 9.994, 9.996, 99.96, 999.4, 999.6, 1_234_567.8, -1_234.0].map(shown);
        assert_eq!(texts, ["0.00", "0.13", "9.99", "10.0", "100", "999", "1,000", "1,234,568", "-1,234"]);
    }

    #[test]
    fn a_ratio_to_nothing_is_no_number() {
        assert_eq!((ratio(0.0, 0.0), ratio(1.0, 0.0)), ("1.00×".to_owned(), "from nothing".to_owned()));
    }

    #[test]
    fn the_bench_is_the_first_word_of_the_command() {
        let mut report = Report::new(None, None).unwrap();
        report.begin("query --events 7");
        report.add(Figure::new("rows", "MB", 1.0));
        assert_eq!(report.run.figures[0].bench, "query");
        assert_eq!(report.run.commands, ["query --events 7"]);
    }
}
