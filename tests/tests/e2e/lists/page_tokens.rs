//! Page tokens: every list rejects the same tokens, with the same errors.

use flowmeter_proto::v1::{
    AssetDocument, AssetMetric, BatchEmitAssetMetricsRequest, CreateFlowRequest, CreateMetricRequest,
    CreateTimeSeriesRequest, Flow, GetLatestAssetMetricsRequest, ListAssetMetricsRequest, ListAssetsRequest,
    ListFieldValuesRequest, ListFlowsRequest, ListMetricsRequest, ListTenantsRequest, ListTimeSeriesRequest,
    ListTokensRequest, ListUsageEventsRequest, Metric, Scope, TimeSeries, UsageEvent,
};
use flowmeter_tests::{Installation, Tenant, event, request_id};
use prost_types::Timestamp;

use super::at;

/// The errors of a list of at least two items for a garbled token, the token of another list, and a forged
/// position in the list itself.
macro_rules! refusals {
    ($client:expr, $method:ident($request:expr)) => {{
        let mut client = $client.clone();
        let whole_list = $request;
        let mut request = whole_list.clone();
        request.page_size = 1;
        let first = client.$method(request.clone()).await.unwrap().into_inner();
        // The first twelve characters encode the list and the first byte of the position.
        let list = first.next_page_token.get(..12).expect("a next page");
        let mut refusals = Vec::new();
        for token in ["*", "AAAA", "AAAAAAAAAAB4", &format!("{list}____")] {
            request.page_token = token.to_owned();
            let status = client.$method(request.clone()).await.unwrap_err();
            refusals.push((status.code(), status.message().to_owned()));
        }
        refusals
    }};
}

#[tokio::test]
async fn every_list_rejects_the_same_page_tokens() {
    let installation = Installation::start("page-tokens").await;
    installation.tenant("beta").await;
    let tenant = installation.tenant("acme").await;
    installation.token("acme", &[Scope::Query]).await;
    fill(&tenant).await;

    let (query, catalog) = (&tenant.query, &tenant.catalog);
    let admin = installation.admin(installation.operator()).await;
    let assets = ListMetricsRequest { provider: "asset".into(), ..Default::default() };
    let urn = || "urn:a".to_owned();
    let documents = ListAssetMetricsRequest { asset_urn: urn(), ..Default::default() };
    let latest = GetLatestAssetMetricsRequest { asset_urn: urn(), ..Default::default() };
    let values = ListFieldValuesRequest { field: "user".into(), ..Default::default() };
    let tokens = ListTokensRequest { parent: "tenants/acme".into(), ..Default::default() };
    let lists = [
        ("events", refusals!(query, list_usage_events(ListUsageEventsRequest::default()))),
        ("values", refusals!(query, list_field_values(values))),
        ("assets", refusals!(query, list_assets(ListAssetsRequest::default()))),
        ("documents", refusals!(query, list_asset_metrics(documents))),
        ("latest values", refusals!(query, get_latest_asset_metrics(latest))),
        ("metrics", refusals!(catalog, list_metrics(ListMetricsRequest::default()))),
        ("metrics of assets", refusals!(catalog, list_metrics(assets))),
        ("time series", refusals!(catalog, list_time_series(ListTimeSeriesRequest::default()))),
        ("flows", refusals!(catalog, list_flows(ListFlowsRequest::default()))),
        ("tenants", refusals!(admin, list_tenants(ListTenantsRequest::default()))),
        ("tokens", refusals!(admin, list_tokens(tokens))),
    ];
    let not_returned = "page_token: expected a next_page_token that the service returned";
    let of_another_list = "page_token: expected the same arguments as for the previous page";
    let expected = [not_returned, not_returned, of_another_list, not_returned]
        .map(|message| (tonic::Code::InvalidArgument, message.to_owned()));
    for (list, refusals) in lists {
        assert_eq!(refusals, expected, "{list}");
    }
}

/// Creates at least two items for every list.
async fn fill(tenant: &Tenant) {
    let event =
        |seconds, user: &str| UsageEvent { timestamp: Some(at(seconds)), user: user.into(), ..event() };
    let request = request_id();
    tenant.record(&request, vec![event(1, "ann"), event(2, "bob")]).await.unwrap();
    tenant.settled(&request).await;

    let metric = |name: &str| AssetMetric { name: name.into(), value: Some(1.into()), value_type: 0 };
    let document = |urn: &str, timestamp: Timestamp| AssetDocument {
        asset_urn: urn.into(),
        timestamp: Some(timestamp),
        metrics: vec![metric("m"), metric("n")],
    };
    let documents = vec![document("urn:a", at(1)), document("urn:a", at(2)), document("urn:b", at(1))];
    let request = BatchEmitAssetMetricsRequest { documents, request_id: request_id() };
    let request_id = request.request_id.clone();
    tenant.ingest.clone().batch_emit_asset_metrics(request).await.unwrap();
    tenant.settled(&request_id).await;

    let mut catalog = tenant.catalog.clone();
    for name in ["a", "b"] {
        let flow = Flow { id: name.into(), ..Flow::default() };
        catalog.create_flow(CreateFlowRequest { flow: Some(flow) }).await.unwrap();
        let metric = Metric { name: format!("Shop/{name}"), ..Metric::default() };
        catalog.create_metric(CreateMetricRequest { metric: Some(metric) }).await.unwrap();
        let series = TimeSeries { provider: "Shop".into(), metric: name.into(), ..TimeSeries::default() };
        let request = CreateTimeSeriesRequest {
            parent: "objects/AAA".into(),
            time_series_id: name.into(),
            time_series: Some(series),
        };
        catalog.create_time_series(request).await.unwrap();
    }
}
