//! The times of a flow's checks, as a function of the flow, its interval and the number of the check. So
//! checks do not drift, every worker computes the same times, and a check has the same id, whichever worker
//! makes it. Nothing here reads a clock.

use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use sha2::{Digest, Sha256};

/// The shortest interval of a flow. A shorter one counts as this one.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The longest interval of a flow. A longer one counts as this one.
pub const LONGEST_INTERVAL: Duration = Duration::from_hours(24);
/// A check is delayed by at most its interval divided by this number, so that an endpoint cannot predict it,
/// and checks of different flows that coincide once do not coincide for ever.
const JITTER_PART: i64 = 10;

/// The times at which one flow is checked, its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    seed: u64,
    interval_ms: i64,
    /// The position of its slots in the interval, which spreads the flows.
    phase_ms: i64,
}

impl Schedule {
    /// The slots of a flow that is checked once in every `interval`.
    pub fn new(tenant: TenantId, flow_id: &str, interval: Duration) -> Self {
        let interval = interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        let interval_ms = i64::try_from(interval.as_millis()).expect("at most a day");
        // The id of a tenant has a fixed length, so no two flows have the same text.
        let digest = Sha256::new_with_prefix(tenant.0.as_bytes()).chain_update(flow_id).finalize();
        let seed = u64::from_be_bytes(digest[..8].try_into().expect("8 bytes"));
        Self { seed, interval_ms, phase_ms: below(interval_ms, mix(seed)) }
    }

    /// The time of a slot, in whole milliseconds. It is later than that of the slot before.
    fn slot(&self, number: i64) -> Timestamp {
        let jitter = below(self.interval_ms / JITTER_PART, mix(self.seed ^ number.cast_unsigned()));
        Timestamp::from_micros((number * self.interval_ms + self.phase_ms + jitter) * 1_000)
    }

    /// The time of the first slot after `time`.
    pub fn next_after(&self, time: Timestamp) -> Timestamp {
        self.slot(self.last_at(time) + 1)
    }

    /// The time of the last slot that is not after `time`.
    pub fn last_until(&self, time: Timestamp) -> Timestamp {
        self.slot(self.last_at(time))
    }

    /// The number of the last slot that is not after `time`.
    fn last_at(&self, time: Timestamp) -> i64 {
        // The jitter is shorter than the interval, so it is this slot or the one before.
        let number = (time.micros().div_euclid(1_000) - self.phase_ms).div_euclid(self.interval_ms);
        if self.slot(number) <= time { number } else { number - 1 }
    }
}

/// A number of `0..end`, evenly distributed by `hash`.
fn below(end: i64, hash: u64) -> i64 {
    let scaled = (u128::from(hash) * u128::from(end.unsigned_abs())) >> u64::BITS;
    i64::try_from(scaled).expect("less than the end")
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014), which makes neighbouring numbers unrelated.
fn mix(number: u64) -> u64 {
    let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(7));

    fn intervals() -> impl Strategy<Value = Duration> {
        (1_000_u64..=86_400_000).prop_map(Duration::from_millis)
    }

    proptest! {
        #[test]
        fn slots_ascend_about_one_interval_apart(
            flow in "\\PC{1,9}",
            interval in intervals(),
            from in 0_i64..4_000_000_000_000_000,
        ) {
            let schedule = Schedule::new(TENANT, &flow, interval);
            let mut time = schedule.next_after(Timestamp::from_micros(from));
            let first = time;
            for _ in 0..50 {
                let next = schedule.next_after(time);
                prop_assert!(next >= time.plus(interval.mul_f64(0.9)));
                prop_assert!(next <= time.plus(interval.mul_f64(1.1)));
                time = next;
            }
            // No drift: the jitter does not add up.
            prop_assert!(time >= first.plus(interval * 50).minus(interval / 10));
            prop_assert!(time <= first.plus(interval * 50 + interval / 10));
        }

        #[test]
        fn the_next_slot_is_the_same_from_everywhere_before_it(
            flow in "\\PC{1,9}",
            interval in intervals(),
            from in 0_i64..4_000_000_000_000_000,
            part in 0.0..1.0_f64,
        ) {
            let schedule = Schedule::new(TENANT, &flow, interval);
            let slot = schedule.next_after(Timestamp::from_micros(from));
            let next = schedule.next_after(slot);
            prop_assert!(slot < next && slot.micros() > from);
            let between = slot.plus(next.since(slot).mul_f64(part)).min(Timestamp::from_micros(next.micros() - 1));
            prop_assert_eq!((schedule.last_until(between), schedule.next_after(between)), (slot, next));
            prop_assert_eq!(slot.micros() % 1_000, 0);
        }
    }

    #[test]
    fn flows_are_spread_over_the_interval() {
        let interval = Duration::from_mins(1);
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let mut tenths = [0; 10];
        for flow in 0..1_000 {
            let slot = Schedule::new(TENANT, &flow.to_string(), interval).next_after(start);
            let tenth = slot.since(start).as_millis() / 6_000;
            tenths[usize::try_from(tenth).unwrap().min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (50..=150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_jitter_differs_from_slot_to_slot() {
        let schedule = Schedule::new(TENANT, "f", Duration::from_mins(1));
        let offsets: std::collections::HashSet<_> =
            (0..100).map(|number| schedule.slot(number).micros() - number * 60_000_000).collect();
        assert!(offsets.len() > 90, "{offsets:?}");
    }

    #[test]
    fn slots_never_change_between_releases() {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let slot = |flow, interval| Schedule::new(TENANT, flow, interval).next_after(start).to_string();
        assert_eq!(slot("flow-1", Duration::from_mins(1)), "2023-11-14T22:13:28.715Z");
        assert_eq!(slot("flow-1", Duration::from_secs(1)), "2023-11-14T22:13:20.491Z");
    }

    #[test]
    fn intervals_have_limits() {
        let of = |interval| Schedule::new(TENANT, "f", interval);
        assert_eq!(of(Duration::ZERO), of(SHORTEST_INTERVAL));
        assert_eq!(of(Duration::MAX), of(LONGEST_INTERVAL));
    }
}
