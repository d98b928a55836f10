//! The backfill of a metric, which rolls up the events that were stored before its definition: its state in
//! words, and waiting for it.

use std::{io::IsTerminal, time::Duration};

use anyhow::Result;
use flowmeter_proto::v1::{Backfill, GetMetricRequest, Metric, backfill::State};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use crate::{arguments::Remote, connection, moment, render::text::grouped};

/// How often the state of a backfill is read while waiting for it.
const EVERY: Duration = Duration::from_millis(300);

/// How many reads may fail in a row while waiting for a backfill; with growing pauses, about a minute.
const FAILURES: u32 = 16;

/// The state of a backfill in words, at the time `now`.
pub(super) fn describe(backfill: &Backfill, now: Timestamp) -> String {
    let events = match u64::try_from(backfill.event_count) {
        Ok(1) => "1 event".to_owned(),
        Ok(count @ 2..) => format!("{} events", grouped(count)),
        _ => String::new(),
    };
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(moment::from_wire);
    let since_start =
        |end: Timestamp| time(&backfill.start_time).map(|start| seconds(end.duration_since(start)));
    let parts = match backfill.state() {
        State::Pending => ["waiting for a worker".to_owned(), events, String::new()],
        State::Running => {
            let through = time(&backfill.through_time).map(|time| format!("rolled up through {time}"));
            let running = since_start(now).map(|took| format!("running for {took}"));
            [through.unwrap_or_else(|| "started".into()), events, running.unwrap_or_default()]
        }
        State::Done => {
            let took = time(&backfill.finish_time).and_then(since_start).map(|took| format!("in {took}"));
            ["done".into(), events, took.unwrap_or_default()]
        }
        State::Unspecified => return String::new(),
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// A duration for people, with about two digits.
fn seconds(duration: SignedDuration) -> String {
    match duration.as_secs().max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Waits until the backfill of a metric is done, and returns the metric. Shows the progress on a terminal.
pub(super) async fn wait(mut metric: Metric, remote: &Remote) -> Result<Metric> {
    let mut client = connection::catalog(remote)?;
    let progress = progress();
    let mut failures = 0;
    while let Some(backfill) = metric.backfill.as_ref().filter(|backfill| backfill.state() != State::Done) {
        progress.set_message(describe(backfill, Timestamp::now()));
        progress.tick();
        tokio::time::sleep(EVERY).await;
        let request = GetMetricRequest { name: metric.name.clone(), version: 0 };
        let call = connection::within(remote.timeout, request, |request| client.get_metric(request));
        match call.await {
            Ok(answer) => {
                failures = 0;
                metric = answer.metric.unwrap_or_default();
            }
            Err(status) => match connection::retry_delay(&status, failures) {
                Some(delay) if failures < FAILURES => {
                    failures += 1;
                    tokio::time::sleep(delay).await;
                }
                _ => return Err(status.into()),
            },
        }
    }
    progress.finish_and_clear();
    Ok(metric)
}

fn progress() -> ProgressBar {
    let is_terminal = std::io::stderr().is_terminal();
    let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is valid");
    ProgressBar::with_draw_target(None, target).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_is_described_in_words() {
        let second = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut backfill = Backfill { state: State::Pending.into(), ..Backfill::default() };
        let now = Timestamp::from_second(1_795_168_812).unwrap();
        let mut texts = vec![describe(&backfill, now)];
        backfill.state = State::Running.into();
        texts.push(describe(&backfill, now));
        backfill.start_time = second(1_795_168_800);
        backfill.through_time = second(1_795_100_100);
        backfill.event_count = 1_234_567;
        texts.push(describe(&backfill, now));
        backfill.state = State::Done.into();
        backfill.finish_time = second(1_795_169_000);
        texts.push(describe(&backfill, now));
        insta::assert_snapshot!(texts.join("\n"), @r"
        waiting for a worker
        started
        rolled up through 2026-11-19T14:55:00Z, 1 234 567 events, running for 12 s
        done, 1 234 567 events, in 3 min
        ");
        assert_eq!(describe(&Backfill::default(), now), "");
    }
}
