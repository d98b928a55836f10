//! Whatever the order, repetition and grouping in which requests are applied, and
//! whenever roll-ups are folded: the answers are those of a naive model over the events.

use std::collections::BTreeMap;

use flowmeter_core::calendar::Calendar;
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::metric::{Catalog, Measure, MethodClass, Observed};
use flowmeter_core::plan::pieces;
use flowmeter_core::quantity::Quantity;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_store::Store;
use flowmeter_store::batch::{Batch, NewEvent, NewRequest, Writer};
use flowmeter_store::progress::{Progress, Worker};
use flowmeter_store::rollups::{SeriesQuestion, fold_partials, read_series};
use flowmeter_tests::Installation;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

/// Rounds of random histories. Each asks many questions.
const HISTORIES: usize = 25;
const SERVICES: [&str; 3] = ["object", "data", ""];
const METHODS: [&str; 5] = ["get", "GET", "post", "delete", "trace"];
/// 2024-02-28, so that a leap day and a month's end lie ahead.
const START: i64 = 1_709_078_400_000_000;

#[derive(Debug, Clone)]
struct Event {
    offset_micros: i64,
    service: usize,
    method: usize,
    status: Option<i32>,
    duration: Option<i64>,
    /// The sender's id for it; the same one is the same event.
    name: Option<u8>,
}

#[derive(Debug, Clone)]
struct History {
    requests: Vec<Vec<Event>>,
    /// The order of delivery, by index of the request; some come again.
    deliveries: Vec<usize>,
    /// How many deliveries each batch takes, and whether roll-ups are folded after it.
    batches: Vec<(usize, bool)>,
}

fn histories() -> impl Strategy<Value = History> {
    // Minutes and days that events share often, and the rest anywhere in four days.
    let offset = prop_oneof![0..180_000_000_i64, 0..345_600_000_000_i64];
    let event = (offset, 0..3_usize, 0..5_usize, prop::option::of(200..203), prop::option::of(-0..50_i64))
        .prop_flat_map(|(offset_micros, service, method, status, duration)| {
            prop::option::weighted(0.3, 0..12_u8).prop_map(move |name| Event {
                offset_micros: name.map_or(offset_micros, |name| i64::from(name) * 7_000_001),
                service: name.map_or(service, |name| usize::from(name) % 3),
                method: name.map_or(method, |name| usize::from(name) % 5),
                status,
                duration,
                name,
            })
        });
    let requests = prop::collection::vec(prop::collection::vec(event, 1..12), 1..14);
    requests.prop_flat_map(|requests| {
        let count = requests.len();
        let again = prop::collection::vec(0..count, 0..count);
        let order = again.prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>()).prop_shuffle();
        let batches = prop::collection::vec((1..5_usize, any::<bool>()), 2 * count);
        (Just(requests), order, batches).prop_map(|(requests, deliveries, batches)| History {
            requests,
            deliveries,
            batches,
        })
    })
}

fn id_of(tenant: TenantId, ids: RequestEventIds, index: usize, event: &Event) -> EventId {
    let at = Timestamp::from_micros(START + event.offset_micros);
    match event.name {
        Some(name) => EventId::keyed(tenant, &name.to_string(), at),
        None => ids.at(index, at),
    }
}

fn usage_event(event: &Event) -> UsageEvent<'static> {
    let mut usage =
        UsageEvent { http_status: event.status, duration_ms: event.duration, ..UsageEvent::default() };
    usage.texts[TextField::Service as usize] = SERVICES[event.service];
    usage.texts[TextField::Method as usize] = METHODS[event.method];
    usage.settle();
    usage
}

/// Applies a history, and returns the events that are stored according to the rules: of
/// each id the first one that was delivered.
async fn apply(
    store: &Store,
    writer: &mut Writer,
    tenant: TenantId,
    history: &History,
) -> BTreeMap<EventId, UsageEvent<'static>> {
    let ids: Vec<_> = history.requests.iter().map(|_| RequestId::generate()).collect();
    let mut stored = BTreeMap::new();
    let mut waiting = history.deliveries.as_slice();
    for (size, fold) in &history.batches {
        let (now, later) = waiting.split_at((*size).min(waiting.len()));
        waiting = later;
        let mut batch = Batch::default();
        for delivered in now {
            let (request, events) = (ids[*delivered], &history.requests[*delivered]);
            if batch.requests.iter().any(|other| other.id == request) {
                continue;
            }
            let event_ids = RequestEventIds::new(tenant, request);
            for (index, event) in events.iter().enumerate() {
                let id = id_of(tenant, event_ids, index, event);
                stored.entry(id).or_insert_with(|| usage_event(event));
                batch.events.push(NewEvent {
                    request: batch.requests.len(),
                    id,
                    keyed: event.name.is_some(),
                    event: usage_event(event),
                });
            }
            batch.requests.push(NewRequest { tenant, id: request, events: events.len() });
        }
        let progress = || Progress { applied_through: Timestamp::EPOCH, holds_from: None };
        writer.apply(&batch, progress).await.unwrap();
        if *fold {
            fold_partials(store).await.unwrap();
        }
    }
    stored
}

