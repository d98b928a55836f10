//! The examples run as they are written, against the fake service.

#![allow(dead_code, reason = "the tests call what the `main` of an example calls")]

use flowmeter_client::FlowOutcome;
use flowmeter_fake::Fake;

use crate::connect::client;

#[path = "../../examples/asset_metrics.rs"]
mod asset_metrics;
#[path = "../../examples/background.rs"]
mod background;
#[path = "../../examples/executions.rs"]
mod executions;
#[path = "../../examples/flow_requests.rs"]
mod flow_requests;
#[path = "../../examples/tower_layer.rs"]
mod tower_layer;

#[tokio::test]
async fn the_example_of_the_background_records_all_events() {
    let fake = Fake::start().await;
    background::record(&client(&fake)).await.unwrap();
    assert_eq!(fake.events().len(), 1_001);
}

#[tokio::test]
async fn the_example_of_the_layer_records_both_calls() {
    let fake = Fake::start().await;
    tower_layer::serve(&client(&fake)).await.unwrap();
    let statuses: Vec<_> = fake.events().iter().map(|event| event.httpstatus).collect();
    assert_eq!(statuses, [Some(200), Some(404)]);
}

#[tokio::test]
async fn the_example_of_executions_reports_calls_and_schedule() {
    let fake = Fake::start().await;
    executions::enrich(&client(&fake)).await.unwrap();
    let report = fake.executions().remove(0);
    let counts: Vec<_> = report.metrics.iter().map(|metric| (metric.r#type.as_str(), metric.count)).collect();
    assert_eq!(counts, [("Successful", 2), ("ConnectionError", 1)]);
    assert_eq!(report.schedule.map(|schedule| schedule.items_remaining), Some(1));
}

#[tokio::test]
async fn the_example_of_flows_records_outcomes() {
    let fake = Fake::start().await;
    flow_requests::record(&client(&fake), "signup").await.unwrap();
    let seen = fake.seen_now();
    let requests = seen.iter().flat_map(|seen| &seen.flow_requests);
    let of = |outcome: FlowOutcome| {
        let alike = requests.clone().filter(|request| request.outcome() == outcome);
        alike.filter_map(|request| request.count).sum::<i32>()
    };
    assert_eq!((of(FlowOutcome::Succeeded), of(FlowOutcome::TimeoutError)), (301, 1));
}

#[tokio::test]
async fn the_example_of_assets_emits_all_documents() {
    let fake = Fake::start().await;
    asset_metrics::emit(&client(&fake)).await.unwrap();
    let documents: Vec<_> = fake.seen_now().iter().map(|seen| seen.documents.len()).collect();
    assert_eq!(documents, [1, 2]);
}
