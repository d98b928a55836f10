//! Whose turn it is to be checked. Tenants that have something waiting take turns, and none has more
//! than half of the places, so that whoever has many flows, or slow ones, leaves room for the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use flowmeter_core::ids::TenantId;

/// A flow as it is known among others.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub tenant: TenantId,
    pub flow_id: String,
}

/// A tenant's flows.
#[derive(Debug, Default)]
struct Line {
    /// Each once, in the order in which they came.
    waiting: VecDeque<Arc<Name>>,
    under_way: HashSet<Arc<Name>>,
}

impl Line {
    fn is_ready(&self, share: usize) -> bool {
        !self.waiting.is_empty() && self.under_way.len() < share
    }
}

/// The flows that wait for their turn and those that are being checked.
#[derive(Debug)]
pub struct Turns {
    places: usize,
    taken: usize,
    lines: HashMap<TenantId, Line>,
    /// The tenants whose line is ready, each once, whose turn it is first.
    order: VecDeque<TenantId>,
}

impl Turns {
    /// For so many checks at a time.
    pub fn new(places: usize) -> Self {
        Self { places, taken: 0, lines: HashMap::new(), order: VecDeque::new() }
    }

    /// How many checks of one tenant may be under way.
    fn share(&self) -> usize {
        (self.places / 2).max(1)
    }

    /// Changes a tenant's line, and lets the tenant take its turns if that is what made it ready.
    fn change(&mut self, tenant: TenantId, change: impl FnOnce(&mut Line)) {
        let share = self.share();
        let line = self.lines.entry(tenant).or_default();
        let was_ready = line.is_ready(share);
        change(line);
        if line.is_ready(share) && !was_ready {
            self.order.push_back(tenant);
        } else if line.waiting.is_empty() && line.under_way.is_empty() {
            self.lines.remove(&tenant);
        }
    }

    /// Lets a flow wait that does not wait yet.
    pub fn wait(&mut self, name: Arc<Name>) {
        self.change(name.tenant, |line| line.waiting.push_back(name));
    }

    /// Whether a flow is being checked.
    pub fn is_under_way(&self, name: &Arc<Name>) -> bool {
        self.lines.get(&name.tenant).is_some_and(|line| line.under_way.contains(name))
    }

    /// The flow whose turn it is, if there is a place. It is under way from now on.
    pub fn take(&mut self) -> Option<Arc<Name>> {
        if self.taken >= self.places {
            return None;
        }
        let tenant = self.order.pop_front()?;
        let share = self.share();
        let line = self.lines.get_mut(&tenant)?;
        let name = line.waiting.pop_front()?;
        line.under_way.insert(name.clone());
        if line.is_ready(share) {
            self.order.push_back(tenant);
        }
        self.taken += 1;
        Some(name)
    }

    /// The check of a flow has ended.
    pub fn end(&mut self, name: &Arc<Name>) {
        self.change(name.tenant, |line| {
            line.under_way.remove(name);
        });
        self.taken -= 1;
    }

    /// Lets only those wait on that are to be kept.
    pub fn retain_waiting(&mut self, keep: impl Fn(&Arc<Name>) -> bool) {
        let share = self.share();
        self.lines.retain(|_, line| {
            line.waiting.retain(&keep);
            !line.waiting.is_empty() || !line.under_way.is_empty()
        });
        self.order.retain(|tenant| self.lines.get(tenant).is_some_and(|line| line.is_ready(share)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tenant: u128, flow: usize) -> Arc<Name> {
        Arc::new(Name { tenant: TenantId(uuid::Uuid::from_u128(tenant)), flow_id: flow.to_string() })
    }

    /// A tenant with a thousand flows that wait, and another with one.
    fn crowded(places: usize) -> Turns {
        let mut turns = Turns::new(places);
        (0..1_000).for_each(|flow| turns.wait(name(1, flow)));
        turns.wait(name(2, 0));
        turns
    }

    fn take_all(turns: &mut Turns) -> Vec<Arc<Name>> {
        std::iter::from_fn(|| turns.take()).collect()
    }

    #[test]
    fn tenants_take_turns() {
        let mut turns = crowded(8);
        assert_eq!([turns.take(), turns.take()], [Some(name(1, 0)), Some(name(2, 0))]);
        // Whoever comes back waits for one turn of the other and no more.
        turns.end(&name(2, 0));
        turns.wait(name(2, 0));
        assert_eq!([turns.take(), turns.take()], [Some(name(1, 1)), Some(name(2, 0))]);
    }

    #[test]
    fn a_tenant_takes_half_of_the_places() {
        let mut turns = crowded(8);
        let first = take_all(&mut turns);
        assert_eq!(first.iter().filter(|taken| taken.tenant == name(1, 0).tenant).count(), 4);
        assert_eq!(first.len(), 5);
        // Also where it is alone, so that whoever comes finds places.
        turns.end(&name(2, 0));
        assert_eq!(turns.take(), None);
        (0..9).for_each(|flow| turns.wait(name(3, flow)));
        assert_eq!(take_all(&mut turns).len(), 4);
        // Each that ends makes room for one of its tenant.
        turns.end(&first[0]);
        turns.end(&name(3, 1));
        let mut next = take_all(&mut turns);
        next.sort();
        assert_eq!(next, [name(1, 4), name(3, 4)]);
    }

    #[test]
    fn there_are_never_more_than_the_places() {
        for (places, taken) in [(1, 1), (2, 2), (3, 3), (8, 8)] {
            let mut turns = Turns::new(places);
            (0..10).for_each(|tenant| turns.wait(name(tenant, 0)));
            assert_eq!(take_all(&mut turns).len(), taken);
            turns.end(&name(0, 0));
            assert_eq!(take_all(&mut turns).len(), 1);
        }
    }

    #[test]
    fn what_does_not_wait_any_more_gets_no_turn() {
        let mut turns = crowded(8);
        let taken = turns.take().unwrap();
        turns.retain_waiting(|name| name.flow_id == "500");
        assert_eq!(take_all(&mut turns), [name(1, 500)]);
        assert!(turns.is_under_way(&taken));
        turns.end(&taken);
        turns.end(&name(1, 500));
        assert!(turns.lines.is_empty() && turns.order.is_empty() && turns.taken == 0);
    }
}
