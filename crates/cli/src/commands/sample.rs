//! `flowmeter sample`: generated traffic to try things with.

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::{json, moment, sample::Traffic};

/// Write generated API traffic as JSON lines to standard output, for `replay`.
///
/// The traffic has several applications, services, methods and statuses, a daily rhythm,
/// durations and sizes, and one incident with errors and slow responses. The same options
/// generate the same traffic, except that it ends now. Every event has an id, so a saved
/// sample that is replayed twice counts once.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// The number of events.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,

    /// The number of days that the traffic spans. By default, the service accepts events of
    /// the last 400 days.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,

    /// When the traffic ends, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    end: Option<Timestamp>,

    /// The seed of the generator: another number generates other traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub(crate) fn run(sample: &Sample) -> Result<ExitCode> {
    let end = sample.end.unwrap_or_else(Timestamp::now);
    // Logs have times in milliseconds; finer times would only make the lines longer.
    let end = Timestamp::from_millisecond(end.as_millisecond())?;
    let extent = SignedDuration::from_hours(24 * i64::from(sample.days));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for event in Traffic::new(sample.events, extent, end, sample.seed) {
        writeln!(out, "{}", json::line("UsageEvent", &event)?)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
