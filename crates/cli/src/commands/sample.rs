//! `flowmeter sample`: made-up traffic to try things with.

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::{json, moment, sample::Traffic};

/// Write made-up API traffic as JSON lines to standard output, for `replay`.
///
/// Several applications, services, methods and statuses, a daily rhythm, durations
/// and sizes, and one incident with errors and slow answers. The same options make
/// the same traffic, but for its end, which is now. Every event has an id, so a
/// saved sample can be replayed twice and counts once.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// How many events.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,

    /// Over how many days, the last of which ends now. The service takes events of
    /// the last 400 days by default.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,

    /// When the traffic ends, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    end: Option<Timestamp>,

    /// Another number makes other traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Carries out the command.
pub(crate) fn run(sample: &Sample) -> Result<ExitCode> {
    let end = sample.end.unwrap_or_else(Timestamp::now);
    // Finer times than logs have would only make the lines longer.
    let end = Timestamp::from_millisecond(end.as_millisecond())?;
    let extent = SignedDuration::from_hours(24 * i64::from(sample.days));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for event in Traffic::new(sample.events, extent, end, sample.seed) {
        writeln!(out, "{}", json::line("UsageEvent", &event)?)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
