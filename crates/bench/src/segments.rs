//! `bench segments`: how many bytes an event takes column by column, and how fast segments are written and read. It
//! needs no servers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_segment::{Column, Segment, SegmentReader, SegmentWriter, select};
use uuid::Uuid;

use crate::events::{LABEL_SETS, Labels, STATUSES, USERS};

/// Measures the columns in which events are kept: bytes of an event, and the speed on one core.
#[derive(clap::Args)]
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
    pub fn run(&self) -> Result<()> {
        for events in &self.events {
            measure(*events as usize)?;
        }
        Ok(())
    }
}

fn measure(count: usize) -> Result<()> {
    let events = events(count);
    let (write, segment) = median(|| written(&events));
    let segment = segment.context("a segment has at least one event")?;
    let per_event = |bytes: usize| bytes as f64 / count as f64;
    println!("{count} events a segment");
    println!("  {:<14} {:>7.2} bytes an event", "all columns", per_event(segment.bytes()));
    for column in Column::ALL {
        let bytes = segment.column(column).len();
        if bytes > 0 {
            println!("  {:<14} {:>7.2}", column.name(), per_event(bytes));
        }
    }
    let (read, rows) = median(|| reader(&segment)?.rows(0..count));
    rows?;
    let wanted = &events[count / 2].texts[TextField::InvocationId as usize];
    let rate = |duration: Duration| count as f64 / duration.as_secs_f64() / 1e6;
    println!("  {:<46} {:>8.1} M events/s", "written", rate(write));
    println!("  {:<46} {:>8.1} M events/s", "read as events", rate(read));
    for filter in [
        "application = application-7 AND method = get",
        "httpstatus >= 500",
        "user =~ '^user-1[0-9]$'",
        "duration > 1000",
        &format!("invocation_id = {wanted}"),
    ] {
        let parsed = Filter::parse(filter)?;
        let (select, found) = median(|| select(&parsed, &reader(&segment)?));
        let what = format!("{filter:.40}: {} found", found?.count());
        println!("  {what:<46} {:>8.1} M events/s", rate(select));
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

fn written(events: &[Event]) -> Option<Segment> {
    let mut writer = SegmentWriter::default();
    for event in events {
        writer.push(event.id, &event.borrowed());
    }
    writer.finish()
}

fn reader(segment: &Segment) -> Result<SegmentReader<'_>, flowmeter_segment::Corrupt> {
    let reader = SegmentReader::new(segment.events)?;
    Ok(Column::ALL.into_iter().fold(reader, |reader, column| reader.with(column, segment.column(column))))
}

/// An event of the load.
struct Event {
    id: EventId,
    texts: [String; TextField::ALL.len()],
    http_status: i32,
    duration_ms: i64,
    response_bytes: i64,
}

impl Event {
    fn borrowed(&self) -> UsageEvent<'_> {
        UsageEvent {
            texts: std::array::from_fn(|index| self.texts[index].as_str()),
            http_status: Some(self.http_status),
            duration_ms: Some(self.duration_ms),
            response_bytes: Some(self.response_bytes),
            ..UsageEvent::default()
        }
    }
}

/// Events as services send them: some label sets are far more frequent than others, invocation ids are random, and
/// durations and sizes are log-normal. About 1,000 come in a second.
fn events(count: usize) -> Vec<Event> {
    let mut random = Random(7);
    let tenant = TenantId::named("bench");
    let mut micros = START_MICROS;
    let event = |index: usize| {
        let request = RequestId(Uuid::from_u128((index / REQUEST_EVENTS) as u128));
        micros += 1 + i64::try_from(random.below(2_000)).unwrap_or_default();
        let id =
            RequestEventIds::new(tenant, request).at(index % REQUEST_EVENTS, Timestamp::from_micros(micros));
        // The product of two uniform numbers makes small ones frequent.
        let labels =
            Labels::numbered(random.below(LABEL_SETS + 1) * random.below(LABEL_SETS) / (LABEL_SETS + 1));
        let mut texts = <[String; TextField::ALL.len()]>::default();
        for (field, text) in [
            (TextField::Provider, "ODSLRequest".to_owned()),
            (TextField::Action, "read".to_owned()),
            (TextField::Application, format!("application-{}", labels.application)),
            (TextField::Environment, "production".to_owned()),
            (TextField::InvocationId, format!("{:016x}{:016x}", random.next(), random.next())),
            (TextField::Method, labels.method.to_owned()),
            (TextField::Service, format!("service-{}", labels.service)),
            (TextField::Type, "api".to_owned()),
            (TextField::User, format!("user-{}", random.below(USERS))),
        ] {
            texts[field as usize] = text;
        }
        Event {
            id,
            texts,
            http_status: STATUSES[random.below(STATUSES.len())],
            duration_ms: random.log_normal(40.0, 1.0),
            response_bytes: random.log_normal(2_000.0, 1.5),
        }
    };
    (0..count).map(event).collect()
}

/// Numbers that are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }

    /// From 0 to 1, without 0.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    #[allow(clippy::cast_possible_truncation, reason = "far below what fits")]
    fn log_normal(&mut self, median: f64, sigma: f64) -> i64 {
        let normal = (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        (median * (sigma * normal).exp()) as i64
    }
}
