//! Questions for rare label sets have the answers that a look at every event gives, with indexes and without.

mod index;

use std::time::Duration;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestId, TenantId};
use flowmeter_core::metric::{Measure, MetricDefinition, Observed, Selector};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{Field, TextField, UsageEvent};
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::*;
use crate::batch::{Batch, NewEvent, NewRequest, Writer};
use crate::events::{
    EventPage, EventSelection, FieldValuesQuery, OrderBy, OrderKey, count_events, list_events,
    list_field_values,
};
use crate::progress::Worker;
use crate::rollups::{SeriesQuery, read_series};
use crate::sql::Snapshot;
use crate::{Settings, Store, migrate};

/// Each application has two methods.
const APPLICATIONS: usize = 200;
/// The two last ones are met when there is no room for more.
const LIMIT: usize = 2 * APPLICATIONS - 2;
const EVENTS: usize = 8_000;
const BATCH: usize = 1_000;
/// Midnight before a Monday, in the middle of the events: they lie in two partitions.
const MONDAY: &str = "2024-11-18T00:00:00Z";
const STEP: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);

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
    Store::new(&Settings { url, max_connections: 4, statement_timeout: Duration::from_secs(30) }).unwrap()
}

/// The events by ascending id.
fn events(texts: &[String]) -> Vec<(EventId, UsageEvent<'_>)> {
    let monday: Timestamp = MONDAY.parse().unwrap();
    let begin = monday.minus(STEP * u32::try_from(EVENTS / 2).unwrap());
    let event = |number: usize| {
        let at = begin.plus(STEP * u32::try_from(number).unwrap());
        let mut event = UsageEvent {
            duration_ms: Some(i64::try_from(number * 7 % 50).unwrap()),
            http_status: (!number.is_multiple_of(3)).then_some(200),
            attributes: vec![("queue", texts[number % 5].as_str())],
            ..UsageEvent::default()
        };
        event.texts[TextField::Provider as usize] = "test";
        event.texts[TextField::Application as usize] = &texts[number % APPLICATIONS];
        event.texts[TextField::Method as usize] = ["GET", "post"][number / APPLICATIONS % 2];
        event.texts[TextField::User as usize] = &texts[number % 11];
        (EventId::keyed(tenant(), &number.to_string(), at), event)
    };
    (0..EVENTS).map(event).collect()
}

/// The day before and the day after that midnight, which have all events.
fn days() -> TimeRange {
    let monday: Timestamp = MONDAY.parse().unwrap();
    TimeRange { start: monday.minus(DAY), end: monday.plus(DAY) }
}

fn tenant() -> TenantId {
    TenantId::named("label-sets")
}

