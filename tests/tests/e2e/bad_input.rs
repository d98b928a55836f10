//! Invalid requests and items are rejected with the code and the field that the contract documents, and
//! nothing of them is stored.

use flowmeter_proto::v1::{GetUsageEventRequest, ListUsageEventsRequest, QueryTimeSeriesRequest, UsageEvent};
use flowmeter_tests::{Installation, Tenant, event, request_id};
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The code, the reason, and the fields of the violations.
fn shown(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    (status.code(), reason, fields.into_iter().map(|violation| violation.field).collect())
}

fn seconds_from_now(seconds: i64) -> Timestamp {
    let now: Timestamp = std::time::SystemTime::now().into();
    Timestamp { seconds: now.seconds + seconds, nanos: 0 }
}

#[tokio::test]
async fn invalid_events_are_rejected_and_the_others_stored() {
    let installation = Installation::start("wrong-events").await;
    let tenant = installation.tenant("acme").await;
    let day = 86_400;
    let attributes = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let many = (0..33).map(|number| (number.to_string(), String::new())).collect();
    let cases: Vec<(UsageEvent, &str)> = vec![
        (UsageEvent { timestamp: Some(seconds_from_now(7_200)), ..event() }, "timestamp"),
        (UsageEvent { timestamp: Some(seconds_from_now(-401 * day)), ..event() }, "timestamp"),
        (UsageEvent { timestamp: Some(Timestamp { seconds: 0, nanos: -1 }), ..event() }, "timestamp"),
        (
            UsageEvent { timestamp: Some(Timestamp { seconds: 253_402_300_799, nanos: 0 }), ..event() },
            "timestamp",
        ),
        (UsageEvent { event_id: "a".into(), ..event() }, "timestamp"),
        (
            UsageEvent { event_id: "a".repeat(1025), timestamp: Some(seconds_from_now(0)), ..event() },
            "event_id",
        ),
        (UsageEvent { service: "s".repeat(1025), ..event() }, "service"),
        (UsageEvent { user: "a\0b".into(), ..event() }, "user"),
        (UsageEvent { provider: "Executions".into(), ..event() }, "provider"),
        (UsageEvent { httpstatus: Some(99), ..event() }, "httpstatus"),
        (UsageEvent { httpstatus: Some(1000), ..event() }, "httpstatus"),
        (UsageEvent { duration: Some(-1), ..event() }, "duration"),
        (UsageEvent { response_size: Some(-1), ..event() }, "response_size"),
        (UsageEvent { decimal_value: "1e3".into(), ..event() }, "decimal_value"),
        (UsageEvent { decimal_value: "1".into(), value: Some(1), ..event() }, "decimal_value"),
        (UsageEvent { attributes: many, ..event() }, "attributes"),
        (UsageEvent { attributes: attributes("", "x"), ..event() }, "attributes"),
        (UsageEvent { attributes: attributes("service", "x"), ..event() }, "attributes"),
        (UsageEvent { attributes: attributes("key", &"x".repeat(1025)), ..event() }, "attributes[\"key\"]"),
    ];
    let mut events = vec![event()];
    events.extend(cases.iter().map(|(event, _)| event.clone()));
    events.push(event());
    let request = request_id();
    let answer = tenant.record(&request, events).await.unwrap();
    assert_eq!(answer.accepted_count, 2);
    assert_eq!(answer.rejections.len(), cases.len());
    for (rejection, (index, (_, field))) in answer.rejections.iter().zip((1..).zip(&cases)) {
        assert_eq!((rejection.index, rejection.reason.as_str()), (index, "INVALID_FIELD"));
        let fields: Vec<_> = rejection.field_violations.iter().map(|found| found.field.clone()).collect();
        assert_eq!(fields, [format!("events[{index}].{field}")]);
        assert_eq!(answer.event_ids[usize::try_from(index).unwrap()], "");
    }
    assert_eq!(tenant.settled(&request).await.accepted_count, 2);
    assert_eq!(tenant.read_requests().await, 2);
}

