//! Whatever the service's failures are, every item that was taken arrives exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use flowmeter_client::{Batcher, BatcherSettings, Incident, IncidentItems};
use proptest::prelude::*;
use tonic::Code;

use crate::fake::{Fake, Plan, event, failure};

#[derive(Debug, Clone)]
struct Case {
    batch_items: usize,
    buffer_items: usize,
    in_flight: usize,
    max_age_ms: u64,
    producers: usize,
    plans: Vec<Plan>,
    /// Whether each event waits for room or is dropped without it, and whether a flush follows it.
    events: Vec<(bool, bool)>,
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let again = || failure(Code::Unavailable, "QUEUE_UNAVAILABLE", None);
    prop_oneof![
        4 => Just(Plan::Accept),
        2 => Just(Plan::Refuse(again())),
        2 => Just(Plan::AcceptAndFail(again())),
        1 => Just(Plan::AcceptAndFail(failure(Code::ResourceExhausted, "QUEUE_FULL", None))),
        1 => Just(Plan::Refuse(failure(Code::Internal, "INTERNAL", None))),
        1 => Just(Plan::AcceptAndFail(failure(Code::Internal, "INTERNAL", None))),
    ]
}

fn any_case() -> impl Strategy<Value = Case> {
    let plans = prop::collection::vec(any_plan(), 0..6);
    let events = prop::collection::vec((any::<bool>(), prop::bool::weighted(0.1)), 0..60);
    (1..8_usize, 1..12_usize, 1..4_usize, 0..4_u64, 1..4_usize, plans, events).prop_map(
        |(batch_items, buffer_items, in_flight, max_age_ms, producers, plans, events)| Case {
            batch_items,
            buffer_items,
            in_flight,
            max_age_ms,
            producers,
            plans,
            events,
        },
    )
}

/// Gives events to a batcher. Returns those that it took.
async fn produce(batcher: Batcher, producer: usize, events: Vec<(bool, bool)>) -> Vec<String> {
    let mut taken = Vec::new();
    for (number, (waits, flushes)) in events.into_iter().enumerate() {
        let name = format!("{producer}/{number}");
        let result =
            if waits { batcher.record(event(&name)).await } else { batcher.try_record(event(&name)) };
        taken.extend(result.is_ok().then_some(name));
        if flushes {
            batcher.flush().await;
        }
    }
    taken
}

async fn check(case: Case) {
    let fake = Fake::start().await;
    fake.plan(case.plans.clone());
    let (sender, incidents) = std::sync::mpsc::channel();
    let settings = BatcherSettings::new()
        .batch_items(case.batch_items)
        .buffer_items(case.buffer_items)
        .in_flight(case.in_flight)
        .max_age(Duration::from_millis(case.max_age_ms))
        .on_incident(move |incident| sender.send(incident).unwrap());
    let batcher = fake.client().batcher(settings);
    let producers: Vec<_> = (0..case.producers)
        .map(|producer| tokio::spawn(produce(batcher.clone(), producer, case.events.clone())))
        .collect();
    let mut taken = BTreeSet::new();
    for producer in producers {
        taken.extend(producer.await.unwrap());
    }
    let lost = batcher.shutdown(Duration::from_hours(1)).await;

    let mut given_up = BTreeSet::new();
    for incident in incidents.try_iter() {
        let Incident::GivenUp { items: IncidentItems::Usage(events), error, .. } = incident else {
            panic!("{incident:?}");
        };
        assert_eq!(error.unwrap().code(), Code::Internal);
        given_up.extend(events.into_iter().map(|event| event.detail));
    }
    let events = fake.events();
    let arrived: BTreeSet<_> = events.iter().map(|event| event.detail.clone()).collect();
    assert_eq!(arrived.len(), events.len(), "an event arrived twice");
    assert!(arrived.is_subset(&taken), "an event arrived that was reported as dropped");
    // What was given up may have been recorded all the same; all else must have been.
    let missing: BTreeSet<_> = taken.difference(&arrived).cloned().collect();
    assert!(missing.is_subset(&given_up), "an event is missing");

    let tally = batcher.stats().usage;
    let given = (case.events.len() * case.producers) as u64;
    assert_eq!((tally.recorded, tally.recorded + tally.dropped), (taken.len() as u64, given));
    assert_eq!((tally.unsettled(), tally.given_up), (0, given_up.len() as u64));
    assert!(lost.usage <= tally.given_up);
    assert!(fake.most_active() <= case.in_flight);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Several cases at a time, because most of each is waiting between attempts.
    #[test]
    fn every_event_that_was_taken_arrives_once(cases in prop::collection::vec(any_case(), 8)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut checks: tokio::task::JoinSet<_> = cases.into_iter().map(check).collect();
            while let Some(checked) = checks.join_next().await {
                checked.unwrap();
            }
        });
    }
}
