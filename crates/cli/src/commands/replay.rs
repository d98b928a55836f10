//! `flowmeter replay`: reads a log, records its events and reports the result.

use std::{
    fmt::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{INCOMPLETE, show};
use crate::{
    arguments::Remote,
    connection::{self, Patience},
    failure, moment,
    replay::{
        Format, Parser,
        flow::{self, Flow, Limits},
        progress::Progress,
        reading::{self, Source},
        settling::{self, Settled},
        shift,
        tally::{self, Tally},
    },
};

/// Replay a log: record a usage event for each of its lines
///
/// Needs a token with the scope ingest, and the scope query to wait until all is applied.
///
/// The log is read as a stream, with bounded memory. The id of each event is made from
/// its line, so a log can be replayed again, also after a failure in the middle, without
/// counting anything twice; identical lines of one log are distinct events. Malformed
/// lines and rejected events are counted, and the first of each are printed with their
/// line numbers.
///
/// Formats:
///   nova      OpenStack Nova's API log. service: nova-api or nova-metadata,
///             application: project id, user: user id, action: the path without ids,
///             duration: time in ms. Times are read as UTC. Other lines are skipped.
///   combined  Apache's or nginx's combined access log, $request_time at the end as the
///             duration. service: the path's first segment, user: remote user or address.
///   jsonl     Usage events in protobuf JSON, one per line, each with a timestamp.
///   nova and combined set the attribute key to the path, cut to 1 KiB.
///
/// Exit codes: 0 all lines were recorded or skipped; 1 the replay failed, run it again;
/// 3 the replay finished, but some lines were malformed, rejected or could not be applied.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Replay {
    /// The log, or - for standard input.
    file: PathBuf,

    /// The format of the log.
    #[arg(long)]
    format: Format,

    /// Shift all times by the same amount, so that the last event is now: for logs that are
    /// older than the service accepts. The log is read twice, so standard input is first
    /// copied to a temporary file. A second replay has other times, so its events count again;
    /// the summary names the --shift-to that repeats this one.
    #[arg(long)]
    shift_to_now: bool,

    /// Like --shift-to-now, but to a fixed time in RFC 3339. A second replay counts nothing twice.
    #[arg(long, value_name = "TIME", conflicts_with = "shift_to_now", value_parser = moment::parse)]
    shift_to: Option<Timestamp>,

    /// The application of all events. Default: the project id for nova, apache for combined,
    /// the application of each event for jsonl.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,

    /// A name for the source of the log. Identical lines from different sources, such as two
    /// servers, are distinct events.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    source: String,

    // Large enough to make the cost per request small, small enough for a short retry.
    /// Events per request.
    #[arg(long, default_value_t = 1000, value_name = "EVENTS", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,

    /// Connections to the ingest service.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    connections: u8,

    // Two requests are at the broker while two more are on the wire.
    /// Concurrent requests per connection.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    in_flight: u8,

    /// How long to retry a request while the service is unavailable.
    #[arg(long, default_value = "2m", value_name = "DURATION", value_parser = moment::parse_duration)]
    retry_for: Duration,

    /// How long to wait at the end until all events are applied, without progress; 0s does not
    /// wait.
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = moment::parse_duration)]
    wait: Duration,
}