/// What an event of the metric measures, if it takes the event.
fn measured(measure: Measure, class: MethodClass, event: &UsageEvent<'_>) -> Option<Quantity> {
    if MethodClass::of(event.text(TextField::Method)) != Some(class) {
        return None;
    }
    match measure {
        Measure::Count => Some(Quantity::from(1)),
        Measure::Duration => event.duration_ms.map(Quantity::from),
        Measure::ResponseSize | Measure::Value => None,
    }
}

/// One value for each bucket, straight from the events in order of their ids.
fn naive(
    stored: &BTreeMap<EventId, UsageEvent<'static>>,
    question: &SeriesQuestion<'_>,
    range: TimeRange,
) -> Vec<(usize, String, i64)> {
    let selector = &question.definition.selector;
    let mut buckets: BTreeMap<usize, Vec<Quantity>> = BTreeMap::new();
    for (id, event) in stored {
        let at = id.timestamp();
        if at < range.start || at >= range.end || !question.filter.matches(event) {
            continue;
        }
        let class = selector.method_class.unwrap();
        if let Some(quantity) = measured(question.definition.measure, class, event) {
            let bucket = question.bucket_starts.partition_point(|start| *start <= at) - 1;
            buckets.entry(bucket).or_default().push(quantity);
        }
    }
    let value = |values: &[Quantity]| {
        let sum = values.iter().fold(Quantity::default(), |sum, value| sum + *value);
        match question.observed {
            Observed::Summed => sum,
            Observed::Averaged => {
                let count = i128::try_from(values.len()).unwrap();
                // Half a billionth is rounded away from zero.
                Quantity::from_billionths((2 * sum.billionths() + count) / (2 * count))
            }
            Observed::High => *values.iter().max().unwrap(),
            Observed::Low => *values.iter().min().unwrap(),
            Observed::Beginning => values[0],
            Observed::End => values[values.len() - 1],
        }
        .to_string()
    };
    let counted = |values: &[Quantity]| i64::try_from(values.len()).unwrap();
    buckets.iter().map(|(bucket, values)| (*bucket, value(values), counted(values))).collect()
}

const ALL_OBSERVED: [Observed; 6] =
    [Observed::Summed, Observed::Averaged, Observed::High, Observed::Low, Observed::Beginning, Observed::End];

#[tokio::test]
async fn any_order_repetition_and_grouping_gives_the_answers_of_the_naive_model() {
    let installation = Installation::start("naive-model").await;
    let worker = Worker { id: Uuid::now_v7(), shard: 7 };
    let mut writer = Writer::new(installation.store.clone(), worker);
    let mut runner = TestRunner::new(Config::default());
    let mut questions = 0;
    for round in 0..HISTORIES {
        let history = histories().new_tree(&mut runner).unwrap().current();
        let tenant = TenantId::named(&format!("history-{round}"));
        let stored = apply(&installation.store, &mut writer, tenant, &history).await;
        questions += ask_everything(&installation.store, tenant, &stored, &mut runner, &history).await;
    }
    assert!(questions > 1_000, "{questions}");
}

/// Asks many questions about what is stored, and returns how many.
async fn ask_everything(
    store: &Store,
    tenant: TenantId,
    stored: &BTreeMap<EventId, UsageEvent<'static>>,
    runner: &mut TestRunner,
    history: &History,
) -> usize {
    let mut asked = 0;
    for metric in
        ["ODSLRequest/ReadRequests", "ODSLRequest/DeleteRequests", "ODSLRequest/ReadRequestDuration"]
    {
        let definition = Catalog::built_in().metric(metric).unwrap();
        for (calendar, span) in [("#PT1M", 7_200), ("#PT15M", 345_600), ("#PT1H", 345_600), ("#P1D", 345_600)]
        {
            for text in [
                "",
                "service = object",
                "service = \"\"",
                "method = get",
                "httpstatus = 201 AND service = data",
            ] {
                let start = (0..2_i64, 0..100_000_000_i64).new_tree(runner).unwrap().current();
                // Half of the ranges begin and end where buckets do, half anywhere.
                let start = Timestamp::from_micros(START + start.0 * start.1);
                let range =
                    TimeRange { start, end: Timestamp::from_micros(start.micros() + span * 1_000_000) };
                let filter = Filter::parse(text).unwrap();
                let calendar: Calendar = calendar.parse().unwrap();
                let bucket_starts = calendar.bucket_starts(range, 25_000).unwrap();
                let fields: Vec<_> = filter.fields().into_iter().collect();
                let label_set = definition.covering(&fields);
                let resolutions = label_set.map_or(&[][..], |set| set.resolutions);
                let pieces = pieces(range, &bucket_starts, resolutions, Timestamp::END);
                let observed = ALL_OBSERVED[asked % ALL_OBSERVED.len()];
                let question = SeriesQuestion {
                    tenant,
                    definition,
                    observed,
                    filter: &filter,
                    group_by: &[],
                    label_set,
                    pieces: &pieces,
                    bucket_starts: &bucket_starts,
                    max_points: 25_000,
                };
                let series = read_series(store, &question).await.unwrap();
                let points = series.into_iter().flat_map(|series| series.points);
                let found: Vec<_> = points.map(|point| (point.bucket, point.value, point.count)).collect();
                let expected = naive(stored, &question, range);
                assert_eq!(
                    found, expected,
                    "{metric} {calendar} {text:?} {observed:?} {range:?} {history:?}"
                );
                asked += 1;
            }
        }
    }
    asked
}
