//! `bench peers`: the same events in Flowmeter and in other databases, and the same questions.
//!
//! The systems run one after the other, so that each has the whole machine. Every answer is compared with what the
//! events contain.

mod dialect;
mod flowmeter;
mod http;
mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_stack::{Peer, PeerKind, Progress, StackDir, workspace_root};

use self::dialect::{Cache, Dialect};
use crate::days::Days;
use crate::events::{APPLICATIONS, Event, METHODS, READS};
use crate::figures::Figure;
use crate::installation::with_stack;
use crate::percentiles::Durations;
use crate::report::{Report, ratio};

/// The load, and how often the questions are asked.
#[derive(Debug, clap::Args)]
pub struct Peers {
    /// The number of events, spread evenly over the last 30 whole days.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
    /// The number of events in a request.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// The number of requests that are sent at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// The maximum number of times to ask each question. A question is asked fewer times if that would take longer
    /// than 20 seconds.
    #[arg(long, default_value_t = 200)]
    queries: usize,
}

/// The time within which all data must be in the answers after it is sent. If it takes longer, something is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);
/// The time to spend on a question at most. Half of it is for the warm-up.
const QUESTION_LIMIT: Duration = Duration::from_secs(20);
/// The size on disk counts when it has not changed for this number of seconds.
const UNCHANGED_SECONDS: u32 = 10;
/// The number of seconds after which the size on disk counts in any case.
const SETTLE_SECONDS: u32 = 90;

/// The events of all systems.
#[derive(Clone)]
struct Load {
    days: Days,
    batch: u64,
    in_flight: u32,
    queries: usize,
    expected: Arc<Expected>,
}

/// What the answers must contain.
struct Expected {
    reads: u64,
    /// The requests with the method `get`, by application.
    gets: [u64; APPLICATIONS],
}

impl Expected {
    fn of(events: u64) -> Self {
        let mut expected = Self { reads: 0, gets: [0; APPLICATIONS] };
        for labels in (0..events).map(|number| Event::numbered(number).labels) {
            expected.reads += u64::from(READS.contains(&labels.method));
            expected.gets[labels.application] += u64::from(labels.method == METHODS[0]);
        }
        expected
    }
}

/// A question, whose answer is a count for each hour of the 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// All reads.
    Reads,
    /// The requests of an application, which is different at each turn, with the method `get`.
    Gets,
}

impl Question {
    const ALL: [Self; 2] = [Self::Reads, Self::Gets];

    fn name(self) -> &'static str {
        match self {
            Self::Reads => "30 days by hour",
            Self::Gets => "30 days by hour, filtered",
        }
    }

    /// The number of turns after which the question repeats.
    fn repeats(self) -> usize {
        match self {
            Self::Reads => 1,
            Self::Gets => APPLICATIONS,
        }
    }

    fn expected(self, turn: usize, expected: &Expected) -> u64 {
        match self {
            Self::Reads => expected.reads,
            Self::Gets => expected.gets[turn % APPLICATIONS],
        }
    }
}

/// What was measured of one system.
struct Measured {
    /// Events per second, from the first request until the answers contain all of them.
    loaded: f64,
    /// CPU seconds of all of its processes per million events.
    cpu: f64,
    /// Bytes on disk per event.
    bytes: f64,
    answers: Vec<Answer>,
}

/// How long the answers to a question took.
struct Answer {
    question: Question,
    cache: Cache,
    durations: Durations,
}

impl Peers {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        let load = Load {
            days: Days::until_today(self.events),
            batch: self.batch.into(),
            in_flight: self.in_flight,
            queries: self.queries,
            expected: Arc::new(Expected::of(self.events)),
        };
        let progress = Progress::visible(Arc::default());
        let dir = StackDir::claim(&workspace_root().join("target/stack-bench-peers"), true)?;
        // Installed before anything is measured, so that a missing package is known at once.
        for kind in [PeerKind::VictoriaMetrics, PeerKind::InfluxDb] {
            Peer::install(kind, &progress)?;
        }
        report.section(format_args!(
            "{} events over {} in requests of {}, {} at the same time; ratios are to Flowmeter",
            self.events,
            load.days.range(),
            self.batch,
            self.in_flight,
        ));
        let ours = with_stack(&[], report, async |stack, _| flowmeter::measure(stack, &load).await)?;
        add_figures("Flowmeter", &ours, None, report);
        for dialect in [Dialect::VICTORIA_METRICS, Dialect::INFLUXDB] {
            let peer = Peer::start(dialect.kind, &dir.below(dialect.kind.name())?, &progress)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let measured = runtime.block_on(peer::measure(&peer, dialect, &load));
            let data = peer.directory().to_owned();
            peer.stop()?;
            std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
            add_figures(dialect.kind.name(), &measured?, Some((&ours, &dialect)), report);
        }
        Ok(())
    }
}