/// Runs the command.
pub(crate) async fn run(replay: Replay, remote: &Remote) -> Result<ExitCode> {
    let mut source = Source::new(&replay.file);
    let parser = || Parser::new(replay.format, replay.application.clone(), &replay.source);
    let target = replay.shift_target();
    let mut by = SignedDuration::ZERO;
    if let Some(target) = target {
        (source, by) = find_shift(source, parser(), target).await?;
    }
    let clients: Vec<_> =
        (0..replay.connections).map(|_| connection::ingest(remote)).collect::<Result<_>>()?;
    let chunks = reading::start(&source, parser(), by)?;
    let limits = Limits {
        batch: replay.batch.into(),
        in_flight: usize::from(replay.in_flight) * usize::from(replay.connections),
        patience: Patience { call: remote.timeout, in_all: replay.retry_for },
    };
    let start = Instant::now();
    let progress = Progress::new(source.size());
    let mut flow = Flow::new(clients, limits, progress.clone());
    let ended = flow.run(chunks).await;
    let took = start.elapsed();
    progress.finish();

    let flow::Done { tally, requests } = flow.done();
    let settled = match &ended {
        Ok(()) if !replay.wait.is_zero() => wait(requests, replay.wait, remote).await?,
        _ => None,
    };
    report(&replay, &source, &tally, took, settled.as_ref(), target, remote)?;
    ended.context("the replay stopped; run it again: events that are already recorded count once")?;
    let all_applied = settled.is_none_or(|settled| settled.dead == 0 && settled.conflicts == 0);
    let complete = tally.is_complete() && all_applied;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

impl Replay {
    /// The time to shift the log to, in whole seconds so that it can be pasted.
    fn shift_target(&self) -> Option<Timestamp> {
        let now = || Timestamp::from_second(Timestamp::now().as_second()).ok();
        self.shift_to.or_else(|| self.shift_to_now.then(now).flatten())
    }
}

/// By how much to shift the log so that its last event is at a time. Reads the whole log.
async fn find_shift(source: Source, parser: Parser, target: Timestamp) -> Result<(Source, SignedDuration)> {
    let pass = move || {
        let source = source.kept().context("cannot copy the log to a temporary file")?;
        let lines = source.open()?;
        let latest = shift::latest(lines, parser);
        let latest = latest.with_context(|| format!("cannot read {}", source.name()))?;
        Ok((source, latest.map_or(SignedDuration::ZERO, |latest| target.duration_since(latest))))
    };
    tokio::task::spawn_blocking(pass).await?
}

/// Waits until the requests are applied. None if there were none.
async fn wait(requests: Vec<String>, patience: Duration, remote: &Remote) -> Result<Option<Settled>> {
    if requests.is_empty() {
        return Ok(None);
    }
    let progress = Progress::of_requests(requests.len());
    let client = connection::query(remote)?;
    let patience = Patience { call: remote.timeout, in_all: patience };
    let settled = settling::settle(&client, requests, patience, || progress.advance()).await;
    progress.finish();
    Ok(Some(settled))
}

fn report(
    replay: &Replay,
    source: &Source,
    tally: &Tally,
    took: Duration,
    settled: Option<&Settled>,
    target: Option<Timestamp>,
    remote: &Remote,
) -> Result<()> {
    let command = tally.covered.command();
    if remote.json() {
        return show(&json_report(tally, took, settled, target, command.as_deref())?);
    }
    let mut out = tally.summary(&source.name(), replay.format.name(), took);
    if let (Some(first), Some(last)) = (tally.covered.first, tally.covered.last) {
        let _ = writeln!(out, "The events are from {first} to {last}.");
    }
    if let Some(target) = target {
        let _ = writeln!(out, "To replay them again without counting them twice: --shift-to {target}");
    }
    match settled {
        Some(Settled { failure: Some(status), .. }) => {
            let reason = failure::describe_status(status);
            let _ = write!(
                out,
                "All events are acknowledged, but it is unknown whether they are applied: {reason}"
            );
        }
        Some(settled) => out.push_str(&tally::describe_settled(settled)),
        None => {}
    }
    if tally.rejected > 0 && target.is_none() {
        out.push_str("If the log is too old for the service, --shift-to-now shifts it to the present.\n");
    }
    if let Some(command) = command.filter(|_| tally.accepted > 0) {
        let _ = writeln!(out, "\nTo read the events as a time series:\n  {command}");
    }
    show(&out)
}

fn json_report(
    tally: &Tally,
    took: Duration,
    settled: Option<&Settled>,
    target: Option<Timestamp>,
    command: Option<&str>,
) -> Result<String> {
    let mut report = serde_json::to_value(tally)?;
    let Some(fields) = report.as_object_mut() else { return Ok(report.to_string()) };
    let mut put = |name: &str, value: serde_json::Value| fields.insert(name.into(), value);
    put("seconds", took.as_secs_f64().into());
    put("firstEvent", tally.covered.first.map(|time| time.to_string()).into());
    put("lastEvent", tally.covered.last.map(|time| time.to_string()).into());
    put("shiftTo", target.map(|time| time.to_string()).into());
    put("seriesCommand", command.into());
    if let Some(settled) = settled {
        put("requestsApplied", settled.applied.into());
        put("requestsPending", settled.pending.into());
        put("requestsDead", settled.dead.into());
        put("stored", settled.stored.into());
        put("duplicates", settled.duplicates.into());
        put("conflicts", settled.conflicts.into());
    }
    Ok(serde_json::to_string_pretty(&report)?)
}
