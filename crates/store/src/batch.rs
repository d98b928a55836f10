//! Applies a batch of requests in one transaction: the ledger, the events, the partial roll-ups, the counters
//! of flows, the schedules of executions, the values of assets, and the worker's progress.
//!
//! Most batches contain only new events and values, which are written by plain COPY. If a key exists already,
//! the transaction is repeated cautiously: in a way that distinguishes new events from duplicates and
//! conflicts, or that merges values. The next few batches are written cautiously at once, because duplicates
//! come in bursts.

use std::collections::{BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use flowmeter_core::fold::{Folded, TenantEvent, fold};
use flowmeter_core::ids::{EventId, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::UsageEvent;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::assets::{AssetValue, KnownAssets, insert_asset_values};
use crate::catalog::{MetricCatalogs, generations};
use crate::events::{
    Event, EventKey, NewSegments, SettledWeeks, append_segments, insert_keys, insert_missing_keys,
    stored_events,
};
use crate::flows::{FlowCounts, append_flow_counts};
use crate::partitions::{EVENT_KEYS, EVENTS, Partitions, REQUESTS, week_has_ended};
use crate::progress::Worker;
use crate::rollups::{KnownSeries, append_partials, insert_series};
use crate::schedules::{Schedule, insert_schedules};
use crate::{Store, StoreError, progress};

/// A request of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRequest {
    /// The tenant that sent it.
    pub tenant: TenantId,
    /// Its id. A batch contains each request once.
    pub id: RequestId,
    /// The number of its events or other items.
    pub items: usize,
}

/// An event of a batch.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// Its request, by the index in [`Batch::requests`].
    pub request: usize,
    /// Its id.
    pub id: EventId,
    /// Whether its sender named it, so that it may be stored already.
    pub keyed: bool,
    /// The event, with its defaults filled in.
    pub event: UsageEvent<'a>,
}

/// A part of a batch, and the request that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromRequest<T> {
    /// The request, by the index in [`Batch::requests`].
    pub request: usize,
    /// The part.
    pub item: T,
}

impl<T> FromRequest<T> {
    /// The parts whose requests are `fresh`, by the index of the request.
    fn of_fresh<'a>(parts: &'a [Self], fresh: &'a [bool]) -> impl Iterator<Item = &'a T> + Clone {
        parts.iter().filter(|part| fresh[part.request]).map(|part| &part.item)
    }
}

/// The requests that are applied in one transaction.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// The requests, each once.
    pub requests: Vec<NewRequest>,
    /// Their events, in any order. Of several events with the same id, the first one is stored.
    pub events: Vec<NewEvent<'a>>,
    /// The increments of the counters of flows.
    pub flow_counts: Vec<FromRequest<FlowCounts<'a>>>,
    /// The schedules of executions that they open, update or close.
    pub schedules: Vec<FromRequest<Schedule<'a>>>,
    /// The values of assets that they emit.
    pub asset_values: Vec<FromRequest<AssetValue<'a>>>,
}

impl Batch<'_> {
    fn key(&self, event: &NewEvent<'_>) -> EventKey {
        (self.requests[event.request].tenant, event.id)
    }
}

/// The outcome of a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Requests that were applied.
    pub requests: usize,
    /// Requests that had been applied before, and were ignored.
    pub repeated_requests: usize,
    /// Events that were stored.
    pub events: usize,
    /// Events that had been stored before with the same content.
    pub duplicates: usize,
    /// Events whose id had been stored before with different content.
    pub conflicts: usize,
}

/// The outcome of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Its request had been applied before.
    Repeated,
    New,
    Duplicate,
    Conflict,
}

/// Which parts of a batch are written in the way that expects existing keys.
#[derive(Debug, Clone, Copy)]
struct Cautious {
    events: bool,
    values: bool,
}

/// Why a batch was not applied.
enum Failed {
    /// The key of an event exists already.
    DuplicateEvent(StoreError),
    /// The key of a value of an asset exists already.
    DuplicateValue(StoreError),
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// The number of batches that are written cautiously after a duplicate was found.
const CAUTIOUS_BATCHES: u32 = 16;
/// Applies batches one after the other.
pub struct Writer {
    store: Store,
    catalogs: MetricCatalogs,
    worker: Worker,
    partitions: Partitions,
    known_series: KnownSeries,
    known_assets: KnownAssets,
    /// How many of the next batches write their events, or their values of assets, cautiously.
    cautious_events: u32,
    cautious_values: u32,
}

impl Writer {
    /// A writer that records its progress as `worker`.
    #[must_use]
    pub fn new(store: Store, worker: Worker) -> Self {
        let partitions = Partitions::new(store.clone());
        Self {
            store,
            catalogs: MetricCatalogs::default(),
            worker,
            partitions,
            known_series: KnownSeries::default(),
            known_assets: KnownAssets::default(),
            cautious_events: 0,
            cautious_values: 0,
        }
    }

