//! Decides which segments are merged.

use std::collections::HashSet;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;

use crate::events::append::{Level, MAX_EVENTS, MAX_TEXT_BYTES, SPAN, hour};
use crate::events::scan::SegmentKey;

/// A segment that may be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub tenant: TenantId,
    pub key: SegmentKey,
    pub events: usize,
    pub text_bytes: usize,
    pub generation: i32,
    /// Whether it was settled with its week.
    pub is_of_week: bool,
}

/// An hour of a tenant, by its start.
pub(super) type Hour = (TenantId, Timestamp);

/// Segments that become one, or a single one that only gets another level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub tenant: TenantId,
    pub keys: Vec<SegmentKey>,
    pub generation: i32,
    /// The level of the result.
    pub level: Level,
}

/// A segment of so many events is large: it is dense enough, and stays as it is. So under load, when batches are large,
/// an event is written once.
pub(super) const LARGE: usize = 16_384;
/// So many segments of about the same size are merged before their hour has ended, or when they came late.
const MANY: usize = 8;

impl Placed {
    pub(super) fn hour(&self) -> Hour {
        (self.tenant, hour(self.key.first))
    }

    fn is_large(&self) -> bool {
        self.events >= LARGE || self.text_bytes >= MAX_TEXT_BYTES / 2
    }

    /// Segments of one tier differ in size by less than [`MANY`] times.
    fn tier(&self) -> usize {
        self.events.max(1).ilog(MANY) as usize
    }
}

/// The steps that are due for segments as they were appended, which are in the order of tenants and ids. Hours that
/// ended before `ended` are settled once; what comes later is merged like that of an hour that is under way.
pub(super) fn steps_of_hours(
    segments: &[Placed],
    ended: Timestamp,
    settled_hours: &HashSet<Hour>,
) -> Vec<Step> {
    let same = |a: &Placed, b: &Placed| a.hour() == b.hour() && a.generation == b.generation;
    let mut steps = Vec::new();
    for group in segments.chunk_by(same) {
        let hour = group[0].hour();
        if hour.1.plus(SPAN) <= ended && !settled_hours.contains(&hour) {
            steps.extend(runs(group, Level::Hour));
            continue;
        }
        let small: Vec<_> = group.iter().filter(|segment| !segment.is_large()).copied().collect();
        let count = |tier| small.iter().filter(|segment| segment.tier() == tier).count();
        let tiers = 0..=LARGE.ilog(MANY) as usize;
        if let Some(due) = tiers.rev().find(|tier| count(*tier) >= MANY) {
            let due: Vec<_> = small.into_iter().filter(|segment| segment.tier() <= due).collect();
            steps.extend(runs(&due, Level::Appended).into_iter().filter(|step| step.keys.len() > 1));
        }
    }
    steps
}

/// The steps for the segments of a week that has ended, which are in the order of tenants and ids.
pub(super) fn steps_of_week(segments: &[Placed]) -> Vec<Step> {
    let same = |a: &Placed, b: &Placed| a.tenant == b.tenant && a.generation == b.generation;
    let runs = segments.chunk_by(same).flat_map(|group| runs(group, Level::Week));
    // One that was settled before and meets no other stays as it is.
    let settled: HashSet<_> =
        segments.iter().filter(|segment| segment.is_of_week).map(|segment| segment.key).collect();
    runs.filter(|step| step.keys.len() > 1 || !settled.contains(&step.keys[0])).collect()
}

/// Cuts segments into runs that each become one segment. Those that are large already stay alone.
fn runs(segments: &[Placed], level: Level) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut events, mut text_bytes, mut step_is_large) = (0, 0, false);
    for segment in segments {
        events += segment.events;
        text_bytes += segment.text_bytes;
        match steps.last_mut() {
            Some(step)
                if !step_is_large
                    && !segment.is_large()
                    && events <= MAX_EVENTS
                    && text_bytes <= MAX_TEXT_BYTES =>
            {
                step.keys.push(segment.key);
            }
            _ => {
                (events, text_bytes) = (segment.events, segment.text_bytes);
                let Placed { tenant, key, generation, .. } = *segment;
                step_is_large = segment.is_large();
                steps.push(Step { tenant, keys: vec![key], generation, level });
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::EventId;
    use std::time::Duration;

    const HOUR: &str = "2024-11-20T10:00:00Z";

    /// Segments of one tenant, each of so many events, in one hour.
    fn segments(events: &[usize]) -> Vec<Placed> {
        let hour: Timestamp = HOUR.parse().unwrap();
        let placed = |(minute, events): (u32, &usize)| Placed {
            tenant: TenantId::named("acme"),
            key: SegmentKey {
                first: EventId::first_at(hour.plus(Duration::from_mins(minute.into()))),
                number: 0,
            },
            events: *events,
            text_bytes: events * 100,
            generation: 0,
            is_of_week: false,
        };
        (0..).zip(events).map(placed).collect()
    }

    /// The numbers of events that each step merges.
    fn sizes(segments: &[Placed], steps: &[Step]) -> Vec<Vec<usize>> {
        let size = |key: &SegmentKey| segments.iter().find(|segment| segment.key == *key).unwrap().events;
        steps.iter().map(|step| step.keys.iter().map(size).collect()).collect()
    }

    fn during(events: &[usize]) -> Vec<Vec<usize>> {
        let segments = segments(events);
        sizes(&segments, &steps_of_hours(&segments, HOUR.parse().unwrap(), &HashSet::new()))
    }

    #[test]
    fn an_hour_that_is_under_way_merges_many_of_a_size() {
        assert_eq!(during(&[1; 7]), Vec::<Vec<usize>>::new());
        assert_eq!(during(&[1; 8]), [vec![1; 8]]);
        // Smaller ones are merged along, larger ones are not.
        let mixed = [&[1, 100_000, 5_000][..], &[100; 8]].concat();
        assert_eq!(during(&mixed), [[&[1][..], &[100; 8]].concat()]);
        assert_eq!(during(&[LARGE; 20]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn an_hour_that_has_ended_is_settled_once() {
        let segments = segments(&[1, 2, LARGE, 3, 4]);
        let ended: Timestamp = "2024-11-20T11:00:00Z".parse().unwrap();
        let steps = steps_of_hours(&segments, ended, &HashSet::new());
        assert_eq!(sizes(&segments, &steps), [vec![1, 2], vec![LARGE], vec![3, 4]]);
        assert!(steps.iter().all(|step| step.level == Level::Hour));
        let settled = HashSet::from([segments[0].hour()]);
        assert_eq!(steps_of_hours(&segments, ended, &settled), []);
        let before = "2024-11-20T10:59:59Z".parse().unwrap();
        assert_eq!(steps_of_hours(&segments, before, &HashSet::new()), []);
    }

    #[test]
    fn a_merged_segment_is_neither_too_large_nor_of_two_generations() {
        let mut segments = segments(&[5_000; 8]);
        let steps = steps_of_week(&segments);
        assert_eq!(sizes(&segments, &steps), [vec![5_000; 6], vec![5_000; 2]]);
        segments[3].generation = 1;
        let steps = steps_of_week(&segments);
        assert_eq!(sizes(&segments, &steps), [vec![5_000; 3], vec![5_000], vec![5_000; 4]]);
        for segment in &mut segments {
            segment.text_bytes = MAX_TEXT_BYTES / 2 - 1;
        }
        assert_eq!(steps_of_week(&segments[4..]).len(), 2);
        for segment in &mut segments {
            segment.is_of_week = true;
        }
        assert_eq!(steps_of_week(&segments[3..4]), [], "it is settled and alone");
    }
}
