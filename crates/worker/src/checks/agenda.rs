//! The checks to make next. The agenda knows the flows with their slots, the flows that are due and wait, and
//! the flows that are being checked, so that no flow is checked twice at the same time. Nothing here reads a
//! clock or does I/O.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::flows::CheckedFlow;

use super::fair_queue::{FairQueue, FlowName};
use super::health::Health;
use super::schedule::Schedule;

#[derive(Debug)]
struct Entry {
    flow: Arc<CheckedFlow>,
    health: Arc<Health>,
    schedule: Schedule,
    next: Timestamp,
    /// The slot that is due, while the flow waits.
    waiting: Option<Timestamp>,
}

/// A check that is due.
#[derive(Debug, Clone)]
pub struct Due {
    /// Identifies the flow when the check has ended.
    pub name: Arc<FlowName>,
    /// The flow.
    pub flow: Arc<CheckedFlow>,
    /// The results of its last checks.
    pub health: Arc<Health>,
    /// The time of the check.
    pub slot: Timestamp,
}

/// Slots that were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The number of slots skipped because the flow still waited when its next slot was due.
    pub crowded: u64,
    /// The number of slots skipped because the flow was still being checked.
    pub overlapping: u64,
}

/// The flows, and the times of their next checks.
#[derive(Debug)]
pub struct Agenda {
    usual_interval: Duration,
    flows: HashMap<Arc<FlowName>, Entry>,
    by_time: BTreeSet<(Timestamp, Arc<FlowName>)>,
    queue: FairQueue,
}

impl Agenda {
    /// An agenda without flows. Flows that do not define an interval are checked every `usual_interval`, and
    /// up to `concurrency` of them at a time.
    pub fn new(usual_interval: Duration, concurrency: usize) -> Self {
        let (flows, by_time) = (HashMap::new(), BTreeSet::new());
        Self { usual_interval, flows, by_time, queue: FairQueue::new(concurrency) }
    }

