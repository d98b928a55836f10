//! Counts of items by their results, and a rate limit for log lines.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::items::Kind;

/// The minimum interval between log lines about one kind of loss, and between incidents of drops.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The number of items of a [`Batcher`](super::Batcher) since its start, by their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Usage events.
    pub usage: Tally,
    /// Requests to the endpoints of flows, including their counts.
    pub flow_requests: Tally,
    /// Reports of executions.
    pub executions: Tally,
}

/// The number of items of one kind by their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Put into the buffer.
    pub recorded: u64,
    /// Accepted by the service: durable, and counted once.
    pub accepted: u64,
    /// Rejected by the service, because they are invalid.
    pub rejected: u64,
    /// Put into the buffer and given up later.
    pub given_up: u64,
    /// Put into the buffer and not recorded, because the version of the service does not support items of this kind. They
    /// are not losses.
    pub unsupported: u64,
    /// Not put into the buffer, because it was full, the item was too large, or the batcher was shut down.
    pub dropped: u64,
}

impl Tally {
    /// In the buffer: waiting or in flight.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.recorded - self.accepted - self.rejected - self.given_up - self.unsupported
    }
}

impl Stats {
    pub(super) fn of(&mut self, kind: Kind) -> &mut Tally {
        match kind {
            Kind::Usage => &mut self.usage,
            Kind::FlowRequests => &mut self.flow_requests,
            Kind::Executions => &mut self.executions,
        }
    }
}

/// Adds up a count until it is time to log it.
#[derive(Debug, Default)]
pub(super) struct Occasional(Mutex<(u64, Option<Instant>)>);

impl Occasional {
    /// Adds `more`. Returns the sum since the last returned sum, if that was at least [`LOG_INTERVAL`] ago.
    pub(super) fn add(&self, more: u64) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (sum, last) = &mut *state;
        *sum += more;
        if last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sum_is_returned_at_most_once_per_interval() {
        let occasional = Occasional::default();
        assert_eq!(occasional.add(2), Some(2));
        assert_eq!(occasional.add(3), None);
        tokio::time::advance(LOG_INTERVAL).await;
        assert_eq!(occasional.add(4), Some(7));
    }
}
