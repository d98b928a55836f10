//! What is to be checked next: the flows with their slots, and those whose slot has come and that
//! wait for their turn. Nothing here looks at a clock or does I/O.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::flows::CheckedFlow;

use super::health::Health;
use super::schedule::Schedule;

/// A flow as it is known among others.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name {
    tenant: TenantId,
    flow_id: String,
}

#[derive(Debug)]
struct Entry {
    flow: Arc<CheckedFlow>,
    health: Arc<Health>,
    schedule: Schedule,
    next: Timestamp,
    /// The slot that has come, while the flow waits for its turn.
    waiting: Option<Timestamp>,
}

/// A check that is to be made now.
#[derive(Debug, Clone)]
pub struct Due {
    /// The flow.
    pub flow: Arc<CheckedFlow>,
    /// How it was.
    pub health: Arc<Health>,
    /// The time that the check is of.
    pub slot: Timestamp,
}

/// The flows, and when each is to be checked.
#[derive(Debug)]
pub struct Agenda {
    usual_interval: Duration,
    flows: HashMap<Arc<Name>, Entry>,
    by_time: BTreeSet<(Timestamp, Arc<Name>)>,
    /// Flows that wait, each once, so that one which is checked often does not keep others waiting.
    waiting: VecDeque<Arc<Name>>,
}

impl Agenda {
    /// Without flows. Those that have no interval of their own get `usual_interval`.
    pub fn new(usual_interval: Duration) -> Self {
        let (flows, by_time, waiting) = (HashMap::new(), BTreeSet::new(), VecDeque::new());
        Self { usual_interval, flows, by_time, waiting }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.usual_interval);
    }

    /// Takes over the list of all flows, as it is at the time `now`.
    pub fn update(&mut self, flows: Vec<CheckedFlow>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.flows);
        self.by_time.clear();
        for flow in flows {
            let name = Name { tenant: flow.tenant, flow_id: flow.flow_id.clone() };
            let known = before.remove_entry(&name);
            let (name, entry) = match known {
                Some((name, entry)) => (name, self.changed(entry, flow, now)),
                None => (Arc::new(name), self.entry(flow, Arc::default(), now)),
            };
            self.by_time.insert((entry.next, name.clone()));
            self.flows.insert(name, entry);
        }
        self.waiting.retain(|name| self.flows.get(name).is_some_and(|entry| entry.waiting.is_some()));
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
        // Where the clock was put back, the slots that come now are nearer than the next one was.
        entry.next = entry.next.min(entry.schedule.next_after(now));
        entry
    }

    /// Lets flows whose slot has come by `now` wait for their turn. Returns how many slots were
    /// skipped, because their flow's turn had not come when its next slot did.
    pub fn advance(&mut self, now: Timestamp) -> u64 {
        let mut skipped = 0;
        while let Some((slot, _)) = self.by_time.first()
            && *slot <= now
            && let Some((_, name)) = self.by_time.pop_first()
            && let Some(entry) = self.flows.get_mut(&name)
        {
            entry.next = entry.schedule.next_after(now);
            self.by_time.insert((entry.next, name.clone()));
            // Where this process or the clock stood still, those before are missed, as if nobody
            // had been there.
            let slot = entry.schedule.last_until(now);
            if entry.waiting.replace(slot).is_some() {
                skipped += 1;
            } else {
                self.waiting.push_back(name);
            }
        }
        skipped
    }

    /// When the next slot comes.
    pub fn next_slot(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(slot, _)| *slot)
    }

    /// Whether a flow waits for its turn.
    pub fn is_due(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The check that has waited longest.
    pub fn take_due(&mut self) -> Option<Due> {
        let entry = self.flows.get_mut(&self.waiting.pop_front()?)?;
        let slot = entry.waiting.take()?;
        Some(Due { flow: entry.flow.clone(), health: entry.health.clone(), slot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const MINUTE: Duration = Duration::from_mins(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn flow(flow_id: &str, interval: Option<Duration>) -> CheckedFlow {
        let tenant = TenantId(uuid::Uuid::from_u128(7));
        let endpoint_url = "http://endpoint.example/".to_owned();
        CheckedFlow { tenant, flow_id: flow_id.to_owned(), endpoint_url, interval }
    }

    /// Makes all checks that are due.
    fn drain(agenda: &mut Agenda) -> Vec<(String, Timestamp)> {
        std::iter::from_fn(|| agenda.take_due()).map(|due| (due.flow.flow_id.clone(), due.slot)).collect()
    }

    fn with(flows: Vec<CheckedFlow>) -> Agenda {
        let mut agenda = Agenda::new(MINUTE);
        agenda.update(flows, START);
        agenda
    }

    #[test]
    fn every_slot_is_due_once() {
        let mut agenda = with(vec![flow("a", None), flow("b", Some(2 * MINUTE))]);
        let mut checks = Vec::new();
        for second in 0..=1_200 {
            assert_eq!(agenda.advance(START.plus(SECOND * second)), 0);
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
    fn a_slot_whose_turn_does_not_come_is_skipped_and_keeps_its_place() {
        let mut agenda = with(vec![flow("often", Some(SECOND)), flow("rarely", Some(MINUTE))]);
        let mut skipped = 0;
        for second in 0..=70 {
            skipped += agenda.advance(START.plus(SECOND * second));
        }
        assert!((66..=72).contains(&skipped), "{skipped}");
        let checks = drain(&mut agenda);
        // Each once, whoever came first, and of its newest slot.
        assert_eq!(checks.len(), 2);
        assert!(checks[0].0 == "often" && checks[0].1 > START.plus(SECOND * 68));
    }

    #[test]
    fn slots_that_passed_while_nobody_looked_are_missed() {
        let mut agenda = with(vec![flow("a", None)]);
        let now = START.plus(10 * MINUTE);
        assert_eq!(agenda.advance(now), 0);
        let checks = drain(&mut agenda);
        assert!(checks.len() == 1 && checks[0].1 <= now && checks[0].1 > now.minus(MINUTE + MINUTE / 10));
        assert!(agenda.next_slot().is_some_and(|slot| slot > now));
    }

    #[test]
    fn changes_take_effect_at_once() {
        let mut agenda = with(vec![flow("a", None), flow("b", None)]);
        agenda.advance(START.plus(MINUTE));
        assert!(agenda.is_due());
        let now = START.plus(MINUTE);
        let moved = CheckedFlow { endpoint_url: "http://elsewhere.example/".to_owned(), ..flow("c", None) };
        agenda.update(vec![flow("b", Some(SECOND)), moved], now);
        assert!(drain(&mut agenda).iter().all(|(name, _)| name == "b"));
        assert!(agenda.next_slot().is_some_and(|slot| slot <= now.plus(2 * SECOND)));
        agenda.update(Vec::new(), now);
        assert_eq!((agenda.next_slot(), agenda.is_due()), (None, false));
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_stop_the_checks() {
        let mut agenda = with(vec![flow("a", None)]);
        let earlier = START.minus(Duration::from_hours(2));
        agenda.update(vec![flow("a", None)], earlier);
        assert!(agenda.next_slot().is_some_and(|slot| slot <= earlier.plus(2 * MINUTE)));
    }
}
