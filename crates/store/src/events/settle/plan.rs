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
