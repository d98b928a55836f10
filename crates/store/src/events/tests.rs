//! Random histories against a naive model: events that are named or not, repeated, changed and late, in batches between
//! which segments are settled, while readers ask all the time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::metric::{Catalog, Observed};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{Field, TextField, UsageEvent};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::*;
use crate::batch::{Applied, Batch, NewEvent, NewRequest, Writer};
use crate::progress::Worker;
use crate::rollups::{SeriesQuery, read_series};
use crate::{Settings, Store, migrate};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The time at which the histories begin: the end of a Sunday.
const BEGIN: &str = "2024-11-17T22:00:00Z";

/// A migrated database of its own, which the next run removes. `name` is unique among the tests.
async fn store(name: &str) -> Store {
    let server = std::env::var("FLOWMETER_TEST_DATABASE_URL")
        .expect("FLOWMETER_TEST_DATABASE_URL is not set: run `cargo xtask test [FILTER]`");
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').expect("the URL names a database");
    let url = format!("{head}/{name}");
    migrate(&url).await.unwrap();
    Store::new(&Settings { url, max_connections: 8, statement_timeout: Duration::from_secs(30) }).unwrap()
}

/// An event of the model.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    id: EventId,
    keyed: bool,
    application: &'static str,
    user: String,
    duration: Option<i64>,
    queue: Option<&'static str>,
}

impl Sample {
    fn event(&self) -> UsageEvent<'_> {
        let mut event = UsageEvent {
            duration_ms: self.duration,
            attributes: self.queue.map(|queue| ("queue", queue)).into_iter().collect(),
            ..UsageEvent::default()
        };
        event.texts[TextField::Provider as usize] = "ODSLRequest";
        event.texts[TextField::Method as usize] = "get";
        event.texts[TextField::Application as usize] = self.application;
        event.texts[TextField::User as usize] = &self.user;
        event
    }
}

fn tenant() -> TenantId {
    TenantId::named("segments")
}

fn everything() -> TimeRange {
    let begin: Timestamp = BEGIN.parse().unwrap();
    TimeRange { start: begin.minus(DAY * 40), end: begin.plus(DAY * 40) }
}

/// What is stored, and a clock.
struct History {
    random: SmallRng,
    now: Timestamp,
    names: u32,
    stored: BTreeMap<EventId, Sample>,
}

impl History {
    fn sample(&mut self, request: RequestId, index: usize) -> Sample {
        let random = &mut self.random;
        let late = match random.random_range(0..20) {
            0 => random.random_range(0..30 * 24 * 60),
            1..=4 => random.random_range(0..180),
            _ => 0,
        };
        let at = self
            .now
            .minus(Duration::from_mins(late))
            .plus(Duration::from_micros(random.random_range(0..5_000_000)));
        let keyed = random.random_bool(0.5);
        let id = if keyed {
            self.names += 1;
            EventId::keyed(tenant(), &self.names.to_string(), at)
        } else {
            RequestEventIds::new(tenant(), request).at(index, at)
        };
        Sample {
            id,
            keyed,
            application: ["api", "batch", ""].choose(random).unwrap(),
            user: format!("user {}", random.random_range(0..40)),
            duration: random.random_bool(0.9).then(|| random.random_range(0..50)),
            queue: ["a", "b"].choose(random).copied().filter(|_| self.names.is_multiple_of(3)),
        }
    }

    /// A batch, and what it is to be applied as.
    fn batch(&mut self, size: usize) -> (RequestId, Vec<Sample>, Applied) {
        let request = RequestId::generate();
        let mut applied = Applied { requests: 1, ..Applied::default() };
        let known: Vec<_> = self.stored.values().filter(|sample| sample.keyed).cloned().collect();
        let mut samples = Vec::new();
        for index in 0..size {
            let again = if self.random.random_bool(0.1) { known.choose(&mut self.random) } else { None };
            let sample = match again {
                Some(again) if self.random.random_bool(0.3) => {
                    applied.conflicts += 1;
                    Sample { user: "another".to_owned(), ..again.clone() }
                }
                Some(again) => {
                    applied.duplicates += 1;
                    again.clone()
                }
                None => {
                    applied.events += 1;
                    let sample = self.sample(request, index);
                    self.stored.insert(sample.id, sample.clone());
                    sample
                }
            };
            samples.push(sample);
        }
        (request, samples, applied)
    }
}

async fn apply(writer: &mut Writer, request: RequestId, samples: &[Sample]) -> Applied {
    let request = NewRequest { tenant: tenant(), id: request, items: samples.len() };
    let events = samples.iter().map(|sample| NewEvent {
        request: 0,
        id: sample.id,
        keyed: sample.keyed,
        event: sample.event(),
    });
    let events = events.collect();
    let batch = Batch { requests: vec![request], events, ..Batch::default() };
    writer.apply(&batch, Timestamp::now).await.unwrap()
}

fn selection(filter: &str) -> EventSelection {
    EventSelection { range: everything(), filter: Filter::parse(filter).unwrap(), words: Vec::new() }
}

