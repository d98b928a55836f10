//! Authorization: every method rejects every kind of invalid token, and tenants have no access to each
//! other's data.

use std::time::Duration;

use flowmeter_proto::v1::admin_service_client::AdminServiceClient;
use flowmeter_proto::v1::catalog_service_client::CatalogServiceClient;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{
    BatchEmitAssetMetricsRequest, CreateCalendarRequest, CreateFlowRequest, CreateMetricRequest,
    CreateTenantRequest, CreateTimeSeriesRequest, CreateTokenRequest, DeleteCalendarRequest,
    DeleteFlowRequest, DeleteMetricRequest, DeleteTimeSeriesRequest, EmitAssetMetricsRequest,
    GetBuildInfoRequest, GetCalendarRequest, GetFlowMetricRequest, GetFlowRequest,
    GetLatestAssetMetricsRequest, GetMetricRequest, GetReceiptRequest, GetTenantRequest,
    GetTimeSeriesRequest, GetUsageEventRequest, ListAssetMetricsRequest, ListAssetsRequest,
    ListCalendarsRequest, ListFieldValuesRequest, ListFlowsRequest, ListMetricsRequest, ListProvidersRequest,
    ListTenantsRequest, ListTimeSeriesRequest, ListTokensRequest, ListUsageEventsRequest,
    QueryExecutionsRequest, QueryTimeSeriesRequest, RecordFlowRequestsRequest, RecordUsageRequest,
    ReportExecutionsRequest, RevokeTokenRequest, Scope, StreamUsageRequest, UpdateCalendarRequest,
    UpdateFlowRequest, UpdateMetricRequest, UpdateTenantRequest, UpdateTimeSeriesRequest,
};
use flowmeter_tests::{Installation, event, eventually, request_id};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