/// Adds the figures of a system. Those of another system than Flowmeter have the ratio and a remark beside them.
fn add_figures(
    name: &str,
    measured: &Measured,
    compared: Option<(&Measured, &Dialect)>,
    report: &mut Report,
) {
    let mut add = |what: &str, unit: &str, value: f64, compared: Option<(f64, String)>| {
        let figure = Figure::new(format!("{name}: {what}"), unit, value).headline();
        report.add(match compared {
            Some((ours, remark)) => figure.note(format!("{} Flowmeter's; {remark}", ratio(value, ours))),
            None => figure,
        });
    };
    let beside = |ours: fn(&Measured) -> f64, remark: fn(&Dialect) -> &'static str| {
        compared.map(|(flowmeter, dialect)| (ours(flowmeter), remark(dialect).to_owned()))
    };
    let loaded = beside(|ours| ours.loaded, |dialect| dialect.loading);
    add("loaded and queryable", "events/s", measured.loaded, loaded);
    let cpu = beside(|ours| ours.cpu, |dialect| dialect.loading);
    add("CPU of the load", "s/million events", measured.cpu, cpu);
    let bytes = beside(|ours| ours.bytes, |dialect| dialect.keeping);
    add("on disk", "bytes/event", measured.bytes, bytes);
    for answer in &measured.answers {
        for percent in [50, 99] {
            let compared = compared.and_then(|(flowmeter, dialect)| {
                let ours = flowmeter.answers.iter().find(|ours| ours.question == answer.question)?;
                let remark = match answer.cache {
                    Cache::Unused => dialect.answering,
                    Cache::Used => "from a cache of answers, which Flowmeter does not have",
                };
                let remark = format!("{remark}; asked {} times", answer.durations.count());
                Some((ours.durations.millis(percent), remark))
            });
            let name = format!("{}{}, p{percent}", answer.question.name(), answer.cache.suffix());
            add(&name, "ms", answer.durations.millis(percent), compared);
        }
    }
}

/// Asks a question many times, and checks each answer. Earlier times, which bring its data into memory, do not count.
async fn ask_often(
    question: Question,
    load: &Load,
    mut ask: impl AsyncFnMut(Question, usize) -> Result<u64>,
) -> Result<Durations> {
    let begin = Instant::now();
    let mut taken = Vec::new();
    let mut turn = 0;
    let warm_up = question.repeats().max(5);
    let mut is_warm = false;
    while taken.len() < load.queries.max(1) && (taken.is_empty() || begin.elapsed() < QUESTION_LIMIT) {
        let asked = Instant::now();
        let counted = ask(question, turn).await?;
        let duration = asked.elapsed();
        let expected = question.expected(turn, &load.expected);
        ensure!(counted == expected, "{}: expected {expected} events, found {counted}", question.name());
        if is_warm {
            taken.push(duration);
        }
        turn += 1;
        is_warm = turn >= warm_up || begin.elapsed() > QUESTION_LIMIT / 2;
    }
    Ok(Durations::new(taken))
}

/// The size when it no longer changes: what is merged or vacuumed later is not the size that lasts.
async fn settled(mut bytes: impl AsyncFnMut() -> Result<u64>) -> Result<u64> {
    let (mut last, mut unchanged) = (bytes().await?, 0);
    for _ in 0..SETTLE_SECONDS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = bytes().await?;
        unchanged = if now == last { unchanged + 1 } else { 0 };
        last = now;
        if unchanged == UNCHANGED_SECONDS {
            break;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_answers_follow_from_the_events() {
        let expected = Expected::of(2_000);
        let gets: u64 = expected.gets.iter().sum();
        assert!(gets > 0 && gets < expected.reads && expected.reads < 2_000);
        assert_eq!(Question::Gets.expected(APPLICATIONS + 3, &expected), expected.gets[3]);
    }
}