    /// Removes all flows except those that are being checked.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.by_time.clear();
        self.queue.retain_waiting(|_| false);
    }

    /// Replaces the list of flows at the time `now`.
    pub fn update(&mut self, flows: Vec<CheckedFlow>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.flows);
        self.by_time.clear();
        for flow in flows {
            let name = FlowName { tenant: flow.tenant, flow_id: flow.flow_id.clone() };
            let known = before.remove_entry(&name);
            let (name, entry) = match known {
                Some((name, entry)) => (name, self.changed(entry, flow, now)),
                None => (Arc::new(name), self.entry(flow, Arc::default(), now)),
            };
            self.by_time.insert((entry.next, name.clone()));
            self.flows.insert(name, entry);
        }
        let flows = &self.flows;
        self.queue.retain_waiting(|name| flows.get(name).is_some_and(|entry| entry.waiting.is_some()));
    }

    fn entry(&self, flow: CheckedFlow, health: Arc<Health>, now: Timestamp) -> Entry {
        let interval = flow.interval.unwrap_or(self.usual_interval);
        let schedule = Schedule::new(flow.tenant, &flow.flow_id, interval);
        Entry { flow: Arc::new(flow), health, schedule, next: schedule.next_after(now), waiting: None }
    }

    fn changed(&self, mut entry: Entry, flow: CheckedFlow, now: Timestamp) -> Entry {
        if *entry.flow != flow {
            return Entry { waiting: entry.waiting, ..self.entry(flow, entry.health, now) };
        }
        // If the clock was set back, there are slots before the one that was next.
        entry.next = entry.next.min(entry.schedule.next_after(now));
        entry
    }

    /// Queues the flows whose slot is due at `now`.
    pub fn advance(&mut self, now: Timestamp) -> Skipped {
        let mut skipped = Skipped::default();
        while let Some((slot, _)) = self.by_time.first()
            && *slot <= now
            && let Some((_, name)) = self.by_time.pop_first()
            && let Some(entry) = self.flows.get_mut(&name)
        {
            entry.next = entry.schedule.next_after(now);
            self.by_time.insert((entry.next, name.clone()));
            // If this process stood still or the clock was set forward, the slots before are missed.
            let slot = entry.schedule.last_until(now);
            if self.queue.is_under_way(&name) {
                skipped.overlapping += 1;
            } else if entry.waiting.replace(slot).is_some() {
                skipped.crowded += 1;
            } else {
                self.queue.push(name);
            }
        }
        skipped
    }

    /// The time of the next slot.
    pub fn next_slot(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(slot, _)| *slot)
    }

    /// Takes the next check that is due, if there is room for one. It counts as running until
    /// [`Self::ended`].
    pub fn take_due(&mut self) -> Option<Due> {
        let name = self.queue.pop()?;
        let entry = self.flows.get_mut(&name).expect("only known flows wait");
        let slot = entry.waiting.take().expect("it waits with its slot");
        Some(Due { name, flow: entry.flow.clone(), health: entry.health.clone(), slot })
    }

    /// The check of a flow has ended, even if the flow has been deleted meanwhile.
    pub fn ended(&mut self, name: &Arc<FlowName>) {
        self.queue.end(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::TenantId;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const MINUTE: Duration = Duration::from_mins(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn flow(flow_id: &str, interval: Option<Duration>) -> CheckedFlow {
        let tenant = TenantId(uuid::Uuid::from_u128(7));
        let endpoint_url = "http://endpoint.example/".to_owned();
        CheckedFlow { tenant, flow_id: flow_id.to_owned(), endpoint_url, interval }
    }

    /// Takes all checks that are due and for which there is room.
    fn take_all(agenda: &mut Agenda) -> Vec<Due> {
        std::iter::from_fn(|| agenda.take_due()).collect()
    }

    /// Makes all checks that are due.
    fn drain(agenda: &mut Agenda) -> Vec<(String, Timestamp)> {
        let made = take_all(agenda);
        for due in &made {
            agenda.ended(&due.name);
        }
        made.into_iter().map(|due| (due.flow.flow_id.clone(), due.slot)).collect()
    }

    fn with(flows: Vec<CheckedFlow>) -> Agenda {
        let mut agenda = Agenda::new(MINUTE, 8);
        agenda.update(flows, START);
        agenda
    }

    #[test]
    fn every_slot_is_due_once() {
        let mut agenda = with(vec![flow("a", None), flow("b", Some(2 * MINUTE))]);
        let mut checks = Vec::new();
        for second in 0..=1_200 {
            assert_eq!(agenda.advance(START.plus(SECOND * second)), Skipped::default());
            // Reading the list again changes nothing.
            agenda.update(vec![flow("b", Some(2 * MINUTE)), flow("a", None)], START.plus(SECOND * second));
            checks.extend(drain(&mut agenda));
        }
        let of = |name| checks.iter().filter(|(flow, _)| flow == name).collect::<Vec<_>>();
        assert!((19..=21).contains(&of("a").len()) && (9..=11).contains(&of("b").len()), "{checks:?}");
        assert!(of("a").is_sorted_by(|x, y| x.1 < y.1));
        let schedule = Schedule::new(flow("a", None).tenant, "a", MINUTE);
        assert!(of("a").windows(2).all(|pair| schedule.next_after(pair[0].1) == pair[1].1));
    }

    #[test]
    fn a_slot_is_skipped_while_its_flow_waits_and_the_flow_keeps_its_place() {
        let mut agenda = with(vec![flow("often", Some(SECOND)), flow("rarely", Some(MINUTE))]);
        let mut skipped = 0;
        for second in 0..=70 {
            let Skipped { crowded, overlapping } = agenda.advance(START.plus(SECOND * second));
            assert_eq!(overlapping, 0);
            skipped += crowded;
        }
        assert!((66..=72).contains(&skipped), "{skipped}");
        let checks = drain(&mut agenda);
        // Each flow once, in the order of arrival, and with its newest slot.
        assert_eq!(checks.len(), 2);
        assert!(checks[0].0 == "often" && checks[0].1 > START.plus(SECOND * 68));
    }

    #[test]
    fn slots_that_passed_during_a_pause_are_missed() {
        let mut agenda = with(vec![flow("a", None)]);
        let now = START.plus(10 * MINUTE);
        assert_eq!(agenda.advance(now), Skipped::default());
        let checks = drain(&mut agenda);
        assert!(checks.len() == 1 && checks[0].1 <= now && checks[0].1 > now.minus(MINUTE + MINUTE / 10));
        assert!(agenda.next_slot().is_some_and(|slot| slot > now));
    }

    #[test]
    fn changes_take_effect_at_once() {
        let mut agenda = with(vec![flow("a", None), flow("b", None)]);
        agenda.advance(START.plus(MINUTE));
        let now = START.plus(MINUTE);
        let moved = CheckedFlow { endpoint_url: "http://elsewhere.example/".to_owned(), ..flow("c", None) };
        agenda.update(vec![flow("b", Some(SECOND)), moved], now);
        assert!(drain(&mut agenda).iter().all(|(name, _)| name == "b"));
        assert!(agenda.next_slot().is_some_and(|slot| slot <= now.plus(2 * SECOND)));
        agenda.update(Vec::new(), now);
        assert!(agenda.next_slot().is_none() && agenda.take_due().is_none());
    }

    #[test]
    fn a_flow_has_at_most_one_check_at_a_time() {
        let mut agenda = with(vec![flow("a", Some(SECOND))]);
        agenda.advance(START.plus(2 * SECOND));
        let due = agenda.take_due().unwrap();
        let skips = |agenda: &mut Agenda, second| agenda.advance(START.plus(SECOND * second));
        assert_eq!(skips(&mut agenda, 4), Skipped { crowded: 0, overlapping: 1 });
        // Not even if it was deleted, registered again or forgotten meanwhile.
        agenda.update(Vec::new(), START.plus(4 * SECOND));
        agenda.update(vec![flow("a", Some(SECOND))], START.plus(4 * SECOND));
        assert_eq!(skips(&mut agenda, 6), Skipped { crowded: 0, overlapping: 1 });
        agenda.clear();
        agenda.update(vec![flow("a", Some(SECOND))], START.plus(6 * SECOND));
        assert_eq!(skips(&mut agenda, 8), Skipped { crowded: 0, overlapping: 1 });
        assert!(agenda.take_due().is_none());
        agenda.ended(&due.name);
        assert_eq!(skips(&mut agenda, 10), Skipped::default());
        assert!(agenda.take_due().is_some_and(|next| next.slot > START.plus(8 * SECOND)));
    }

    #[test]
    fn a_tenant_with_many_flows_leaves_room_for_others() {
        let of = |tenant, number: u32| CheckedFlow {
            tenant: TenantId(uuid::Uuid::from_u128(tenant)),
            ..flow(&number.to_string(), Some(SECOND))
        };
        let mut flows: Vec<_> = (0..1_000).map(|number| of(1, number)).collect();
        let mut agenda = with(flows.clone());
        agenda.advance(START.plus(2 * SECOND));
        assert_eq!(take_all(&mut agenda).len(), 4);
        // A thousand wait and none ends, but there is room for another tenant.
        flows.push(of(2, 0));
        agenda.update(flows, START.plus(2 * SECOND));
        agenda.advance(START.plus(4 * SECOND));
        let taken = take_all(&mut agenda);
        assert!(taken.len() == 1 && taken[0].flow.tenant == of(2, 0).tenant);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_checks() {
        let mut agenda = with(vec![flow("a", None)]);
        let earlier = START.minus(Duration::from_hours(2));
        agenda.update(vec![flow("a", None)], earlier);
        assert!(agenda.next_slot().is_some_and(|slot| slot <= earlier.plus(2 * MINUTE)));
    }
}