    /// Applies a batch. `applied_through` returns the time up to which the worker has applied everything once
    /// the batch is applied; it is called as late as possible.
    pub async fn apply(
        &mut self,
        batch: &Batch<'_>,
        applied_through: impl Fn() -> Timestamp,
    ) -> Result<Applied, StoreError> {
        self.partitions.ensure(&EVENTS, batch.events.iter().map(|event| event.id.0)).await?;
        let keyed = || batch.events.iter().filter(|event| event.keyed);
        self.partitions.ensure(&EVENT_KEYS, keyed().map(|event| event.id.0)).await?;
        self.partitions.ensure(&REQUESTS, batch.requests.iter().map(|request| request.id.0)).await?;
        let mut cautious = Cautious {
            events: keyed().next().is_some() && self.cautious_events > 0,
            values: !batch.asset_values.is_empty() && self.cautious_values > 0,
        };
        self.cautious_events -= u32::from(cautious.events);
        self.cautious_values -= u32::from(cautious.values);
        loop {
            match self.attempt(batch, &applied_through, cautious).await {
                Ok(applied) => return Ok(applied),
                Err(Failed::DuplicateEvent(_)) if !cautious.events => {
                    self.cautious_events = CAUTIOUS_BATCHES;
                    cautious.events = true;
                }
                Err(Failed::DuplicateValue(_)) if !cautious.values => {
                    self.cautious_values = CAUTIOUS_BATCHES;
                    cautious.values = true;
                }
                Err(Failed::DuplicateEvent(error) | Failed::DuplicateValue(error) | Failed::Store(error)) => {
                    if matches!(error, StoreError::PartitionMissing(_)) {
                        self.partitions.forget();
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &Batch<'_>,
        applied_through: &impl Fn() -> Timestamp,
        cautious: Cautious,
    ) -> Result<Applied, Failed> {
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        // Pipelined into one round trip. The server takes the lock before it executes the other statements.
        let (generations, fresh) = futures::try_join!(
            generations(&transaction, batch.requests.iter().map(|request| request.tenant).collect()),
            insert_requests(&transaction, &batch.requests)
        )?;
        self.catalogs.refresh(&transaction, &generations).await?;

        // In the order of keys, so that segments are in the order of their ids, and so that two workers with the same
        // events insert their keys in the same order and cannot deadlock.
        let mut order: Vec<usize> =
            (0..batch.events.len()).filter(|index| fresh[batch.events[*index].request]).collect();
        order.sort_by_key(|index| (batch.key(&batch.events[*index]), *index));

        let mut outcomes = vec![Outcome::Repeated; batch.events.len()];
        if cautious.events {
            self.distinguish(&transaction, batch, &order, &mut outcomes).await?;
            if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Duplicate | Outcome::Conflict)) {
                correct_receipts(&transaction, batch, &outcomes).await?;
            }
        } else {
            let new = self.expect_new(&transaction, batch, &order).await;
            new.map_err(|error| if_duplicate(error, Failed::DuplicateEvent))?;
            mark_new(&order, &mut outcomes);
        }
        let mut segments = NewSegments::default();
        for index in order.iter().filter(|index| outcomes[**index] == Outcome::New) {
            let event = &batch.events[*index];
            let tenant = batch.requests[event.request].tenant;
            let generation = generations.get(&tenant).copied().unwrap_or(0);
            segments.push((tenant, generation), event.id, &event.event);
        }
        let copy = append_segments(&transaction, &segments.finish()).await?;
        // Meanwhile the server processes the segments.
        let folded = self.fold(batch, &outcomes);
        copy.finish().await?;
        append_partials(&transaction, &folded).await?;
        append_flow_counts(&transaction, FromRequest::of_fresh(&batch.flow_counts, &fresh)).await?;
        insert_schedules(&transaction, FromRequest::of_fresh(&batch.schedules, &fresh)).await?;
        let values = FromRequest::of_fresh(&batch.asset_values, &fresh);
        let added_assets =
            insert_asset_values(&transaction, values, &self.known_assets, cautious.values).await;
        let added_assets = added_assets.map_err(|error| if_duplicate(error, Failed::DuplicateValue))?;
        let added = insert_series(&transaction, &folded, &self.known_series).await?;
        progress::record(&transaction, self.worker, applied_through()).await?;
        transaction.batch_execute("-- apply\nNOTIFY flowmeter_applied").await?;
        transaction.commit().await?;

        self.known_series.remember(added);
        self.known_assets.remember(added_assets);
        Ok(summary(&fresh, &outcomes))
    }

    /// Inserts the keys of events that are all expected to be new. `order` has the events in the order of their keys.
    async fn expect_new(
        &self,
        transaction: &Transaction<'_>,
        batch: &Batch<'_>,
        order: &[usize],
    ) -> Result<(), StoreError> {
        let events = order.iter().map(|index| &batch.events[*index]);
        let keys: Vec<_> = events.filter(|event| event.keyed).map(|event| batch.key(event)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(StoreError::Duplicate("two events of a batch have the same id".to_owned()));
        }
        insert_keys(transaction, keys.iter().copied()).await?;
        if self.settled(transaction, keys).await?.is_empty() {
            Ok(())
        } else {
            Err(StoreError::Duplicate("an event is in a week that was settled".to_owned()))
        }
    }

    /// Inserts the keys of events of which some may be stored already, and determines the outcome of each.
    async fn distinguish(
        &self,
        transaction: &Transaction<'_>,
        batch: &Batch<'_>,
        order: &[usize],
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let keyed = || order.iter().copied().filter(|index| batch.events[*index].keyed);
        let keys: BTreeSet<EventKey> = keyed().map(|index| batch.key(&batch.events[index])).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let mut new = insert_missing_keys(transaction, &keys).await?;
        // Only now, because a week can have been settled up to the moment at which the key was inserted.
        let mut stored = self.settled(transaction, new.iter().copied()).await?;
        new.retain(|key| !stored.contains_key(key));
        let known: BTreeSet<_> =
            keys.into_iter().filter(|key| !new.contains(key) && !stored.contains_key(key)).collect();
        stored.extend(stored_events(&self.store, transaction, &known, SettledWeeks::Included).await?);

        mark_new(order, outcomes);
        // Of several events with one key, the first one is stored and the others are compared with it.
        let mut first: HashMap<EventKey, usize> = HashMap::new();
        for index in keyed() {
            let event = &batch.events[index];
            let key = batch.key(event);
            if new.remove(&key) {
                first.insert(key, index);
                continue;
            }
            let is_same = match (first.get(&key), stored.get(&key)) {
                (Some(first), _) => batch.events[*first].event.has_content_of(&event.event),
                (None, Some(stored)) => stored.borrowed().has_content_of(&event.event),
                // It was stored, and its week has been dropped since.
                (None, None) => true,
            };
            outcomes[index] = if is_same { Outcome::Duplicate } else { Outcome::Conflict };
        }
        Ok(())
    }

    /// Those of the events that are stored in weeks that have been settled, whose keys are not kept.
    async fn settled(
        &self,
        transaction: &Transaction<'_>,
        keys: impl IntoIterator<Item = EventKey>,
    ) -> Result<HashMap<EventKey, Event>, StoreError> {
        let now = Timestamp::now();
        let late: BTreeSet<_> = keys.into_iter().filter(|(_, id)| week_has_ended(*id, now)).collect();
        stored_events(&self.store, transaction, &late, SettledWeeks::Only).await
    }

    fn fold<'a>(&'a self, batch: &'a Batch<'a>, outcomes: &[Outcome]) -> Folded<'a> {
        let new = batch.events.iter().zip(outcomes).filter(|(_, outcome)| **outcome == Outcome::New);
        fold(new.map(|(event, _)| {
            let tenant = batch.requests[event.request].tenant;
            TenantEvent { tenant, catalog: self.catalogs.of(tenant), id: event.id, event: &event.event }
        }))
    }
}

/// `duplicate` of the error if a key exists already.
fn if_duplicate(error: StoreError, duplicate: fn(StoreError) -> Failed) -> Failed {
    if matches!(error, StoreError::Duplicate(_)) { duplicate(error) } else { Failed::Store(error) }
}

fn mark_new(order: &[usize], outcomes: &mut [Outcome]) {
    for index in order {
        outcomes[*index] = Outcome::New;
    }
}

fn summary(fresh: &[bool], outcomes: &[Outcome]) -> Applied {
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let requests = fresh.iter().filter(|fresh| **fresh).count();
    Applied {
        requests,
        repeated_requests: fresh.len() - requests,
        events: count(Outcome::New),
        duplicates: count(Outcome::Duplicate),
        conflicts: count(Outcome::Conflict),
    }
}

/// Inserts requests into the ledger, as if all their events were new. Returns for each request whether it is
/// new. A dead request counts as new, because an operator has put it back into the queue.
async fn insert_requests(
    transaction: &Transaction<'_>,
    requests: &[NewRequest],
) -> Result<Vec<bool>, StoreError> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|index| requests[*index].id);
    let tenants: Vec<_> = order.iter().map(|index| requests[*index].tenant.0).collect();
    let ids: Vec<_> = order.iter().map(|index| requests[*index].id.0).collect();
    let items: Vec<_> = order
        .iter()
        .map(|index| i32::try_from(requests[*index].items).expect("a request has far fewer items"))
        .collect();
    let statement = transaction
        .prepare_cached(
            "-- insert_requests
             INSERT INTO ingest_request (tenant_id, request_id, accepted, duplicates, conflicts, settled_at)
             SELECT tenant_id, request_id, accepted, 0, 0, clock_timestamp()
             FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS new (tenant_id, request_id, accepted)
             ON CONFLICT (tenant_id, request_id) DO UPDATE SET
                 accepted = excluded.accepted, duplicates = 0, conflicts = 0,
                 settled_at = excluded.settled_at, dead_reason = NULL
             WHERE ingest_request.dead_reason IS NOT NULL
             RETURNING tenant_id, request_id",
        )
        .await?;
    let rows = transaction.query(&statement, &[&tenants, &ids, &items]).await?;
    if rows.len() == requests.len() {
        return Ok(vec![true; requests.len()]);
    }
    let inserted: HashSet<(Uuid, Uuid)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(requests.iter().map(|request| inserted.contains(&(request.tenant.0, request.id.0))).collect())
}

