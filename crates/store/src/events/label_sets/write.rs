//! Gives events the numbers of their label sets, and enters new ones into the dictionary.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{LabelSetId, TenantId};
use flowmeter_core::usage::UsageEvent;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::FIELDS;
use crate::StoreError;

/// Label sets of a tenant in the dictionary, as far as one worker knows: far more than there are
/// where labels are what they should be, and few enough to be searched for each question.
const LIMIT: usize = 10_000;
/// Label sets that are remembered, of a few hundred bytes each. Beyond that the tenants that a batch has
/// nothing of are forgotten, which costs one look at the dictionary each.
const KNOWN: usize = 100_000;

/// What an event says in [`FIELDS`]; empty where absent.
type Values<'a> = [&'a str; FIELDS.len()];

/// The label sets that are known to be in the dictionary, of the tenants met so far. They stay in it,
/// so what was once known stays right.
pub(crate) struct LabelSets {
    tenants: HashMap<TenantId, HashTable<Known>, RandomState>,
    hashing: RandomState,
    limit: usize,
}

struct Known {
    hash: u64,
    number: i32,
    values: [Box<str>; FIELDS.len()],
}

impl Default for LabelSets {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl LabelSets {
    /// Knows nothing yet, and will enter about `limit` label sets of a tenant at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self { tenants: HashMap::default(), hashing: RandomState::default(), limit }
    }

    /// Reads what the dictionary has of tenants that are met for the first time.
    pub(crate) async fn load(
        &mut self,
        transaction: &Transaction<'_>,
        tenants: impl Iterator<Item = TenantId>,
    ) -> Result<(), StoreError> {
        let tenants: HashSet<TenantId> = tenants.collect();
        let met: Vec<Uuid> = tenants
            .iter()
            .filter(|tenant| !self.tenants.contains_key(tenant))
            .map(|tenant| tenant.0)
            .collect();
        if met.is_empty() {
            return Ok(());
        }
        let rows = transaction
            .query_typed(
                "-- load_label_sets
                 SELECT tenant_id, label_set, provider, action, application, environment, method, service, type
                 FROM event_label_set WHERE tenant_id = ANY ($1)",
                &[(&met, Type::UUID_ARRAY)],
            )
            .await?;
        let known: usize = self.tenants.values().map(|known| 1 + known.len()).sum();
        if known + rows.len() > KNOWN {
            self.tenants.retain(|tenant, _| tenants.contains(tenant));
        }
        for tenant in met {
            self.tenants.insert(TenantId(tenant), HashTable::new());
        }
        for row in &rows {
            let text = |index| row.get::<_, Option<&str>>(2 + index).unwrap_or_default();
            let values = std::array::from_fn(text);
            self.insert(TenantId(row.get(0)), row.get(1), &values);
        }
        Ok(())
    }

    /// Remembers label sets that a transaction has committed.
    pub(crate) fn remember(&mut self, new: Vec<NewLabelSet<'_>>) {
        for label_set in new {
            self.insert(label_set.tenant, label_set.id.number(), &label_set.values);
        }
    }

    fn insert(&mut self, tenant: TenantId, number: i32, values: &Values<'_>) {
        let hash = self.hashing.hash_one(values);
        let known = Known { hash, number, values: values.map(Box::from) };
        self.tenants.entry(tenant).or_default().insert_unique(hash, known, |known| known.hash);
    }

    /// Numbers the events of one transaction.
    pub(crate) fn numbering<'a>(&self) -> Numbering<'_, 'a> {
        Numbering { known: self, new: Vec::new(), table: HashTable::new(), new_of: HashMap::default() }
    }
}

/// Numbers events, and gathers the label sets that were not known.
pub(crate) struct Numbering<'k, 'a> {
    known: &'k LabelSets,
    new: Vec<NewLabelSet<'a>>,
    /// By hash the indices of `new`.
    table: HashTable<(u64, usize)>,
    /// How many of `new` are a tenant's.
    new_of: HashMap<TenantId, usize, RandomState>,
}

/// A label set that was not known to be in the dictionary.
pub(crate) struct NewLabelSet<'a> {
    tenant: TenantId,
    id: LabelSetId,
    values: Values<'a>,
}