async fn channel(url: String) -> Channel {
    Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// Calls every method that needs a token, and returns its name and error.
async fn call_all(installation: &Installation, token: Option<&str>) -> Vec<(&'static str, Status)> {
    let mut ingest = IngestServiceClient::new(channel(installation.ingest.url()).await);
    let channel = channel(installation.query.url()).await;
    let (mut query, mut admin) =
        (QueryServiceClient::new(channel.clone()), AdminServiceClient::new(channel.clone()));
    let mut catalog = CatalogServiceClient::new(channel);
    let mut failures = Vec::new();
    macro_rules! call {
        ($client:ident.$method:ident($message:expr)) => {
            if let Err(status) = $client.$method(with_token($message, token)).await {
                failures.push((stringify!($method), status));
            }
        };
    }
    call!(ingest.record_usage(RecordUsageRequest { events: vec![event()], ..Default::default() }));
    let stream = tokio_stream::iter([StreamUsageRequest { events: vec![event()], ..Default::default() }]);
    let streamed = match ingest.stream_usage(with_token(stream, token)).await {
        Ok(answers) => answers.into_inner().message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    failures.extend(streamed.err().map(|status| ("stream_usage", status)));
    call!(ingest.record_flow_requests(RecordFlowRequestsRequest::default()));
    call!(ingest.report_executions(ReportExecutionsRequest::default()));
    call!(ingest.emit_asset_metrics(EmitAssetMetricsRequest::default()));
    call!(ingest.batch_emit_asset_metrics(BatchEmitAssetMetricsRequest::default()));
    call!(query.list_asset_metrics(ListAssetMetricsRequest::default()));
    call!(query.get_latest_asset_metrics(GetLatestAssetMetricsRequest::default()));
    call!(query.list_assets(ListAssetsRequest::default()));
    call!(query.query_executions(QueryExecutionsRequest::default()));
    call!(admin.update_tenant(UpdateTenantRequest::default()));
    call!(query.get_usage_event(GetUsageEventRequest::default()));
    call!(query.list_usage_events(ListUsageEventsRequest::default()));
    call!(query.list_field_values(ListFieldValuesRequest::default()));
    call!(query.query_time_series(QueryTimeSeriesRequest::default()));
    call!(query.get_flow_metric(GetFlowMetricRequest::default()));
    call!(query.get_receipt(GetReceiptRequest::default()));
    call!(admin.create_tenant(CreateTenantRequest::default()));
    call!(admin.get_tenant(GetTenantRequest::default()));
    call!(admin.list_tenants(ListTenantsRequest::default()));
    call!(admin.create_token(CreateTokenRequest::default()));
    call!(admin.list_tokens(ListTokensRequest::default()));
    call!(admin.revoke_token(RevokeTokenRequest::default()));
    call!(catalog.list_providers(ListProvidersRequest::default()));
    call!(catalog.list_metrics(ListMetricsRequest::default()));
    call!(catalog.get_metric(GetMetricRequest::default()));
    call!(catalog.list_calendars(ListCalendarsRequest::default()));
    call!(catalog.get_calendar(GetCalendarRequest::default()));
    call!(catalog.list_time_series(ListTimeSeriesRequest::default()));
    call!(catalog.get_time_series(GetTimeSeriesRequest::default()));
    call!(catalog.list_flows(ListFlowsRequest::default()));
    call!(catalog.get_flow(GetFlowRequest::default()));
    call!(catalog.create_metric(CreateMetricRequest::default()));
    call!(catalog.update_metric(UpdateMetricRequest::default()));
    call!(catalog.delete_metric(DeleteMetricRequest::default()));
    call!(catalog.create_calendar(CreateCalendarRequest::default()));
    call!(catalog.update_calendar(UpdateCalendarRequest::default()));
    call!(catalog.delete_calendar(DeleteCalendarRequest::default()));
    call!(catalog.create_time_series(CreateTimeSeriesRequest::default()));
    call!(catalog.update_time_series(UpdateTimeSeriesRequest::default()));
    call!(catalog.delete_time_series(DeleteTimeSeriesRequest::default()));
    call!(catalog.create_flow(CreateFlowRequest::default()));
    call!(catalog.update_flow(UpdateFlowRequest::default()));
    call!(catalog.delete_flow(DeleteFlowRequest::default()));
    failures
}

const METHODS: usize = 44;
const CATALOG_READS: [&str; 9] = [
    "list_providers",
    "list_metrics",
    "get_metric",
    "list_calendars",
    "get_calendar",
    "list_time_series",
    "get_time_series",
    "list_flows",
    "get_flow",
];

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn every_method_requires_a_token_with_its_scope() {
    let installation = Installation::start("every-method").await;
    installation.tenant("acme").await;
    let forged = "fm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (token, code, expected) in [
        (None, Code::Unauthenticated, "TOKEN_MISSING"),
        (Some("nonsense"), Code::Unauthenticated, "TOKEN_INVALID"),
        (Some(forged), Code::Unauthenticated, "TOKEN_INVALID"),
    ] {
        let failures = call_all(&installation, token).await;
        assert_eq!(failures.len(), METHODS);
        for (method, status) in failures {
            assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{method} {token:?}");
        }
    }
    let by_scope = [
        (
            Scope::Ingest,
            &[
                &["record_usage", "stream_usage", "record_flow_requests", "report_executions"][..],
                &["emit_asset_metrics", "batch_emit_asset_metrics"],
            ]
            .concat(),
        ),
        (
            Scope::Query,
            &[
                &["get_usage_event", "list_usage_events", "list_field_values"][..],
                &["query_time_series", "get_flow_metric", "query_executions", "get_receipt"],
                &["list_asset_metrics", "get_latest_asset_metrics", "list_assets"],
                &CATALOG_READS,
            ]
            .concat(),
        ),
        (
            Scope::Admin,
            &[
                &["create_tenant", "get_tenant", "list_tenants", "update_tenant"][..],
                &["create_token", "list_tokens", "revoke_token"],
            ]
            .concat(),
        ),
        (
            Scope::Catalog,
            &[
                &CATALOG_READS[..],
                &["create_metric", "update_metric", "delete_metric"],
                &["create_calendar", "update_calendar", "delete_calendar"],
                &["create_time_series", "update_time_series", "delete_time_series"],
                &["create_flow", "update_flow", "delete_flow"],
            ]
            .concat(),
        ),
    ];
    for (scope, allowed) in by_scope {
        let token = installation.token("acme", &[scope]).await;
        let failures = call_all(&installation, Some(&token)).await;
        let missing = |status: &Status| status.message().starts_with("the token lacks the scope");
        let refused = failures.iter().filter(|(_, status)| missing(status)).count();
        assert_eq!(refused, METHODS - allowed.len(), "{scope:?}");
        assert!(failures.iter().all(|(method, status)| missing(status) != allowed.contains(method)));
    }
}

#[tokio::test]
async fn build_info_needs_no_token() {
    let installation = Installation::start("build-info").await;
    let mut query = QueryServiceClient::new(channel(installation.query.url()).await);
    let info = query.get_build_info(GetBuildInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (info.service.as_str(), info.version.as_str()),
        ("flowmeter-query", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_tenant_reads_and_manages_only_its_own_data() {
    let installation = Installation::start("only-its-own").await;
    let (acme, other) = (installation.tenant("acme").await, installation.tenant("other").await);
    let request = request_id();
    let id = acme.record(&request, vec![event()]).await.unwrap().event_ids.remove(0);
    acme.settled(&request).await;

    let get = GetUsageEventRequest { id: id.clone(), ..Default::default() };
    assert!(acme.query.clone().get_usage_event(get.clone()).await.is_ok());
    let status = other.query.clone().get_usage_event(get).await.unwrap_err();
    let absent = GetUsageEventRequest { id: id.replace(&id[..2], "00"), ..Default::default() };
    let unknown = other.query.clone().get_usage_event(absent).await.unwrap_err();
    assert_eq!((status.code(), unknown.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(other.read_requests().await, 0);
    let listed = other.query.clone().list_usage_events(ListUsageEventsRequest::default()).await.unwrap();
    assert!(listed.into_inner().usage_events.is_empty());
    let receipt = GetReceiptRequest { request_id: request, wait: false };
    let receipt = other.query.clone().get_receipt(receipt).await.unwrap().into_inner();
    assert_eq!(receipt.accepted_count, 0);

    let mut admin = installation.admin(&other.token).await;
    let code = |status: Status| status.code();
    let get = GetTenantRequest { name: "tenants/acme".into() };
    assert_eq!(admin.get_tenant(get).await.map_err(code).unwrap_err(), Code::NotFound);
    let list = ListTokensRequest { parent: "tenants/acme".into(), ..Default::default() };
    assert_eq!(admin.list_tokens(list).await.map_err(code).unwrap_err(), Code::NotFound);
    let create = CreateTokenRequest {
        parent: "tenants/acme".into(),
        scopes: vec![Scope::Query.into()],
        ..Default::default()
    };
    assert_eq!(admin.create_token(create).await.map_err(code).unwrap_err(), Code::NotFound);
    let tenants = admin.list_tenants(ListTenantsRequest::default()).await.unwrap().into_inner().tenants;
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["tenants/other"]);
    let create = CreateTenantRequest { tenant_id: "third".into() };
    assert_eq!(admin.create_tenant(create).await.map_err(code).unwrap_err(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_revoked_or_expired_token_is_rejected() {
    let installation = Installation::start("revoked").await;
    let acme = installation.tenant("acme").await;
    let mut admin = installation.admin(&acme.token).await;
    let mut query = QueryServiceClient::new(channel(installation.query.url()).await);
    let scopes = vec![Scope::Query.into()];

    let create = CreateTokenRequest { scopes: scopes.clone(), ..Default::default() };
    let created = admin.create_token(create).await.unwrap().into_inner();
    let list = || ListUsageEventsRequest::default();
    assert!(query.list_usage_events(with_token(list(), Some(&created.secret))).await.is_ok());
    let name = created.token.unwrap().name;
    admin.revoke_token(RevokeTokenRequest { name: name.clone() }).await.unwrap();
    eventually("TOKEN_INVALID".to_owned(), async || {
        let answer = query.clone().list_usage_events(with_token(list(), Some(&created.secret))).await;
        answer.err().map(|status| reason(&status)).unwrap_or_default()
    })
    .await;
    let tokens = admin.list_tokens(ListTokensRequest::default()).await.unwrap().into_inner().tokens;
    let revoked = tokens.iter().find(|token| token.name == name).unwrap();
    assert!(revoked.revoke_time.is_some());

    let soon = std::time::SystemTime::now() + Duration::from_secs(1);
    let create = CreateTokenRequest { scopes, expire_time: Some(soon.into()), ..Default::default() };
    let short = admin.create_token(create).await.unwrap().into_inner().secret;
    eventually("TOKEN_EXPIRED".to_owned(), async || {
        let answer = query.clone().list_usage_events(with_token(list(), Some(&short))).await;
        answer.err().map(|status| reason(&status)).unwrap_or_default()
    })
    .await;
}

/// The service does not wait for a body that never ends if the token is invalid.
#[tokio::test]
async fn an_invalid_token_is_rejected_before_the_body_is_read() {
    let installation = Installation::start("before-the-body").await;
    let mut ingest = IngestServiceClient::new(channel(installation.ingest.url()).await);
    let endless = tokio_stream::pending::<StreamUsageRequest>();
    let call = ingest.stream_usage(with_token(endless, Some("nonsense")));
    let status = tokio::time::timeout(Duration::from_secs(10), call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}
