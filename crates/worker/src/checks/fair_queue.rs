//! A fair queue of the flows that are due. Tenants with waiting flows are served in turn, and none has more
//! than half of the slots, so that a tenant with many or slow flows leaves room for the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use flowmeter_core::ids::TenantId;

/// Identifies a flow among those of all tenants.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowName {
    pub tenant: TenantId,
    pub flow_id: String,
}

/// The flows of one tenant.
#[derive(Debug, Default)]
struct TenantQueue {
    /// Each flow once, in the order of arrival.
    waiting: VecDeque<Arc<FlowName>>,
    under_way: HashSet<Arc<FlowName>>,
}

impl TenantQueue {
    fn is_ready(&self, share: usize) -> bool {
        !self.waiting.is_empty() && self.under_way.len() < share
    }
}

/// The flows that wait, and those that are being checked.
#[derive(Debug)]
pub struct FairQueue {
    slots: usize,
    taken: usize,
    tenants: HashMap<TenantId, TenantQueue>,
    /// The tenants whose queue is ready, each once; the next one is first.
    order: VecDeque<TenantId>,
}

impl FairQueue {
    /// A queue for `slots` checks at a time.
    pub fn new(slots: usize) -> Self {
        Self { slots, taken: 0, tenants: HashMap::new(), order: VecDeque::new() }
    }

    /// The maximum number of running checks of one tenant.
    fn share(&self) -> usize {
        (self.slots / 2).max(1)
    }

    /// Changes a tenant's queue, and appends the tenant to the order if the change made its queue ready.
    fn change(&mut self, tenant: TenantId, change: impl FnOnce(&mut TenantQueue)) {
        let share = self.share();
        let queue = self.tenants.entry(tenant).or_default();
        let was_ready = queue.is_ready(share);
        change(queue);
        if queue.is_ready(share) && !was_ready {
            self.order.push_back(tenant);
        } else if queue.waiting.is_empty() && queue.under_way.is_empty() {
            self.tenants.remove(&tenant);
        }
    }

    /// Appends a flow that does not wait yet.
    pub fn push(&mut self, name: Arc<FlowName>) {
        self.change(name.tenant, |queue| queue.waiting.push_back(name));
    }

    /// Whether a flow is being checked.
    pub fn is_under_way(&self, name: &Arc<FlowName>) -> bool {
        self.tenants.get(&name.tenant).is_some_and(|queue| queue.under_way.contains(name))
    }

    /// Takes the next flow, if a slot is free. The flow counts as being checked until [`Self::end`].
    pub fn pop(&mut self) -> Option<Arc<FlowName>> {
        if self.taken >= self.slots {
            return None;
        }
        let tenant = self.order.pop_front()?;
        let share = self.share();
        let queue = self.tenants.get_mut(&tenant)?;
        let name = queue.waiting.pop_front()?;
        queue.under_way.insert(name.clone());
        if queue.is_ready(share) {
            self.order.push_back(tenant);
        }
        self.taken += 1;
        Some(name)
    }

    /// The check of a flow has ended: its slot is free.
    pub fn end(&mut self, name: &Arc<FlowName>) {
        self.change(name.tenant, |queue| {
            queue.under_way.remove(name);
        });
        self.taken -= 1;
    }

    /// Removes the waiting flows that are not to be kept.
    pub fn retain_waiting(&mut self, keep: impl Fn(&Arc<FlowName>) -> bool) {
        let share = self.share();
        self.tenants.retain(|_, queue| {
            queue.waiting.retain(&keep);
            !queue.waiting.is_empty() || !queue.under_way.is_empty()
        });
        self.order.retain(|tenant| self.tenants.get(tenant).is_some_and(|queue| queue.is_ready(share)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tenant: u128, flow: usize) -> Arc<FlowName> {
        Arc::new(FlowName { tenant: TenantId(uuid::Uuid::from_u128(tenant)), flow_id: flow.to_string() })
    }

    /// A tenant with a thousand waiting flows, and another with one.
    fn crowded(slots: usize) -> FairQueue {
        let mut queue = FairQueue::new(slots);
        (0..1_000).for_each(|flow| queue.push(name(1, flow)));
        queue.push(name(2, 0));
        queue
    }

    fn take_all(queue: &mut FairQueue) -> Vec<Arc<FlowName>> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn tenants_are_served_in_turn() {
        let mut queue = crowded(8);
        assert_eq!([queue.pop(), queue.pop()], [Some(name(1, 0)), Some(name(2, 0))]);
        // A tenant that comes back waits for one flow of the other and no more.
        queue.end(&name(2, 0));
        queue.push(name(2, 0));
        assert_eq!([queue.pop(), queue.pop()], [Some(name(1, 1)), Some(name(2, 0))]);
    }

    #[test]
    fn a_tenant_has_half_of_the_slots() {
        let mut queue = crowded(8);
        let first = take_all(&mut queue);
        assert_eq!(first.iter().filter(|taken| taken.tenant == name(1, 0).tenant).count(), 4);
        assert_eq!(first.len(), 5);
        // Even if it is the only tenant, so that a tenant that arrives finds free slots.
        queue.end(&name(2, 0));
        assert_eq!(queue.pop(), None);
        (0..9).for_each(|flow| queue.push(name(3, flow)));
        assert_eq!(take_all(&mut queue).len(), 4);
        // Each that ends makes room for one of its tenant.
        queue.end(&first[0]);
        queue.end(&name(3, 1));
        let mut next = take_all(&mut queue);
        next.sort();
        assert_eq!(next, [name(1, 4), name(3, 4)]);
    }

    #[test]
    fn no_more_than_the_slots_are_taken() {
        for (slots, taken) in [(1, 1), (2, 2), (3, 3), (8, 8)] {
            let mut queue = FairQueue::new(slots);
            (0..10).for_each(|tenant| queue.push(name(tenant, 0)));
            assert_eq!(take_all(&mut queue).len(), taken);
            queue.end(&name(0, 0));
            assert_eq!(take_all(&mut queue).len(), 1);
        }
    }

    #[test]
    fn a_flow_that_was_removed_is_not_taken() {
        let mut queue = crowded(8);
        let taken = queue.pop().unwrap();
        queue.retain_waiting(|name| name.flow_id == "500");
        assert_eq!(take_all(&mut queue), [name(1, 500)]);
        assert!(queue.is_under_way(&taken));
        queue.end(&taken);
        queue.end(&name(1, 500));
        assert!(queue.tenants.is_empty() && queue.order.is_empty() && queue.taken == 0);
    }
}