/// Stores them, and some a second time.
async fn write(store: &Store, events: &[(EventId, UsageEvent<'_>)]) {
    let worker = Worker { id: Uuid::now_v7(), shard: 0 };
    let mut writer = Writer::new(store.clone(), worker).with_label_sets(LIMIT);
    let progress = Timestamp::now;
    for (index, part) in events.chunks(BATCH).chain(events.chunks(BATCH).take(2)).enumerate() {
        if index == 4 {
            // One that knows nothing of what there is.
            writer = Writer::new(store.clone(), worker).with_label_sets(LIMIT);
        }
        let request = NewRequest { tenant: tenant(), id: RequestId::generate(), items: part.len() };
        let event =
            |(id, event): &_| NewEvent { request: 0, id: *id, keyed: true, event: UsageEvent::clone(event) };
        let batch =
            Batch { requests: vec![request], events: part.iter().map(event).collect(), ..Batch::default() };
        let applied = writer.apply(&batch, progress).await.unwrap();
        assert_eq!(applied.events + applied.duplicates, BATCH);
    }
}

async fn are_rare(store: &Store, range: TimeRange, filter: &Filter, reads: Reads) -> bool {
    let mut snapshot = Snapshot::new(store);
    rare_labels(&mut snapshot, tenant(), range, filter, reads).await.unwrap().is_some()
}

fn list(filter: &Filter) -> EventSelection {
    EventSelection { range: days(), filter: filter.clone(), words: Vec::new() }
}

/// The ids of a list, page by page.
async fn ids(store: &Store, list: EventSelection, order: &[OrderKey]) -> Vec<EventId> {
    let mut page = EventPage { list, order: order.to_vec(), after: None, limit: 7 };
    let mut found = Vec::new();
    loop {
        let events = list_events(store, tenant(), &page).await.unwrap();
        found.extend(events.iter().map(|listed| listed.event.id));
        page.after = events.into_iter().map(|listed| listed.position).nth(6);
        if page.after.is_none() {
            return found;
        }
    }
}

/// Whether a page of that range is looked for in the index by label set.
async fn uses_index(store: &Store, range: TimeRange, filter: &Filter) -> bool {
    let mut snapshot = Snapshot::new(store);
    let page = Reads::Page(PageStart { after: None, descending: false });
    let labels = rare_labels(&mut snapshot, tenant(), range, filter, page).await.unwrap();
    labels.is_some_and(|labels| labels.has_indexed_weeks())
}

/// How many events there are in each day.
async fn by_day(store: &Store, filter: &Filter) -> Vec<(usize, i64)> {
    let starts = [days().start, MONDAY.parse().unwrap()];
    let definition = MetricDefinition {
        full_name: "test/count".into(),
        description: String::new(),
        generation: 1,
        selector: Selector { provider: "test".into(), ..Selector::default() },
        measure: Measure::Count,
        unit: "1".into(),
        default_observed: Observed::Summed,
        label_sets: Vec::new(),
    };
    let query = SeriesQuery {
        tenant: tenant(),
        definition: &definition,
        observed: Observed::Summed,
        filter,
        group_by: &[],
        label_set: None,
        pieces: &[Piece { source: Source::Events, range: days() }],
        bucket_starts: &starts,
        max_points: 10,
    };
    let series = read_series(store, &query).await.unwrap();
    let points = series.into_iter().flat_map(|series| series.points);
    points.map(|point| (point.bucket, point.count)).collect()
}

#[tokio::test]
async fn rare_label_sets_are_found_with_and_without_the_dictionary_and_indexes() {
    let store = store("test_label_sets").await;
    let texts: Vec<_> = (0..APPLICATIONS).map(|number| format!("app-{number}")).collect();
    let events = events(&texts);
    write(&store, &events).await;
    let client = store.client().await.unwrap();
    let sets = "SELECT count(*), (SELECT count(*) FROM usage_event WHERE label_set = 0) FROM event_label_set";
    let sets = client.query_one(sets, &[]).await.unwrap();
    let unnumbered = EVENTS / APPLICATIONS;
    assert_eq!(sets.get::<_, i64>(0), i64::try_from(LIMIT).unwrap());
    assert_eq!(sets.get::<_, i64>(1), i64::try_from(unnumbered).unwrap());
    // Another label set with the number of one.
    let sharing = "INSERT INTO event_label_set (tenant_id, key, label_set, provider, application)
                   SELECT tenant_id, gen_random_uuid(), label_set, provider, application
                   FROM event_label_set WHERE application = 'app-7'";
    assert_eq!(client.execute(sharing, &[]).await.unwrap(), 2);
    drop(client);

    let rare = Filter::parse("application = 'app-7'").unwrap();
    let page = |descending| Reads::Page(PageStart { after: None, descending });
    for (reads, is_used) in [(page(false), true), (page(true), true), (Reads::All, false)] {
        assert_eq!(are_rare(&store, TimeRange::ALL, &rare, reads).await, is_used, "{reads:?}");
    }
    // Too few are left to judge by.
    let last = Reads::Page(PageStart { after: Some(events[EVENTS - 20].0), descending: false });
    assert!(!are_rare(&store, TimeRange::ALL, &rare, last).await);

    assert_answers(&store, &events).await;

    let mut indexes = LabelSetIndexes::new();
    let monday: Timestamp = MONDAY.parse().unwrap();
    for (now, indexed) in [(monday.plus(DAY), [true, false]), (monday.plus(DAY * 8), [true, true])] {
        indexes.look(&store, now).await.unwrap();
        indexes.look(&store, now).await.unwrap();
        let weeks = [monday.minus(DAY), monday].map(|start| TimeRange { start, end: start.plus(DAY) });
        for (week, is_indexed) in weeks.into_iter().zip(indexed) {
            assert_eq!(uses_index(&store, week, &rare).await, is_indexed, "{week:?} {now}");
        }
        assert_answers(&store, &events).await;
    }
}

/// All kinds of answers are those that a look at every event gives.
async fn assert_answers(store: &Store, events: &[(EventId, UsageEvent<'_>)]) {
    let by_duration = OrderKey { by: OrderBy::Field(Field::Duration), descending: true };
    let by_time = |descending| OrderKey { by: OrderBy::Timestamp, descending };
    for (filter, is_rare) in [
        ("application = 'app-7'", true),
        ("application = 'app-7' AND method = post AND provider = test", true),
        ("application = 'app-7' AND duration < 20 AND queue != 'app-1'", true),
        ("application = 'app-7' AND method !~ 'p'", true),
        // One of its label sets is in the dictionary.
        ("application = 'app-199'", true),
        ("application = 'app-199' AND method = post", true),
        ("application IN ('app-1', 'app-198')", true),
        ("application = 'none'", true),
        ("application = 'app-7' OR duration = 3", false),
        ("method = post", false),
        ("application =~ 'app-1'", false),
        ("duration = 21", false),
    ] {
        let parsed = Filter::parse(filter).unwrap();
        assert_eq!(are_rare(store, days(), &parsed, Reads::All).await, is_rare, "{filter}");
        let mut expected: Vec<_> = events.iter().filter(|(_, event)| parsed.matches(event)).collect();
        let in_order = |events: &[&(EventId, UsageEvent<'_>)]| -> Vec<EventId> {
            events.iter().map(|(id, _)| *id).collect()
        };
        if is_rare {
            assert_eq!(ids(store, list(&parsed), &[]).await, in_order(&expected), "{filter}");
        }
        let count = count_events(store, tenant(), &list(&parsed)).await.unwrap();
        assert_eq!(count, i64::try_from(expected.len()).unwrap(), "{filter}");

        let query = FieldValuesQuery {
            field: Field::Text(TextField::User),
            list: list(&parsed),
            prefix: String::new(),
            after: None,
            limit: 100,
        };
        let values = list_field_values(store, tenant(), &query).await.unwrap();
        assert_eq!(values.iter().map(|value| value.count).sum::<i64>(), count, "{filter}");

        let monday = EventId::first_at(MONDAY.parse().unwrap());
        let before = expected.iter().filter(|(id, _)| *id < monday).count();
        let days = [(0, before), (1, expected.len() - before)];
        let days = days.map(|(day, count)| (day, i64::try_from(count).unwrap()));
        let days: Vec<_> = days.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(by_day(store, &parsed).await, days, "{filter}");

        if is_rare {
            expected.reverse();
            assert_eq!(ids(store, list(&parsed), &[by_time(true)]).await, in_order(&expected), "{filter}");
            expected.sort_by_key(|(id, event)| (std::cmp::Reverse(event.duration_ms), *id));
            let order = [by_duration.clone(), by_time(false)];
            assert_eq!(ids(store, list(&parsed), &order).await, in_order(&expected), "{filter}");
        }
    }
    let rare = Filter::parse("application = 'app-7'").unwrap();
    let searched = EventSelection { words: vec!["app-3".to_owned()], ..list(&rare) };
    let has_word = |event: &UsageEvent<'_>| {
        event.text(TextField::User) == "app-3" || event.attributes.iter().any(|(_, value)| *value == "app-3")
    };
    let expected: Vec<_> = events
        .iter()
        .filter(|(_, event)| rare.matches(event) && has_word(event))
        .map(|(id, _)| *id)
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(ids(store, searched, &[]).await, expected);
}