/// Corrects the counts of requests that contain events which are not new.
async fn correct_receipts(
    transaction: &Transaction<'_>,
    batch: &Batch<'_>,
    outcomes: &[Outcome],
) -> Result<(), StoreError> {
    let mut counts: HashMap<usize, (i32, i32)> = HashMap::new();
    for (event, outcome) in batch.events.iter().zip(outcomes) {
        match outcome {
            Outcome::Duplicate => counts.entry(event.request).or_default().0 += 1,
            Outcome::Conflict => counts.entry(event.request).or_default().1 += 1,
            Outcome::New | Outcome::Repeated => {}
        }
    }
    let (mut tenants, mut ids, mut duplicates, mut conflicts) = (vec![], vec![], vec![], vec![]);
    for (request, (duplicate, conflict)) in counts {
        tenants.push(batch.requests[request].tenant.0);
        ids.push(batch.requests[request].id.0);
        duplicates.push(duplicate);
        conflicts.push(conflict);
    }
    let statement = transaction
        .prepare_typed_cached(
            "-- correct_receipts
             UPDATE ingest_request AS request
             SET accepted = request.accepted - new.duplicates - new.conflicts,
                 duplicates = new.duplicates, conflicts = new.conflicts
             FROM unnest($1, $2, $3, $4) AS new (tenant_id, request_id, duplicates, conflicts)
             WHERE request.tenant_id = new.tenant_id AND request.request_id = new.request_id",
            &[Type::UUID_ARRAY, Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT4_ARRAY],
        )
        .await?;
    transaction.execute(&statement, &[&tenants, &ids, &duplicates, &conflicts]).await?;
    Ok(())
}

/// Records requests as dead. Their receipts contain the reason, and nothing of them is applied.
pub async fn record_dead_requests(
    store: &Store,
    requests: &[(TenantId, RequestId)],
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    Partitions::new(store.clone()).ensure(&REQUESTS, requests.iter().map(|(_, id)| id.0)).await?;
    let client = store.client().await?;
    let tenants: Vec<_> = requests.iter().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<_> = requests.iter().map(|(_, id)| id.0).collect();
    client
        .execute(
            "-- record_dead_requests
             INSERT INTO ingest_request
             SELECT tenant_id, request_id, 0, 0, 0, $3, $4
             FROM unnest($1::uuid[], $2::uuid[]) AS dead (tenant_id, request_id)
             ON CONFLICT DO NOTHING",
            &[&tenants, &ids, &std::time::SystemTime::from(now), &reason],
        )
        .await?;
    client.batch_execute("-- record_dead_requests\nNOTIFY flowmeter_applied").await?;
    Ok(())
}