impl<'a> Numbering<'_, 'a> {
    /// The number of an event's label set; 0 if it will not be in the dictionary.
    pub(crate) fn number(&mut self, tenant: TenantId, event: &UsageEvent<'a>) -> i32 {
        let values = FIELDS.map(|field| event.text(field));
        let hash = self.known.hashing.hash_one(values);
        let known = self.known.tenants.get(&tenant);
        let same = |known: &Known| known.hash == hash && known.values.iter().map(AsRef::as_ref).eq(values);
        if let Some(known) = known.and_then(|known| known.find(hash, same)) {
            return known.number;
        }
        let same = |(_, index): &(u64, usize)| {
            let new = &self.new[*index];
            new.tenant == tenant && new.values == values
        };
        if let Some((_, index)) = self.table.find(hash, same) {
            return self.new[*index].id.number();
        }
        let new_of = self.new_of.entry(tenant).or_default();
        if known.map_or(0, HashTable::len) + *new_of >= self.known.limit {
            return 0;
        }
        *new_of += 1;
        let id = LabelSetId::new(tenant, &values);
        self.table.insert_unique(hash, (hash, self.new.len()), |(hash, _)| *hash);
        self.new.push(NewLabelSet { tenant, id, values });
        id.number()
    }

    /// Enters the new label sets into the dictionary, and returns them. It must be the transaction of the
    /// events, so that nobody sees an event without its label set.
    pub(crate) async fn insert(
        self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<NewLabelSet<'a>>, StoreError> {
        let mut new = self.new;
        if new.is_empty() {
            return Ok(new);
        }
        // In the same order everywhere, so that two workers cannot deadlock.
        new.sort_by_key(|label_set| (label_set.tenant, label_set.id));
        let tenants: Vec<_> = new.iter().map(|label_set| label_set.tenant.0).collect();
        let keys: Vec<_> = new.iter().map(|label_set| label_set.id.0).collect();
        let numbers: Vec<_> = new.iter().map(|label_set| label_set.id.number()).collect();
        let [provider, action, application, environment, method, service, r#type] =
            std::array::from_fn(|index| {
                let values = new.iter().map(|label_set| label_set.values[index]);
                values.map(|value| (!value.is_empty()).then_some(value)).collect::<Vec<_>>()
            });
        transaction
            .execute(
                "-- insert_label_sets
                 INSERT INTO event_label_set (tenant_id, key, label_set, provider, action, application,
                                              environment, method, service, type)
                 SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[],
                                      $7::text[], $8::text[], $9::text[], $10::text[])
                 ON CONFLICT DO NOTHING",
                &[
                    &tenants,
                    &keys,
                    &numbers,
                    &provider,
                    &action,
                    &application,
                    &environment,
                    &method,
                    &service,
                    &r#type,
                ],
            )
            .await?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::usage::TextField;

    fn event(application: &str) -> UsageEvent<'_> {
        let mut event = UsageEvent::default();
        event.texts[TextField::Application as usize] = application;
        event
    }

    #[test]
    fn a_label_set_keeps_its_number_and_is_new_once() {
        let (one, other) = (TenantId::named("one"), TenantId::named("other"));
        let mut known = LabelSets::default();
        let mut numbering = known.numbering();
        let number = numbering.number(one, &event("shop"));
        assert_eq!(numbering.number(one, &event("shop")), number);
        assert_ne!(numbering.number(one, &event("till")), number);
        assert_ne!(numbering.number(other, &event("shop")), number);
        assert_eq!(numbering.new.len(), 3);

        let new = numbering.new;
        known.remember(new);
        let mut numbering = known.numbering();
        assert_eq!(numbering.number(one, &event("shop")), number);
        assert!(numbering.new.is_empty());
    }

    #[test]
    fn what_is_no_label_makes_no_label_set() {
        let known = LabelSets::default();
        let mut numbering = known.numbering();
        let tenant = TenantId::named("one");
        let number = numbering.number(tenant, &event("shop"));
        let mut other = UsageEvent { http_status: Some(500), duration_ms: Some(7), ..event("shop") };
        other.texts[TextField::InvocationId as usize] = "7";
        assert_eq!(numbering.number(tenant, &other), number);
    }

    #[test]
    fn beyond_the_limit_there_is_no_number() {
        let (one, other) = (TenantId::named("one"), TenantId::named("other"));
        let mut known = LabelSets::new(2);
        let mut numbering = known.numbering();
        let numbers = ["a", "b", "c", "b"].map(|application| numbering.number(one, &event(application)));
        assert!(numbers[0] != 0 && numbers[1] != 0);
        assert_eq!(numbers[2..], [0, numbers[1]]);
        assert_ne!(numbering.number(other, &event("c")), 0);

        let new = numbering.new;
        known.remember(new);
        let mut numbering = known.numbering();
        assert_eq!(["a", "c"].map(|application| numbering.number(one, &event(application))), [numbers[0], 0]);
        assert_ne!(numbering.number(other, &event("d")), 0);
    }
}
