//! What became of all that a batcher was given, and lines of log that do not come too often.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::items::Kind;

/// Lines of log about one kind of loss come at most this often, and so do incidents of drops.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What became of all that a [`Batcher`](super::Batcher) was given since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Of usage events.
    pub usage: Tally,
    /// Of requests to the endpoints of flows, by their counts.
    pub flow_requests: Tally,
    /// Of reports of executions.
    pub executions: Tally,
}

/// What became of items of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken into the buffer.
    pub recorded: u64,
    /// Accepted by the service: durable, and counted once.
    pub accepted: u64,
    /// Not accepted by the service, because they are wrong.
    pub rejected: u64,
    /// Taken into the buffer and given up later.
    pub given_up: u64,
    /// Taken into the buffer and not sent, or not taken by the service, because that is of a version that knows no
    /// items of this kind. Nothing is lost by that.
    pub unsupported: u64,
    /// Not taken into the buffer: there was no room, they are too large, or the batcher was shut down.
    pub dropped: u64,
}

impl Tally {
    /// In the buffer: waiting, or under way.
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

/// Adds up what there is to say until it is time to say it.
#[derive(Debug, Default)]
pub(super) struct Occasional(Mutex<(u64, Option<Instant>)>);

impl Occasional {
    /// Adds so many. Returns the sum since it was last returned, if that is long enough ago.
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
    async fn says_it_at_most_every_so_often() {
        let occasional = Occasional::default();
        assert_eq!(occasional.add(2), Some(2));
        assert_eq!(occasional.add(3), None);
        tokio::time::advance(LOG_INTERVAL).await;
        assert_eq!(occasional.add(4), Some(7));
    }
}
