//! Whatever failures the service has, every accepted item arrives exactly once, and every other item is reported as lost.

use std::collections::BTreeSet;
use std::time::Duration;

use flowmeter_client::{
    Batcher, BatcherSettings, ExecutionReport, Incident, IncidentItems, RecordError, Tally,
};
use flowmeter_fake::{Fake, Plan, event, failure};
use proptest::prelude::*;
use tonic::Code;

use crate::connect::client;

#[derive(Debug, Clone)]
struct Case {
    batch_items: usize,
    buffer_items: usize,
    in_flight: usize,
    max_age_ms: u64,
    producers: usize,
    plans: Vec<Plan>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    /// Whether it is a report of an execution, or a usage event.
    is_execution: bool,
    /// Whether it waits for room, or is dropped without it.
    waits: bool,
    /// Whether a flush follows it.
    flushes: bool,
}

impl Item {
    async fn give(self, batcher: &Batcher, name: &str) -> Result<(), RecordError> {
        let report = || ExecutionReport { command: name.into(), ..ExecutionReport::default() };
        match (self.is_execution, self.waits) {
            (false, true) => batcher.record(event(name)).await,
            (false, false) => batcher.try_record(event(name)),
            (true, true) => batcher.report_execution(report()).await,
            (true, false) => batcher.try_report_execution(report()),
        }
    }
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
    let item = (prop::bool::weighted(0.3), any::<bool>(), prop::bool::weighted(0.1));
    let item = item.prop_map(|(is_execution, waits, flushes)| Item { is_execution, waits, flushes });
    let items = prop::collection::vec(item, 0..60);
    (1..8_usize, 1..12_usize, 1..4_usize, 0..4_u64, 1..4_usize, plans, items).prop_map(
        |(batch_items, buffer_items, in_flight, max_age_ms, producers, plans, items)| Case {
            batch_items,
            buffer_items,
            in_flight,
            max_age_ms,
            producers,
            plans,
            items,
        },
    )
}

/// Gives items to a batcher. Returns the names of the items that it accepted.
async fn produce(batcher: Batcher, producer: usize, items: Vec<Item>) -> Vec<String> {
    let mut taken = Vec::new();
    for (number, item) in items.into_iter().enumerate() {
        let name = format!("{producer}/{number}");
        let result = item.give(&batcher, &name).await;
        taken.extend(result.is_ok().then_some(name));
        if item.flushes {
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
    let batcher = client(&fake).batcher(settings);
    let producers: Vec<_> = (0..case.producers)
        .map(|producer| tokio::spawn(produce(batcher.clone(), producer, case.items.clone())))
        .collect();
    let mut taken = BTreeSet::new();
    for producer in producers {
        taken.extend(producer.await.unwrap());
    }
    let lost = batcher.shutdown(Duration::from_hours(1)).await;

    let (mut given_up, mut dropped) = (BTreeSet::new(), 0);
    for incident in incidents.try_iter() {
        let (items, error) = match incident {
            Incident::GivenUp { items, error, .. } => (items, error),
            Incident::Dropped { count, error: RecordError::Full } => {
                dropped += count;
                continue;
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(error.unwrap().code(), Code::Internal);
        match items {
            IncidentItems::Usage(events) => given_up.extend(events.into_iter().map(|event| event.detail)),
            IncidentItems::Executions(reports) => {
                given_up.extend(reports.into_iter().map(|report| report.command));
            }
            IncidentItems::FlowRequests(requests) => panic!("{requests:?}"),
        }
    }
    let mut names: Vec<_> = fake.events().into_iter().map(|event| event.detail).collect();
    names.extend(fake.executions().into_iter().map(|report| report.command));
    let arrived: BTreeSet<_> = names.iter().cloned().collect();
    assert_eq!(arrived.len(), names.len(), "an item arrived twice");
    assert!(arrived.is_subset(&taken), "an item arrived that was reported as dropped");
    // What was given up may have been recorded all the same; all else must have been.
    let missing: BTreeSet<_> = taken.difference(&arrived).cloned().collect();
    assert!(missing.is_subset(&given_up), "an item is missing");

    let stats = batcher.stats();
    let sum = |of: fn(&Tally) -> u64| of(&stats.usage) + of(&stats.executions);
    let given = (case.items.len() * case.producers) as u64;
    let recorded = sum(|tally| tally.recorded);
    assert_eq!((recorded, recorded + dropped), (taken.len() as u64, given));
    assert_eq!(sum(|tally| tally.dropped), dropped, "every drop is counted");
    assert_eq!((sum(Tally::unsettled), sum(|tally| tally.given_up)), (0, given_up.len() as u64));
    assert!(lost.usage <= stats.usage.given_up && lost.executions <= stats.executions.given_up);
    assert!(fake.most_active() <= case.in_flight);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Several cases at a time, because most of each is waiting between attempts.
    #[test]
    fn every_item_that_was_taken_arrives_once(cases in prop::collection::vec(any_case(), 8)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut checks: tokio::task::JoinSet<_> = cases.into_iter().map(check).collect();
            while let Some(checked) = checks.join_next().await {
                checked.unwrap();
            }
        });
    }
}
