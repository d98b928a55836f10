//! The client library against the real services, while the ingest service dies.

use std::time::Duration;

use flowmeter_client::{BatcherSettings, Client, ClientSettings, FlowOutcome, FlowRequest, UsageEvent};
use flowmeter_proto::v1::{CreateFlowRequest, Flow, GetFlowMetricRequest};
use flowmeter_tests::{Installation, eventually};

const EVENTS: usize = 3_000;

#[tokio::test]
async fn a_batcher_counts_everything_once_while_the_service_dies() {
    let mut installation = Installation::start("client-batcher").await;
    let tenant = installation.tenant("acme").await;
    let flow = Flow { id: "signup".into(), ..Flow::default() };
    tenant.catalog.clone().create_flow(CreateFlowRequest { flow: Some(flow) }).await.unwrap();
    let settings = ClientSettings::new(installation.ingest.url()).token(&tenant.token);
    let settings = settings.call_timeout(Duration::from_secs(5));
    let batching = BatcherSettings::default().batch_items(50).max_age(Duration::from_millis(20));
    let batcher = Client::new(settings).unwrap().batcher(batching);
    for number in 0..EVENTS {
        let event = UsageEvent { method: "get".into(), service: "pets".into(), ..UsageEvent::default() };
        if number % 2 == 0 {
            batcher.record(event).await.unwrap();
        } else {
            // Recorded when the guard is dropped.
            batcher.start(event).set_httpstatus(200);
        }
        let request = FlowRequest {
            flow_id: "signup".into(),
            outcome: FlowOutcome::Succeeded.into(),
            ..FlowRequest::default()
        };
        batcher.record_flow_request(request).await.unwrap();
        if number % 1_000 == 500 {
            installation.ingest.kill9().unwrap();
        }
        if number % 1_000 == 700 {
            installation.ingest.start_again().unwrap();
        }
        tokio::task::yield_now().await;
    }
    let lost = batcher.shutdown(Duration::from_mins(1)).await;
    assert!(lost.is_none(), "{lost:?}");
    let expected = i64::try_from(EVENTS).unwrap();
    eventually(expected, async || tenant.read_requests().await).await;
    let question = GetFlowMetricRequest {
        flow_id: "signup".into(),
        name: "ENDPOINT_REQUEST_COUNT".into(),
        granularity: "LIFETIME".into(),
        ..GetFlowMetricRequest::default()
    };
    let counted = async || {
        let answer = tenant.query.clone().get_flow_metric(question.clone()).await.unwrap().into_inner();
        answer.metric.unwrap().data_points[0].data[0].value.to_string()
    };
    eventually(EVENTS.to_string(), counted).await;
    let stats = batcher.stats();
    assert_eq!(stats.usage.unsettled(), 0, "{stats:?}");
}
