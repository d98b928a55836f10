//! Checks that were not made, and the log's lines about them: once a minute, and never the endpoints'
//! fault.

use std::time::Duration;

use tokio::time::Instant;

use super::agenda::Skipped;

/// How often the log tells of them at most.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// What was missed since the log told of it.
#[derive(Debug, Default)]
pub struct Missed {
    crowded: u64,
    overlapping: u64,
    faults: u64,
    /// What one of the faults was.
    example: String,
    told: Option<Instant>,
}

impl Missed {
    /// Slots were skipped.
    pub fn skipped(&mut self, skipped: Skipped) {
        self.crowded += skipped.crowded;
        self.overlapping += skipped.overlapping;
    }

    /// A check could not be made, by our own fault.
    pub fn fault(&mut self, reason: String) {
        self.faults += 1;
        self.example = reason;
    }

    /// Tells the log, if there is something to tell and it is time. `late` results wait for the broker.
    pub fn tell(&mut self, concurrency: usize, late: usize) {
        let now = Instant::now();
        let Self { crowded, overlapping, faults, ref example, told } = *self;
        if crowded + overlapping + faults == 0 || told.is_some_and(|told| now < told + WARN_INTERVAL) {
            return;
        }
        if crowded > 0 {
            tracing::warn!(
                skipped = crowded,
                concurrency,
                waiting_for_broker = late,
                "checks were skipped, because too many others were under way, of all tenants or of \
                 one; unless those wait for the broker, raise --flow-check-concurrency"
            );
        }
        if overlapping > 0 {
            tracing::info!(
                skipped = overlapping,
                waiting_for_broker = late,
                "checks were skipped, because those of the same flows before them had not ended"
            );
        }
        if faults > 0 {
            tracing::warn!(
                checks = faults,
                example,
                "checks could not be made, by our own fault; they count neither way"
            );
        }
        *self = Self { told: Some(now), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_once_a_minute() {
        let mut missed = Missed::default();
        missed.tell(8, 0);
        assert!(missed.told.is_none(), "there is nothing to tell");
        missed.skipped(Skipped { crowded: 1, overlapping: 2 });
        missed.fault("no files".to_owned());
        missed.tell(8, 0);
        assert_eq!((missed.crowded, missed.overlapping, missed.faults), (0, 0, 0));
        missed.fault("no ports".to_owned());
        missed.fault("no memory".to_owned());
        missed.tell(8, 0);
        assert_eq!((missed.faults, missed.example.as_str()), (2, "no memory"), "it waits");
        missed.told = Instant::now().checked_sub(WARN_INTERVAL);
        missed.tell(8, 0);
        assert_eq!(missed.faults, 0);
    }
}
