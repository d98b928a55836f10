//! The result of a replay in words: counts, the time that the events cover, and the command that shows them.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use flowmeter_proto::v1::UsageEvent;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::settling::Settled;
use crate::{
    moment,
    render::text::{counted, grouped, printable},
};

/// The number of malformed lines, and of rejected events, that are shown. The others are only counted.
const SHOWN: u64 = 5;

/// The maximum number of metrics that are counted. Logs usually have few, and memory stays bounded if not.
const MAX_METRICS: usize = 64;

/// The counts of a replay. `lines`, `malformed` and `skipped` are numbers of lines, the others numbers of
/// events.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) malformed: u64,
    pub(crate) skipped: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    #[serde(skip)]
    pub(crate) covered: Covered,
}

impl Tally {
    /// Whether to show a problem with a line. `so_far` is the number of problems of the same kind, including
    /// this one.
    pub(crate) fn is_shown(so_far: u64) -> bool {
        so_far <= SHOWN
    }

    /// Whether no line is malformed and every event was accepted.
    pub(crate) fn is_complete(&self) -> bool {
        self.malformed == 0 && self.rejected == 0 && self.accepted == self.events
    }

    /// The summary in words.
    pub(crate) fn summary(&self, source: &str, format: &str, took: Duration) -> String {
        let mut out = String::new();
        let seconds = took.as_secs_f64();
        let _ = writeln!(
            out,
            "Replayed {} of {} as {format} in {seconds:.1} s.",
            counted(self.lines, "line"),
            printable(source)
        );
        let mut row = |name: &str, count: u64, of: &str, meaning: &str| {
            let plural = if count == 1 { "" } else { "s" };
            let _ = writeln!(out, "  {name:<10} {:>12}  {of}{plural}{meaning}", grouped(count));
        };
        row("accepted", self.accepted, "event", &format!(", {} per second", rate(self.accepted, took)));
        row("rejected", self.rejected, "event", " rejected by the service");
        row("malformed", self.malformed, "line", " not in this format");
        row("skipped", self.skipped, "line", " without an API request, or blank");
        let unsent = self.events - self.accepted - self.rejected;
        if unsent > 0 {
            row("not sent", unsent, "event", " not acknowledged");
        }
        out
    }
}

fn rate(events: u64, took: Duration) -> String {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    grouped(events.saturating_mul(1_000_000) / micros)
}

/// The receipts in words.
pub(crate) fn describe_settled(settled: &Settled) -> String {
    let mut out = String::new();
    let events = |number: i64, of| counted(number.unsigned_abs(), of);
    let outcome = [
        events(settled.stored, "new event"),
        events(settled.duplicates, "duplicate"),
        events(settled.conflicts, "conflict"),
    ]
    .join(", ");
    if settled.pending == 0 && settled.dead == 0 {
        let _ = writeln!(out, "All events are applied: {outcome}.");
    } else {
        let _ = writeln!(
            out,
            "Applied: {} ({outcome}); pending: {}; dead: {}.",
            counted(u64::try_from(settled.applied).unwrap_or(u64::MAX), "request"),
            settled.pending,
            settled.dead
        );
    }
    if settled.conflicts > 0 {
        out.push_str(
            "A conflict is an event whose id was recorded before with other content; the first one is kept.\n",
        );
    }
    if settled.dead > 0 {
        let _ = writeln!(out, "The first dead request: {}", printable(&settled.dead_reason));
    }
    if settled.pending > 0 {
        out.push_str("All events are acknowledged, so the pending ones will be applied.\n");
    }
    out
}

/// The time that events cover and the metrics that they count in.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    metrics: BTreeMap<String, u64>,
}

impl Covered {
    /// Adds an event.
    pub(crate) fn add(&mut self, event: &UsageEvent) {
        let Some(time) = event.timestamp.as_ref().and_then(moment::from_wire) else { return };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
        if let Some(metric) = metric(event)
            && (self.metrics.len() < MAX_METRICS || self.metrics.contains_key(&metric))
        {
            *self.metrics.entry(metric).or_default() += 1;
        }
    }