/// All events of a list, page by page.
async fn listed(store: &Store, filter: &str, order: &[OrderKey], limit: usize) -> Vec<EventId> {
    let mut page = EventPage { list: selection(filter), order: order.to_vec(), after: None, limit };
    let mut found = Vec::new();
    loop {
        let events = list_events(store, tenant(), &page).await.unwrap();
        found.extend(events.iter().map(|listed| listed.event.id));
        page.after = events.into_iter().map(|listed| listed.position).nth(limit - 1);
        if page.after.is_none() {
            return found;
        }
    }
}

/// Compares every kind of answer with the model.
async fn check(store: &Store, history: &mut History) {
    let stored = &history.stored;
    let ascending: Vec<_> = stored.keys().copied().collect();
    let descending: Vec<_> = ascending.iter().rev().copied().collect();
    let key = |by, descending| OrderKey { by, descending };
    let limit = history.random.random_range(50..400);
    assert_eq!(listed(store, "", &[], limit).await, ascending);
    assert_eq!(listed(store, "", &[key(OrderBy::Timestamp, true)], limit).await, descending);
    let rare = "user = 'user 7' AND duration > 10";
    let is_rare = |sample: &&Sample| sample.user == "user 7" && sample.duration > Some(10);
    let expected: Vec<_> = stored.values().filter(is_rare).map(|sample| sample.id).collect();
    assert_eq!(listed(store, rare, &[], 3).await, expected);
    assert_eq!(
        count_events(store, tenant(), &selection(rare)).await.unwrap(),
        i64::try_from(expected.len()).unwrap()
    );

    let mut by_duration: Vec<_> = stored.values().collect();
    by_duration.sort_by_key(|sample| (std::cmp::Reverse(sample.duration), sample.id));
    let by_duration: Vec<_> = by_duration.iter().map(|sample| sample.id).collect();
    let order = [key(OrderBy::Field(Field::Duration), true)];
    assert_eq!(listed(store, "", &order, 1_500).await, by_duration);

    let mut users: BTreeMap<&str, i64> = BTreeMap::new();
    for sample in stored.values() {
        *users.entry(&sample.user).or_default() += 1;
    }
    let mut query = FieldValuesQuery {
        field: Field::Text(TextField::User),
        list: selection(""),
        prefix: "user".to_owned(),
        after: None,
        limit: 7,
    };
    let mut found = Vec::new();
    loop {
        let values = list_field_values(store, tenant(), &query).await.unwrap();
        query.after = values.get(6).map(|value| SortKey::Text(value.value.clone()));
        found.extend(values.into_iter().map(|value| (value.value, value.count)));
        if query.after.is_none() {
            break;
        }
    }
    let users: Vec<_> = users.into_iter().map(|(user, count)| (user.to_owned(), count)).collect();
    assert_eq!(found, users);

    for _ in 0..5 {
        let index = history.random.random_range(0..ascending.len());
        let sample = &stored[&ascending[index]];
        let event = get_event(store, tenant(), sample.id).await.unwrap().unwrap();
        assert!(event.borrowed().has_content_of(&sample.event()), "{event:?}: {sample:?}");
        let absent = scan::successor(sample.id);
        assert_eq!(get_event(store, tenant(), absent).await.unwrap(), None);
    }
    check_series(store, stored).await;
}

/// A sum by user over odd hours, of the events alone.
async fn check_series(store: &Store, stored: &BTreeMap<EventId, Sample>) {
    let definition = Catalog::built_in().metric("ODSLRequest/ReadRequestDuration").unwrap();
    let range = everything();
    let starts: Vec<_> = (0..24 * 80 / 7).map(|step| range.start.plus(HOUR * 7 * step)).collect();
    let group_by = [Field::Text(TextField::User)];
    let query = SeriesQuery {
        tenant: tenant(),
        definition,
        observed: Observed::Summed,
        filter: &Filter::parse("application = api").unwrap(),
        group_by: &group_by,
        label_set: None,
        pieces: &[Piece { source: Source::Events, range }],
        bucket_starts: &starts,
        max_points: 1_000_000,
    };
    let mut expected: BTreeMap<(String, usize), (i64, i64)> = BTreeMap::new();
    for sample in stored.values().filter(|sample| sample.application == "api") {
        let Some(duration) = sample.duration else { continue };
        let bucket = starts.partition_point(|start| *start <= sample.id.timestamp()) - 1;
        let (count, sum) = expected.entry((sample.user.clone(), bucket)).or_default();
        (*count, *sum) = (*count + 1, *sum + duration);
    }
    let found = read_series(store, &query).await.unwrap();
    let point = |labels: &[String], point: &crate::points::Point| {
        ((labels[0].clone(), point.bucket), (point.count, point.value.parse().unwrap()))
    };
    let found: BTreeMap<_, _> = found
        .iter()
        .flat_map(|series| series.points.iter().map(|each| point(&series.labels, each)))
        .collect();
    assert_eq!(found, expected);
}

