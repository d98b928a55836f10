//! Fills the store as a worker does: with batches in order of time, which are folded at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::UsageEvent;
use flowmeter_store::Store;
use flowmeter_store::batch::{Batch, NewEvent, NewRequest, Writer};
use flowmeter_store::progress::{Worker, join};
use flowmeter_store::rollups::{FoldOutcome, fold_partials};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::days::Days;
use crate::events::{Event, InvocationIds, Texts};

/// The number of events in a batch, which is the maximum that a worker gathers.
const BATCH_EVENTS: u64 = 20_000;
/// The number of events in a request.
const REQUEST_EVENTS: u64 = 1_000;
/// The number of concurrent writers: while one waits for the disk, the other can work.
const WRITERS: usize = 2;
/// How often a worker folds.
const FOLD_INTERVAL: Duration = Duration::from_millis(500);

/// Writes all events for this tenant, and folds until nothing is left to fold.
pub async fn fill(store: &Store, tenant: TenantId, days: Days) -> Result<()> {
    let texts = Arc::new(Texts::new());
    let next = Arc::new(AtomicU64::new(0));
    let filled = Arc::new(AtomicBool::new(false));
    let folding = tokio::spawn(fold_until(store.clone(), filled.clone()));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let worker = Worker { id: Uuid::now_v7(), shard: 0 };
        join(store, worker).await?;
        let mut writer = Writer::new(store.clone(), worker);
        let (texts, next) = (texts.clone(), next.clone());
        writers.spawn(async move {
            loop {
                let from = next.fetch_add(BATCH_EVENTS, Ordering::Relaxed);
                if from >= days.events {
                    return anyhow::Ok(());
                }
                let to = (from + BATCH_EVENTS).min(days.events);
                let invocation_ids = InvocationIds::new(from..to);
                let batch = batch(tenant, days, from..to, &texts, &invocation_ids);
                let applied_through = Timestamp::now();
                let applied = writer.apply(&batch, || applied_through).await?;
                ensure!(applied.events as u64 == to - from, "not all of a batch were new: {applied:?}");
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    filled.store(true, Ordering::Relaxed);
    folding.await?
}

fn batch<'a>(
    tenant: TenantId,
    days: Days,
    numbers: std::ops::Range<u64>,
    texts: &'a Texts,
    invocation_ids: &'a InvocationIds,
) -> Batch<'a> {
    let mut batch = Batch::default();
    let mut ids = None;
    for (place, number) in numbers.clone().enumerate() {
        let (at, event) = (days.time_of(number), Event::numbered(number));
        let place_in_request = place % usize::try_from(REQUEST_EVENTS).expect("small");
        if place_in_request == 0 {
            // A UUID of version 7 with this time, as a client would have generated it.
            let name = format!("request of {number}");
            let id = RequestId(EventId::keyed(tenant, &name, at).0);
            let events = REQUEST_EVENTS.min(numbers.end - number);
            let events = usize::try_from(events).expect("small");
            batch.requests.push(NewRequest { tenant, id, items: events });
            ids = Some(RequestEventIds::new(tenant, id));
        }
        let ids = ids.expect("the first event begins a request");
        batch.events.push(NewEvent {
            request: batch.requests.len() - 1,
            id: ids.at(place_in_request, at),
            keyed: false,
            event: UsageEvent {
                timestamp: Some(at),
                attributes: vec![("key", texts.object(&event))],
                ..texts.usage_event(&event, invocation_ids.at(place))
            },
        });
    }
    batch
}

/// Folds as a worker does, and then until nothing is left.
async fn fold_until(store: Store, filled: Arc<AtomicBool>) -> Result<()> {
    loop {
        let last = filled.load(Ordering::Relaxed);
        let outcome = fold_partials(&store).await?;
        if last && matches!(outcome, FoldOutcome::Folded { rows: 0, .. }) {
            return Ok(());
        }
        if !last && !matches!(outcome, FoldOutcome::Folded { is_full: true, .. }) {
            tokio::time::sleep(FOLD_INTERVAL).await;
        }
    }
}