    /// The command that shows the metric in which most events count.
    pub(crate) fn command(&self) -> Option<String> {
        let (first, last) = (self.first?, self.last?);
        let (metric, _) = self.metrics.iter().max_by_key(|(_, count)| **count)?;
        let calendar = calendar(last.duration_since(first));
        let second = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let quoted = metric.replace('\'', r"'\''");
        let metric = if metric.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b)) {
            metric.clone()
        } else {
            format!("'{quoted}'")
        };
        Some(format!(
            "flowmeter series {metric} --calendar '{calendar}' --range 'between({},{})'",
            second(first),
            second(last)
        ))
    }
}

/// A built-in metric in which the event counts.
fn metric(event: &UsageEvent) -> Option<String> {
    let provider = if event.provider.is_empty() { "ODSLRequest" } else { &event.provider };
    let name = match provider {
        "ODSLRequest" => match event.method.to_ascii_lowercase().as_str() {
            "get" | "head" | "options" => "ReadRequests",
            "post" | "put" | "patch" => "WriteRequests",
            "delete" => "DeleteRequests",
            _ => return None,
        },
        "ODSLProcess" => "RunRequests",
        "AzureServiceBus" if !event.action.is_empty() => &event.action,
        _ => return None,
    };
    Some(format!("{provider}/{name}"))
}

/// The finest calendar with which a chart has a readable number of buckets.
fn calendar(extent: SignedDuration) -> &'static str {
    const HOUR: i64 = 3600;
    match extent.as_secs() {
        ..=7200 => "#PT1M",
        7201..=43_200 => "#PT15M",
        43_201..=604_800 => "#PT1H",
        604_801..=15_552_000 => "#P1D",
        _ if extent.as_secs() < 24 * HOUR * 730 => "#P1W",
        _ => "#P1M",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time: &str, method: &str) -> UsageEvent {
        UsageEvent {
            timestamp: Some(moment::to_wire(time.parse().unwrap())),
            method: method.into(),
            ..UsageEvent::default()
        }
    }

    #[test]
    fn the_command_shows_the_metric_of_most_events() {
        let mut covered = Covered::default();
        assert_eq!(covered.command(), None);
        covered.add(&event("2026-11-20T10:00:01.9Z", "POST"));
        covered.add(&event("2026-11-20T19:30:00Z", "put"));
        covered.add(&event("2026-11-20T09:00:00Z", "get"));
        assert_eq!(
            covered.command().unwrap(),
            "flowmeter series ODSLRequest/WriteRequests --calendar '#PT15M' --range 'between(2026-11-20T09:00:00,2026-11-20T19:30:00)'"
        );
    }

    #[test]
    fn names_are_quoted_for_the_shell() {
        let mut bus = event("2026-11-20T09:00:00Z", "");
        bus.provider = "AzureServiceBus".into();
        bus.action = "it's; rm".into();
        let mut covered = Covered::default();
        covered.add(&bus);
        assert!(covered.command().unwrap().contains(r"'AzureServiceBus/it'\''s; rm'"));
    }

    #[test]
    fn a_replay_is_summarised() {
        let tally = Tally {
            lines: 12_000,
            events: 11_900,
            malformed: 3,
            skipped: 97,
            accepted: 11_000,
            rejected: 100,
            ..Tally::default()
        };
        insta::assert_snapshot!(tally.summary("a.log", "nova", Duration::from_millis(2500)), @r"
        Replayed 12 000 lines of a.log as nova in 2.5 s.
          accepted         11 000  events, 4 400 per second
          rejected            100  events rejected by the service
          malformed             3  lines not in this format
          skipped              97  lines without an API request, or blank
          not sent            800  events not acknowledged
        ");
        let settled = Settled {
            applied: 3,
            pending: 1,
            dead: 1,
            stored: 7,
            conflicts: 2,
            dead_reason: "poison".into(),
            ..Settled::default()
        };
        insta::assert_snapshot!(describe_settled(&settled), @r"
        Applied: 3 requests (7 new events, 0 duplicates, 2 conflicts); pending: 1; dead: 1.
        A conflict is an event whose id was recorded before with other content; the first one is kept.
        The first dead request: poison
        All events are acknowledged, so the pending ones will be applied.
        ");
    }
}