#[tokio::test]
async fn a_batch_of_only_invalid_events_is_applied() {
    let installation = Installation::start("only-wrong").await;
    let tenant = installation.tenant("acme").await;
    let request = request_id();
    let wrong = UsageEvent { duration: Some(-1), ..event() };
    assert_eq!(tenant.record(&request, vec![wrong]).await.unwrap().accepted_count, 0);
    assert_eq!(tenant.settled(&request).await.accepted_count, 0);
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let installation = Installation::start("wrong-as-a-whole").await;
    let tenant = installation.tenant("acme").await;
    let whole = async |request: &str, events| shown(&tenant.record(request, events).await.unwrap_err());
    assert_eq!(
        whole("", vec![]).await,
        (Code::InvalidArgument, "INVALID_FIELD".into(), vec!["events".into()])
    );
    for request in [
        "nonsense",
        "00000000-0000-4000-8000-000000000000",
        "00000000-0000-7000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
    ] {
        let expected = (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["request_id".to_owned()]);
        assert_eq!(whole(request, vec![event()]).await, expected, "{request}");
    }
    let exhausted = (Code::ResourceExhausted, "BATCH_TOO_LARGE".to_owned(), vec![]);
    assert_eq!(whole("", vec![event(); 10_001]).await, exhausted);
    let large = UsageEvent { detail: "x".repeat(1024), ..event() };
    assert_eq!(whole("", vec![large; 5_000]).await, exhausted);
    assert_eq!(tenant.read_requests().await, 0);
}

#[tokio::test]
async fn errors_name_the_field_that_is_not_utf8() {
    use flowmeter_proto::raw::RecordUsageRequest;
    use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
    use prost::Message;

    let installation = Installation::start("not-utf8").await;
    let tenant = installation.tenant("acme").await;
    let channel =
        tonic::transport::Endpoint::from_shared(installation.ingest.url()).unwrap().connect().await.unwrap();
    let mut client = IngestServiceClient::new(channel);
    let wrong = vec![11 << 3 | 2, 2, 0xc3, 0x28];
    let events = vec![wrong.into(), event().encode_to_vec().into(), vec![0xff, 0xff].into()];
    let mut request =
        tonic::Request::new(RecordUsageRequest { events, request_id: request_id(), return_ids: false });
    request.metadata_mut().insert("authorization", format!("Bearer {}", tenant.token).parse().unwrap());
    let answer = client.record_usage(request).await.unwrap().into_inner();
    assert_eq!(answer.accepted_count, 1);
    let fields: Vec<_> =
        answer.rejections.iter().map(|rejection| rejection.field_violations[0].field.as_str()).collect();
    assert_eq!(fields, ["events[0].service", "events[2]"]);
}

/// Calls a method with a message that it cannot decode: the second field of its request is not a double.
async fn misread(url: String, token: &str, method: &str) -> (Code, String, Vec<String>) {
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(1.0)) };
    let mut request = tonic::Request::new(futures::stream::iter([number]));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<prost_types::Value, ()>::default();
    let path = format!("/flowmeter.v1.{method}").parse().unwrap();
    shown(&client.client_streaming(request, path, codec).await.unwrap_err())
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_is_invalid() {
    let installation = Installation::start("unreadable").await;
    let tenant = installation.tenant("acme").await;
    for (url, methods) in [
        (
            installation.ingest.url(),
            ["RecordUsage", "StreamUsage", "ReportExecutions", "EmitAssetMetrics"]
                .map(|name| format!("IngestService/{name}")),
        ),
        (
            installation.query.url(),
            [
                "QueryService/QueryTimeSeries",
                "QueryService/GetReceipt",
                "CatalogService/ListMetrics",
                "AdminService/CreateToken",
            ]
            .map(ToOwned::to_owned),
        ),
    ] {
        for method in methods {
            let found = misread(url.clone(), &tenant.token, &method).await;
            assert_eq!(found, (Code::InvalidArgument, "INVALID_FIELD".into(), vec![]), "{method}");
        }
    }
}

async fn series_failure(
    tenant: &Tenant,
    change: impl FnOnce(&mut QueryTimeSeriesRequest),
) -> (Code, String, Vec<String>) {
    let mut request = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequests".into(),
        range: "2024".into(),
        ..QueryTimeSeriesRequest::default()
    };
    change(&mut request);
    shown(&tenant.series(request).await.unwrap_err())
}

