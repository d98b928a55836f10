//! Fills the store as a worker does: with batches in order of time, which are folded at the same time.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{DEFAULT_PROVIDER, TextField, UsageEvent};
use flowmeter_store::Store;
use flowmeter_store::batch::{Batch, NewEvent, NewRequest, Writer};
use flowmeter_store::progress::{Worker, join};
use flowmeter_store::rollups::{FoldOutcome, fold_partials};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::events::{APPLICATIONS, LABEL_SETS, Labels, SERVICES, STATUSES, USERS};

/// The number of events in a batch, which is the maximum that a worker gathers.
const BATCH_EVENTS: u64 = 20_000;
/// The number of events in a request.
const REQUEST_EVENTS: u64 = 1_000;
/// The number of concurrent writers: while one waits for the disk, the other can work.
const WRITERS: usize = 2;
/// How often a worker folds.
const FOLD_INTERVAL: Duration = Duration::from_millis(500);
/// The number of objects of each service that are called.
pub const OBJECTS_OF_SERVICE: usize = 500;

/// The number of days that the events are spread over.
pub const DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Events, evenly spread over [`DAYS`] days and numbered in order of time.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The tenant that owns the events.
    pub tenant: TenantId,
    /// The end of the last day.
    pub end: Timestamp,
    /// The number of events.
    pub events: u64,
}

impl Spread {
    fn start(&self) -> Timestamp {
        self.end.minus(DAY * DAYS)
    }

    fn time_of(&self, number: u64) -> Timestamp {
        let offset = u128::from(number) * (DAY * DAYS).as_micros() / u128::from(self.events);
        Timestamp::from_micros(self.start().micros() + i64::try_from(offset).expect("within the days"))
    }

    /// Writes all events, and folds until nothing is left to fold.
    pub async fn fill(self, store: &Store) -> Result<()> {
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
                    if from >= self.events {
                        return anyhow::Ok(());
                    }
                    let to = (from + BATCH_EVENTS).min(self.events);
                    let own = OwnTexts::new(from..to);
                    let batch = self.batch(from..to, &texts, &own);
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

    fn batch<'a>(&self, numbers: std::ops::Range<u64>, texts: &'a Texts, own: &'a OwnTexts) -> Batch<'a> {
        let mut batch = Batch::default();
        let mut ids = None;
        for (place, number) in numbers.clone().enumerate() {
            let at = self.time_of(number);
            let place_in_request = place % usize::try_from(REQUEST_EVENTS).expect("small");
            if place_in_request == 0 {
                // A UUID of version 7 with this time, as a client would have generated it.
                let name = format!("request of {number}");
                let id = RequestId(EventId::keyed(self.tenant, &name, at).0);
                let events = REQUEST_EVENTS.min(numbers.end - number);
                let events = usize::try_from(events).expect("small");
                batch.requests.push(NewRequest { tenant: self.tenant, id, items: events });
                ids = Some(RequestEventIds::new(self.tenant, id));
            }
            let ids = ids.expect("the first event begins a request");
            batch.events.push(NewEvent {
                request: batch.requests.len() - 1,
                id: ids.at(place_in_request, at),
                keyed: false,
                event: texts.event(number, at, own.of(place)),
            });
        }
        batch
    }
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

/// Scatters numbers: each has its own result (the finalizer of `SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The invocation id of the event with this number. No other event has the same one.
pub fn invocation_id(number: u64) -> String {
    let mut text = String::new();
    push_invocation_id(&mut text, number);
    text
}

fn push_invocation_id(text: &mut String, number: u64) {
    let (high, low) = (scatter(number), scatter(!number));
    write!(text, "{high:016x}{low:016x}").expect("a string takes all text");
}

/// The length of an invocation id in bytes.
const INVOCATION_ID: usize = 32;

/// The texts that are different for each event of a batch.
struct OwnTexts(String);

impl OwnTexts {
    fn new(numbers: std::ops::Range<u64>) -> Self {
        let mut text = String::new();
        numbers.for_each(|number| push_invocation_id(&mut text, number));
        Self(text)
    }

    fn of(&self, place: usize) -> &str {
        &self.0[place * INVOCATION_ID..][..INVOCATION_ID]
    }
}

/// The texts that events share.
struct Texts {
    applications: Vec<String>,
    services: Vec<String>,
    users: Vec<String>,
    objects: Vec<String>,
}

impl Texts {
    fn new() -> Self {
        let numbered = |name: &str, count| (0..count).map(|number| format!("{name}-{number}")).collect();
        Self {
            applications: numbered("application", APPLICATIONS),
            services: numbered("service", SERVICES),
            users: numbered("user", USERS),
            objects: numbered("object", SERVICES * OBJECTS_OF_SERVICE),
        }
    }

    fn event<'a>(&'a self, number: u64, at: Timestamp, invocation_id: &'a str) -> UsageEvent<'a> {
        let mut rest = scatter(number);
        // Independent of each other, as long as their product is far below 2^64.
        let mut choose = |among: usize| {
            let among = among as u64;
            let chosen = usize::try_from(rest % among).expect("below what it is among");
            rest /= among;
            chosen
        };
        let labels = Labels::numbered(choose(LABEL_SETS));
        let object = labels.service * OBJECTS_OF_SERVICE + choose(OBJECTS_OF_SERVICE);
        let mut event = UsageEvent {
            timestamp: Some(at),
            http_status: Some(STATUSES[choose(STATUSES.len())]),
            duration_ms: Some(i64::try_from(choose(2_000)).expect("small")),
            response_bytes: Some(i64::try_from(choose(100_000)).expect("small")),
            attributes: vec![("key", self.objects[object].as_str())],
            ..UsageEvent::default()
        };
        for (field, text) in [
            (TextField::Provider, DEFAULT_PROVIDER),
            (TextField::Action, "read"),
            (TextField::Application, &self.applications[labels.application]),
            (TextField::Environment, "production"),
            (TextField::InvocationId, invocation_id),
            (TextField::Method, labels.method),
            (TextField::Service, &self.services[labels.service]),
            (TextField::Type, "api"),
            (TextField::User, &self.users[choose(USERS)]),
        ] {
            event.texts[field as usize] = text;
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_lie_within_the_days_in_order() {
        let end = Timestamp::EPOCH.plus(DAY * 100);
        let spread = Spread { tenant: TenantId(Uuid::nil()), end, events: 7 };
        let times: Vec<_> = (0..7).map(|number| spread.time_of(number)).collect();
        assert_eq!(times[0], spread.start());
        assert!(times.is_sorted() && times[6] < end);
    }

    #[test]
    fn an_event_has_its_own_invocation() {
        let own = OwnTexts::new(7..9);
        assert_eq!((own.of(0), own.of(1)), (&*invocation_id(7), &*invocation_id(8)));
    }
}
