//! Logs the availability of the endpoints of flows. It only logs lasting changes, and a limited number of
//! them, so that no tenant can flood the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowmeter_store::flows::CheckedFlow;
use tokio::time::Instant;

use super::probe::Failure;

/// The number of equal results in a row that make a change, so that an endpoint that alternates does not make
/// any.
const LASTING: u32 = 3;
/// The maximum number of changes of all flows that are logged in a minute: as many as an operator can read.
const MAX_LOGGED: u32 = 60;
const MINUTE: Duration = Duration::from_mins(1);

/// The results of an endpoint's last checks.
#[derive(Debug, Default)]
pub struct Health(Mutex<Results>);

#[derive(Debug, Default)]
struct Results {
    last_available: Option<bool>,
    in_a_row: u32,
    /// The last result that lasted.
    lasted: Option<bool>,
}

impl Health {
    /// Records a result, and returns whether it is a change that has lasted. An endpoint that is available
    /// from the beginning is not a change.
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

/// Logs the changes of all flows.
#[derive(Debug, Default)]
pub struct Changes(Mutex<Logged>);

#[derive(Debug, Default)]
struct Logged {
    since: Option<Instant>,
    count: u32,
}

/// Whether a change is logged.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Enough,
    /// It is the first change that is not logged.
    Exhausted,
    None,
}

impl Changes {
    /// Records the result of a check, and logs a change.
    pub fn record(&self, flow: &CheckedFlow, health: &Health, result: &Result<(), Failure>) {
        if !health.record(result.is_ok()) {
            return;
        }
        match self.room(Instant::now()) {
            Room::Enough => log(flow, result),
            Room::Exhausted => {
                tracing::info!("further changes of the availability of flows are not logged for a minute");
            }
            Room::None => {}
        }
    }

    fn room(&self, now: Instant) -> Room {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.since.is_none_or(|since| now >= since + MINUTE) {
            *logged = Logged { since: Some(now), count: 0 };
        }
        logged.count = logged.count.saturating_add(1);
        match logged.count {
            0..=MAX_LOGGED => Room::Enough,
            count if count == MAX_LOGGED + 1 => Room::Exhausted,
            _ => Room::None,
        }
    }
}

fn log(flow: &CheckedFlow, result: &Result<(), Failure>) {
    let CheckedFlow { tenant, flow_id, .. } = flow;
    let reason = result.as_ref().err().map(Failure::reason);
    match result {
        Ok(()) => tracing::info!(%tenant, flow = flow_id, "the endpoint of a flow is available again"),
        Err(Failure::Refused(_)) => {
            tracing::warn!(%tenant, flow = flow_id, reason, "the endpoint of a flow has an address that is not allowed");
        }
        Err(_) => {
            tracing::info!(%tenant, flow = flow_id, reason, "the endpoint of a flow became unavailable");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the checks, from 1, at which there was news, of results that are `+` or `-`.
    fn news(results: &str) -> Vec<usize> {
        let health = Health::default();
        let news = results.chars().enumerate().filter(|(_, result)| health.record(*result == '+'));
        news.map(|(index, _)| index + 1).collect()
    }

    #[test]
    fn a_lasting_change_is_logged_once() {
        assert_eq!(news("++++++++"), [0; 0]);
        assert_eq!(news("-----"), [3]);
        assert_eq!(news("+++---+++---"), [6, 9, 12]);
        assert_eq!(news("+---"), [4]);
        assert_eq!(news("---++-+++"), [3, 9]);
        assert_eq!(news("--++--++--++"), [0; 0]);
        assert_eq!(news(&"+-".repeat(50)), [0; 0]);
    }

    #[test]
    fn the_number_of_changes_in_a_minute_is_limited() {
        let (changes, begin) = (Changes::default(), Instant::now());
        for _ in 0..2 {
            let rooms: Vec<_> = (0..100).map(|_| changes.room(begin)).collect();
            assert!(rooms[..60].iter().all(|room| *room == Room::Enough));
            assert!(rooms[60] == Room::Exhausted && rooms[61..].iter().all(|room| *room == Room::None));
            changes.0.lock().unwrap().since = Some(begin.checked_sub(MINUTE).unwrap());
        }
    }
}
