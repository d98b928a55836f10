//! The client library with the real services: values of assets, and batches while a service is killed.

use std::time::Duration;

use flowmeter_client::{
    AssetDocument, AssetMetric, AssetValue, BatcherSettings, Client, ClientSettings, FlowOutcome,
    FlowRequest, UsageEvent, asset_metric,
};
use flowmeter_proto::v1::{
    CreateFlowRequest, Flow, GetFlowMetricRequest, GetLatestAssetMetricsRequest, LatestAssetMetric,
};
use flowmeter_tests::{Installation, eventually};

const EVENTS: usize = 3_000;

#[tokio::test]
async fn a_batcher_counts_everything_once_while_the_service_is_killed() {
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
            // The event is recorded when the guard is dropped.
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
        // There is no metric yet, because the number of requests is too small.
        match tenant.query.clone().get_flow_metric(question.clone()).await {
            Ok(answer) => answer.into_inner().metric.unwrap().data_points[0].data[0].value().to_string(),
            Err(status) => status.message().to_owned(),
        }
    };
    eventually(EVENTS.to_string(), counted).await;
    let stats = batcher.stats();
    assert_eq!(stats.usage.unsettled(), 0, "{stats:?}");
}

#[tokio::test]
async fn values_of_assets_are_returned_as_they_were_emitted() {
    let installation = Installation::start("client-assets").await;
    let tenant = installation.tenant("acme").await;
    let client = Client::new(ClientSettings::new(installation.ingest.url()).token(&tenant.token)).unwrap();
    let document = AssetDocument {
        asset_urn: "urn:crm:customers".into(),
        metrics: vec![
            asset_metric("certified", true),
            asset_metric("revenue", AssetValue::decimal("12345678901234567.89")),
            asset_metric("rows", i64::MIN),
            asset_metric("score", 97.5),
            asset_metric("small", 1_200_000),
            asset_metric("steward", "7"),
        ],
        ..AssetDocument::default()
    };
    let emitted = client.emit_asset_metrics(&document).await.unwrap();
    let other = AssetDocument { metrics: vec![asset_metric("score", f64::NAN)], ..document.clone() };
    let wrong = client.emit_asset_metrics(&other).await.unwrap_err();
    assert_eq!(
        (wrong.reason(), wrong.field_violations()[0].field.as_str()),
        (Some("INVALID_FIELD"), "metrics[0].value")
    );
    let newer = AssetDocument { metrics: vec![asset_metric("score", 98.25)], ..document.clone() };
    let batch = client.batch_emit_asset_metrics(&[newer, other]).await.unwrap();
    assert_eq!((batch.accepted_count, batch.rejections[0].index), (1, 1));
    assert!(
        (batch.timestamp.seconds, batch.timestamp.nanos)
            >= (emitted.timestamp.seconds, emitted.timestamp.nanos)
    );

    let question = GetLatestAssetMetricsRequest {
        asset_urn: document.asset_urn.clone(),
        after_request_id: batch.request_id.to_string(),
        ..GetLatestAssetMetricsRequest::default()
    };
    let answer = tenant.query.clone().get_latest_asset_metrics(question).await.unwrap().into_inner();
    let metric = |latest: LatestAssetMetric| AssetMetric {
        name: latest.name,
        value: latest.value,
        value_type: latest.value_type,
    };
    let latest: Vec<_> = answer.metrics.into_iter().map(metric).collect();
    let mut expected = document.metrics;
    expected[3] = asset_metric("score", 98.25);
    // A number that a double can represent is returned as a double.
    expected[4].value = Some(1_200_000.0.into());
    assert_eq!(latest, expected);
}