/// The number of segments by level, and of keys.
async fn counts(store: &Store) -> (HashMap<i16, i64>, i64) {
    let client = store.client().await.unwrap();
    let levels = client.query("SELECT level, count(*) FROM event_segment GROUP BY 1", &[]).await.unwrap();
    let keys = client.query_one("SELECT count(*) FROM event_key", &[]).await.unwrap().get(0);
    (levels.iter().map(|row| (row.get(0), row.get(1))).collect(), keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_changes_no_answer_and_every_event_is_stored_once() {
    let store = store("test_segments").await;
    let worker = Worker { id: Uuid::now_v7(), shard: 0 };
    let mut writer = Writer::new(store.clone(), worker);
    let mut settler = Settler::new(store.clone());
    let now = BEGIN.parse().unwrap();
    let mut history = History { random: SmallRng::seed_from_u64(7), now, names: 0, stored: BTreeMap::new() };

    // While batches are applied and settled, the number of events never shrinks, and each is there once.
    let (least, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = tokio::spawn({
        let (store, least, stop) = (store.clone(), least.clone(), stop.clone());
        async move {
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) {
                let before = least.load(Ordering::Relaxed);
                let count = count_events(&store, tenant(), &selection("")).await.unwrap();
                assert!(count >= before, "{count} events after {before}");
                let ids = listed(&store, "application = batch", &[], 100).await;
                assert!(ids.is_sorted_by(|a, b| a < b), "an event is listed twice");
                reads += 1;
            }
            reads
        }
    });
    for round in 0..40 {
        for _ in 0..history.random.random_range(1..12) {
            let size = history.random.random_range(1..40);
            let (request, samples, expected) = history.batch(size);
            assert_eq!(apply(&mut writer, request, &samples).await, expected, "round {round}");
            // The ledger ignores a repetition as a whole.
            if history.random.random_bool(0.1) {
                let repeated = apply(&mut writer, request, &samples).await;
                assert_eq!(repeated, Applied { repeated_requests: 1, ..Applied::default() });
            }
            least.store(i64::try_from(history.stored.len()).unwrap(), Ordering::Relaxed);
        }
        settler.round(history.now).await.unwrap();
        if round % 10 == 9 {
            check(&store, &mut history).await;
        }
        let step = if history.random.random_bool(0.1) { DAY * 3 } else { HOUR / 3 };
        history.now = history.now.plus(step);
        if round == 20 {
            // Another worker, which remembers nothing.
            settler = Settler::new(store.clone());
            writer = Writer::new(store.clone(), worker);
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 10);

    // Two weeks later all is settled, and no key is left.
    settler.round(history.now.plus(DAY * 14)).await.unwrap();
    let (levels, keys) = counts(&store).await;
    assert_eq!((levels.keys().copied().collect::<Vec<_>>(), keys), (vec![2], 0), "{levels:?}");
    assert!(levels[&2] < 20, "{levels:?}");
    check(&store, &mut history).await;
    // What comes now is compared with settled segments, and settled in its turn.
    for _ in 0..5 {
        let (request, samples, expected) = history.batch(50);
        assert_eq!(apply(&mut writer, request, &samples).await, expected);
    }
    check(&store, &mut history).await;
    Settler::new(store.clone()).round(history.now.plus(DAY * 16)).await.unwrap();
    let (levels, keys) = counts(&store).await;
    assert_eq!((levels.keys().copied().collect::<Vec<_>>(), keys), (vec![2], 0), "{levels:?}");
    check(&store, &mut history).await;
}

/// Several settlers and writers at once: a merge is done by one of them, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settlers_do_not_merge_a_segment_twice() {
    let store = store("test_settlers").await;
    let now: Timestamp = BEGIN.parse().unwrap();
    let settle = |store: Store| async move {
        let mut settler = Settler::new(store);
        for _ in 0..40 {
            settler.round(now).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let write = |store: Store, seed: u64| async move {
        let mut writer = Writer::new(store, Worker { id: Uuid::now_v7(), shard: 0 });
        let random = SmallRng::seed_from_u64(seed);
        let names = u32::try_from(seed).unwrap() * 1_000_000;
        let mut history = History { random, now, names, stored: BTreeMap::new() };
        for _ in 0..60 {
            let (request, samples, expected) = history.batch(10);
            assert_eq!(apply(&mut writer, request, &samples).await, expected);
        }
        history.stored
    };
    let writers = [1, 2].map(|seed| tokio::spawn(write(store.clone(), seed)));
    let settlers = [(); 3].map(|()| tokio::spawn(settle(store.clone())));
    let mut history = History { random: SmallRng::seed_from_u64(3), now, names: 0, stored: BTreeMap::new() };
    for writer in writers {
        history.stored.extend(writer.await.unwrap());
    }
    for settler in settlers {
        settler.await.unwrap();
    }
    check(&store, &mut history).await;
    let merged = Settler::new(store.clone()).round(now.plus(HOUR * 3)).await.unwrap();
    assert!(merged.merged > 0);
    check(&store, &mut history).await;
}
