//! How a flow's endpoint has been, so that the log tells what changed and lasts, not every check, and
//! no tenant can flood it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowmeter_store::flows::CheckedFlow;
use tokio::time::Instant;

use super::probe::Failure;

/// Checks with the same result in a row that make it a change: an endpoint that takes turns is none.
const LASTING: u32 = 3;
/// Changes that the log tells in a minute, of all flows: those of an outage that somebody reads about
/// one by one.
const MAX_TOLD: u32 = 60;
const MINUTE: Duration = Duration::from_mins(1);

/// How an endpoint was at its last checks.
#[derive(Debug, Default)]
pub struct Health(Mutex<Results>);

#[derive(Debug, Default)]
struct Results {
    last_available: Option<bool>,
    in_a_row: u32,
    /// What it was when it last lasted.
    lasted: Option<bool>,
}

impl Health {
    /// Takes over a result, and returns whether it is new and has lasted. That an endpoint was
    /// available from the beginning is not new.
    fn record(&self, available: bool) -> bool {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = results.last_available.replace(available) == Some(available);
        results.in_a_row = if goes_on { results.in_a_row.saturating_add(1) } else { 1 };
        if results.in_a_row < LASTING || results.lasted == Some(available) {
            return false;
        }
        results.lasted.replace(available).is_some() || !available
    }
}

/// Tells the log of changes, of all flows.
#[derive(Debug, Default)]
pub struct Changes(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    count: u32,
}

/// Whether a line is written.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Enough,
    /// This one is the first without.
    Exhausted,
    None,
}

impl Changes {
    /// Takes over the result of a check, and tells the log of a change.
    pub fn record(&self, flow: &CheckedFlow, health: &Health, result: &Result<(), Failure>) {
        if !health.record(result.is_ok()) {
            return;
        }
        match self.room(Instant::now()) {
            Room::Enough => tell(flow, result),
            Room::Exhausted => {
                tracing::info!("more changes of flows' availability are not shown for a minute");
            }
            Room::None => {}
        }
    }

    fn room(&self, now: Instant) -> Room {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.is_none_or(|since| now >= since + MINUTE) {
            *told = Told { since: Some(now), count: 0 };
        }
        told.count = told.count.saturating_add(1);
        match told.count {
            0..=MAX_TOLD => Room::Enough,
            count if count == MAX_TOLD + 1 => Room::Exhausted,
            _ => Room::None,
        }
    }
}

fn tell(flow: &CheckedFlow, result: &Result<(), Failure>) {
    let CheckedFlow { tenant, flow_id, .. } = flow;
    let reason = result.as_ref().err().map(Failure::reason);
    match result {
        Ok(()) => tracing::info!(%tenant, flow = flow_id, "the endpoint of a flow is available again"),
        Err(Failure::Refused(_)) => {
            tracing::warn!(%tenant, flow = flow_id, reason, "the endpoint of a flow is refused");
        }
        Err(_) => {
            tracing::info!(%tenant, flow = flow_id, reason, "the endpoint of a flow became unavailable");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the checks, from 1, that were news, of results that are `+` or `-`.
    fn news(results: &str) -> Vec<usize> {
        let health = Health::default();
        let news = results.chars().enumerate().filter(|(_, result)| health.record(*result == '+'));
        news.map(|(index, _)| index + 1).collect()
    }

    #[test]
    fn a_change_is_news_once_when_it_has_lasted() {
        assert_eq!(news("++++++++"), [0; 0]);
        assert_eq!(news("-----"), [3]);
        assert_eq!(news("+++---+++---"), [6, 9, 12]);
        assert_eq!(news("+---"), [4]);
        assert_eq!(news("---++-+++"), [3, 9]);
        assert_eq!(news("--++--++--++"), [0; 0]);
        assert_eq!(news(&"+-".repeat(50)), [0; 0]);
    }

    #[test]
    fn a_minute_has_room_for_so_many_changes() {
        let (changes, begin) = (Changes::default(), Instant::now());
        for _ in 0..2 {
            let rooms: Vec<_> = (0..100).map(|_| changes.room(begin)).collect();
            assert!(rooms[..60].iter().all(|room| *room == Room::Enough));
            assert!(rooms[60] == Room::Exhausted && rooms[61..].iter().all(|room| *room == Room::None));
            changes.0.lock().unwrap().since = Some(begin.checked_sub(MINUTE).unwrap());
        }
    }
}
