//! `bench segments`: how many bytes an event takes column by column, and how fast segments are written and read. It
//! needs no servers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::UsageEvent;
use flowmeter_segment::{Column, Segment, SegmentReader, SegmentWriter, select};
use uuid::Uuid;

use crate::events::{Event, InvocationIds, Random, Texts};
use crate::figures::Figure;
use crate::report::Report;

/// Measures the columns in which events are kept: bytes of an event, and the speed on one core.
#[derive(Debug, clap::Args)]
pub struct Segments {
    /// Events of a segment, from 1 to 262144. Several sizes can be given.
    #[arg(long, value_delimiter = ',', default_value = "20,1000,20000,100000", value_parser = clap::value_parser!(u32).range(1..=262_144))]
    events: Vec<u32>,
}

/// Repetitions of each measurement, of which the median counts.
const ROUNDS: usize = 9;

/// 2026-01-01T00:00:00Z.
const START_MICROS: i64 = 1_767_225_600_000_000;

/// Events of one request.
const REQUEST_EVENTS: usize = 1_000;

impl Segments {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        for events in &self.events {
            measure(*events as usize, report)?;
        }
        Ok(())
    }
}

fn measure(count: usize, report: &mut Report) -> Result<()> {
    report.section(format_args!("{count} events a segment"));
    let (texts, invocation_ids) = (Texts::new(), InvocationIds::new(0..count as u64));
    let events = events(&texts, &invocation_ids, count);
    let (write, segment) = median(|| written(&events));
    let segment = segment.context("a segment has at least one event")?;
    // Each size has its own figures.
    let named = |what: &str| format!("{what}, {count} a segment");
    let per_event = |bytes: usize| bytes as f64 / count as f64;
    report.add(Figure::new(named("all columns"), "bytes/event", per_event(segment.bytes())).headline());
    for column in Column::ALL {
        let bytes = segment.column(column).len();
        if bytes > 0 {
            report.add(Figure::new(named(column.name()), "bytes/event", per_event(bytes)));
        }
    }
    let (read, rows) = median(|| reader(&segment)?.rows(0..count));
    rows?;
    let rate = |duration: Duration| count as f64 / duration.as_secs_f64() / 1e6;
    report.add(Figure::new(named("written"), "million events/s", rate(write)).headline());
    report.add(Figure::new(named("read as events"), "million events/s", rate(read)).headline());
    for (name, filter) in [
        ("application and method", "application = application-7 AND method = get"),
        ("httpstatus", "httpstatus >= 500"),
        ("pattern of users", "user =~ '^user-1[0-9]$'"),
        ("duration", "duration > 1000"),
        ("invocation id", &format!("invocation_id = '{}'", invocation_ids.at(count / 2))),
    ] {
        let parsed = Filter::parse(filter)?;
        let (select, found) = median(|| select(&parsed, &reader(&segment)?));
        let figure = Figure::new(named(&format!("filtered by {name}")), "million events/s", rate(select));
        report.add(figure.note(format!("{} found", found?.count())));
    }
    Ok(())
}

/// The median time of some rounds, and what the last one returned.
fn median<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut times = Vec::with_capacity(ROUNDS);
    loop {
        let begun = Instant::now();
        let done = work();
        times.push(begun.elapsed());
        if times.len() == ROUNDS {
            times.sort_unstable();
            return (times[ROUNDS / 2], done);
        }
    }
}

fn written(events: &[(EventId, UsageEvent<'_>)]) -> Option<Segment> {
    let mut writer = SegmentWriter::default();
    for (id, event) in events {
        writer.push(*id, event);
    }
    writer.finish()
}

fn reader(segment: &Segment) -> Result<SegmentReader<'_>, flowmeter_segment::Corrupt> {
    let reader = SegmentReader::new(segment.events)?;
    Ok(Column::ALL.into_iter().fold(reader, |reader, column| reader.with(column, segment.column(column))))
}

/// Events at random times, about 1,000 in a second.
fn events<'a>(
    texts: &'a Texts,
    invocation_ids: &'a InvocationIds,
    count: usize,
) -> Vec<(EventId, UsageEvent<'a>)> {
    let mut random = Random(7);
    let tenant = TenantId::named("bench");
    let mut micros = START_MICROS;
    let event = |index: usize| {
        let request = RequestId(Uuid::from_u128((index / REQUEST_EVENTS) as u128));
        micros += 1 + i64::try_from(random.below(2_000)).unwrap_or_default();
        let id =
            RequestEventIds::new(tenant, request).at(index % REQUEST_EVENTS, Timestamp::from_micros(micros));
        (id, texts.usage_event(&Event::numbered(index as u64), invocation_ids.at(index)))
    };
    (0..count).map(event).collect()
}
