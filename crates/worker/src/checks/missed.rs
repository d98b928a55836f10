//! Counts the checks that were not made, and logs their number once a minute. Missed checks do not count in
//! the availability of endpoints.

use std::time::Duration;

use tokio::time::Instant;

use super::agenda::Skipped;

/// The shortest time between two logs.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// The checks that were missed since the last log.
#[derive(Debug, Default)]
pub struct Missed {
    crowded: u64,
    overlapping: u64,
    faults: u64,
    /// The reason of the last fault.
    example: String,
    logged_at: Option<Instant>,
}

impl Missed {
    /// Slots were skipped.
    pub fn skipped(&mut self, skipped: Skipped) {
        self.crowded += skipped.crowded;
        self.overlapping += skipped.overlapping;
    }

    /// A check could not be made because of this worker.
    pub fn fault(&mut self, reason: String) {
        self.faults += 1;
        self.example = reason;
    }

    /// Logs the missed checks, once a minute. `late` is the number of results that wait for the broker.
    pub fn log(&mut self, concurrency: usize, late: usize) {
        let now = Instant::now();
        let Self { crowded, overlapping, faults, ref example, logged_at } = *self;
        if crowded + overlapping + faults == 0 || logged_at.is_some_and(|at| now < at + WARN_INTERVAL) {
            return;
        }
        if crowded > 0 {
            tracing::warn!(
                skipped = crowded,
                concurrency,
                waiting_for_broker = late,
                "checks were skipped because too many other checks were running, in total or for one tenant; \
                 raise --flow-check-concurrency, unless results wait for the broker"
            );
        }
        if overlapping > 0 {
            tracing::info!(
                skipped = overlapping,
                waiting_for_broker = late,
                "checks were skipped because the previous checks of the same flows had not ended"
            );
        }
        if faults > 0 {
            tracing::warn!(
                checks = faults,
                example,
                "checks could not be made because of this worker; they count neither as successes nor as failures"
            );
        }
        *self = Self { logged_at: Some(now), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_checks_are_logged_once_a_minute() {
        let mut missed = Missed::default();
        missed.log(8, 0);
        assert!(missed.logged_at.is_none(), "nothing was missed");
        missed.skipped(Skipped { crowded: 1, overlapping: 2 });
        missed.fault("no files".to_owned());
        missed.log(8, 0);
        assert_eq!((missed.crowded, missed.overlapping, missed.faults), (0, 0, 0));
        missed.fault("no ports".to_owned());
        missed.fault("no memory".to_owned());
        missed.log(8, 0);
        assert_eq!((missed.faults, missed.example.as_str()), (2, "no memory"), "it waits");
        missed.logged_at = Instant::now().checked_sub(WARN_INTERVAL);
        missed.log(8, 0);
        assert_eq!(missed.faults, 0);
    }
}