#[tokio::test]
async fn invalid_queries_are_rejected() {
    let installation = Installation::start("wrong-questions").await;
    let tenant = installation.tenant("acme").await;
    let invalid =
        |reason: &str, field: &str| (Code::InvalidArgument, reason.to_owned(), vec![field.to_owned()]);
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned(), vec![]);

    let failure = series_failure(&tenant, |request| request.metric = "ODSLRequest/Unknown".into()).await;
    assert_eq!(failure, not_found);
    let failure = series_failure(&tenant, |request| request.metric = "ReadRequests".into()).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "metric"));
    let failure = series_failure(&tenant, |request| request.observed = 42).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "observed"));
    let failure = series_failure(&tenant, |request| request.calendar = "hourly".into()).await;
    assert_eq!(failure, not_found);
    for code in ["#PT", "a b", "a\0"] {
        let failure = series_failure(&tenant, |request| request.calendar = code.into()).await;
        assert_eq!(failure, invalid("INVALID_CALENDAR", "calendar"), "{code}");
    }
    let failure = series_failure(&tenant, |request| request.time_zone = "Europe/Nowhere".into()).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "time_zone"));
    let failure = series_failure(&tenant, |request| request.group_by = vec!["duration".into()]).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "group_by[0]"));
    for label in ["id", "timestamp", "attributes.user", " ", "a\0"] {
        let failure = series_failure(&tenant, |request| request.group_by = vec![label.into()]).await;
        assert_eq!(failure, invalid("INVALID_FIELD", "group_by[0]"), "{label}");
    }
    let failure = series_failure(&tenant, |request| request.fill = 42).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "fill"));
    let failure = series_failure(&tenant, |request| request.key = "a\0".into()).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "key"));
    let failure =
        series_failure(&tenant, |request| request.time_series = "objects/A/timeSeries/B".into()).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "metric"), "expected either a metric or a time series");
    let failure = series_failure(&tenant, |request| request.range = "from(yesterday)".into()).await;
    assert_eq!(failure, invalid("INVALID_RANGE", "range"));
    let failure = series_failure(&tenant, |request| request.calendar = "#PT1M".into()).await;
    assert_eq!(failure, invalid("INVALID_RANGE", "range"), "a leap year has 527,040 minutes");
    let long = format!("a/{}", "x".repeat(9_000));
    let failure = series_failure(&tenant, |request| request.metric = long).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "metric"));
    let failure = series_failure(&tenant, |request| request.range = "between(2024,9999)".into()).await;
    assert_eq!(failure, invalid("INVALID_RANGE", "range"), "too many hours are an error, not a panic");
    let failure = series_failure(&tenant, |request| request.filter = "{\"a\":".into()).await;
    assert_eq!(failure, invalid("INVALID_FILTER", "filter"));
    let failure = series_failure(&tenant, |request| request.after_request_id = "x".into()).await;
    assert_eq!(failure, invalid("INVALID_FIELD", "after_request_id"));

    let mut query = tenant.query.clone();
    let get = GetUsageEventRequest { id: "x".into(), ..Default::default() };
    assert_eq!(shown(&query.get_usage_event(get).await.unwrap_err()), invalid("INVALID_FIELD", "id"));
    for (list, reason, field) in [
        (ListUsageEventsRequest { page_size: -1, ..Default::default() }, "INVALID_FIELD", "page_size"),
        (ListUsageEventsRequest { page_size: 1_001, ..Default::default() }, "INVALID_FIELD", "page_size"),
        (
            ListUsageEventsRequest { order_by: "service up".into(), ..Default::default() },
            "INVALID_FIELD",
            "order_by",
        ),
        (ListUsageEventsRequest { range: "last(2)".into(), ..Default::default() }, "INVALID_RANGE", "range"),
        (ListUsageEventsRequest { search: "\"open".into(), ..Default::default() }, "INVALID_FIELD", "search"),
        (
            ListUsageEventsRequest {
                read_mask: Some(prost_types::FieldMask { paths: vec!["event.x".into()] }),
                ..Default::default()
            },
            "INVALID_FIELD",
            "read_mask",
        ),
        (
            ListUsageEventsRequest { page_token: "abc".into(), ..Default::default() },
            "INVALID_PAGE_TOKEN",
            "page_token",
        ),
    ] {
        assert_eq!(shown(&query.list_usage_events(list).await.unwrap_err()), invalid(reason, field));
    }
}

#[tokio::test]
async fn waiting_for_a_request_ends_at_the_deadline_of_the_caller() {
    let installation = Installation::start("callers-deadline").await;
    let tenant = installation.tenant("acme").await;
    let mut request = tonic::Request::new(QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequests".into(),
        range: "2024".into(),
        after_request_id: request_id(),
        ..QueryTimeSeriesRequest::default()
    });
    request.set_timeout(std::time::Duration::from_secs(5));
    let status = tenant.query.clone().query_time_series(request).await.unwrap_err();
    assert_eq!(shown(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into(), vec![]));
}
