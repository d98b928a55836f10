//! The examples and guarantees of the `WhatsApp` Flows Metrics API.

use flowmeter_proto::v1::{DeleteFlowRequest, Flow, FlowOutcome, FlowRequest, UpdateFlowRequest};
use flowmeter_tests::{Installation, Tenant, request_id};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use tonic::Code;
use tonic_types::StatusExt;

use super::{ask, points, query, record, register, requests};

const ZONE: &str = "America/Los_Angeles";

/// The day `ago` days before today in the time zone.
fn day(ago: i64) -> Date {
    ZonedDateTime::now().with_time_zone(zone()).date().saturating_sub(ago.days())
}

fn zone() -> TimeZone {
    TimeZone::get(ZONE).unwrap()
}

/// A local time in the time zone.
fn at(day: Date, hour: i8, minute: i8) -> i64 {
    day.at(hour, minute, 0, 0).to_zoned_datetime(zone()).unwrap().timestamp().as_second()
}

fn data(data: &[(&str, f64)]) -> Vec<(String, f64)> {
    data.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

/// 600 requests ten days ago, namely the 315 of the reference's first example and some of each error, and 25
/// requests nine days ago, of which 6 failed.
async fn example(tenant: &Tenant) -> String {
    register(tenant, "flow", ZONE).await;
    let (first, second) = (at(day(10), 0, 0), at(day(9), 23, 59));
    let latency = |seconds, nanos, count| FlowRequest {
        latency: Some(prost_types::Duration { seconds, nanos }),
        ..requests("flow", first + 3_600, FlowOutcome::Succeeded, count)
    };
    let all = vec![
        requests("flow", first, FlowOutcome::TimeoutError, 5),
        requests("flow", first, FlowOutcome::UnexpectedHttpStatusCode, 10),
        FlowRequest { count: Some(300), ..latency(0, 0, 300) },
        latency(0, 999_999_999, 95),
        latency(2, 1, 61),
        latency(10, 0, 2),
        latency(10, 1, 33),
        requests("flow", second, FlowOutcome::CannotBeServed, 4),
        requests("flow", second, FlowOutcome::NoHttpResponseError, 2),
        requests("flow", second, FlowOutcome::Succeeded, 19),
    ];
    let id = request_id();
    let answer = record(tenant, &id, all).await.unwrap();
    assert_eq!((answer.accepted_count, answer.rejections.len()), (10, 0));
    assert_eq!(answer.request_id, id);
    id
}

#[tokio::test]
async fn metrics_match_the_examples_of_the_reference() {
    let installation = Installation::start("flow-examples").await;
    let tenant = installation.tenant("acme").await;
    let id = example(&tenant).await;
    let receipt = tenant.settled(&id).await;
    assert_eq!((receipt.state, receipt.accepted_count), (2, 10), "the request is applied");
    let days = |name: &str| query("flow", name, "day", &id);
    let (first, second) = (at(day(10), 0, 0), at(day(9), 0, 0));

    let answer = ask(&tenant, days("ENDPOINT_REQUEST_COUNT")).await.unwrap();
    assert_eq!(answer.id, "flow");
    let metric = answer.metric.as_ref().unwrap();
    assert_eq!((metric.granularity.as_str(), metric.name.as_str()), ("DAY", "ENDPOINT_REQUEST_COUNT"));
    assert!(answer.fresh_through.is_some());
    assert_eq!(answer.time_zone, ZONE);
    let value = |value| data(&[("value", value)]);
    assert_eq!(points(answer), [(first, value(506.0)), (second, value(25.0))]);

    let answer = ask(&tenant, days("ENDPOINT_REQUEST_ERROR")).await.unwrap();
    let errors = data(&[("timeout_error", 5.0), ("unexpected_http_status_code", 10.0)]);
    let later = data(&[("cannot_be_served", 4.0), ("no_http_response_error", 2.0)]);
    assert_eq!(points(answer), [(first, errors), (second, later)]);

    let answer = ask(&tenant, days("ENDPOINT_REQUEST_ERROR_RATE")).await.unwrap();
    assert_eq!(points(answer), [(first, value(15.0 / 506.0)), (second, value(0.24))]);

    let answer = ask(&tenant, days("ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL")).await.unwrap();
    let latencies = data(&[("1", 410.0), ("3", 61.0), ("10", 2.0), ("10+", 33.0)]);
    // A request that cannot be served has no latency.
    assert_eq!(points(answer), [(first, latencies), (second, data(&[("1", 21.0)]))]);

    let answer = ask(&tenant, days("ENDPOINT_AVAILABILITY")).await.unwrap();
    assert_eq!(points(answer), [], "the flow has no endpoint");

    let mut one_day = days("ENDPOINT_REQUEST_COUNT");
    (one_day.since, one_day.until) = (day(9).to_string(), day(8).to_string());
    assert_eq!(points(ask(&tenant, one_day.clone()).await.unwrap()), [(second, value(25.0))]);
    (one_day.since, one_day.until) = (day(10).to_string(), day(9).to_string());
    assert_eq!(points(ask(&tenant, one_day).await.unwrap()), [(first, value(506.0))], "until is exclusive");

    let hours = ask(&tenant, query("flow", "ENDPOINT_REQUEST_COUNT", "HOUR", "")).await.unwrap();
    assert_eq!(
        points(hours),
        [(first, value(15.0)), (first + 3_600, value(491.0)), (at(day(9), 23, 0), value(25.0))]
    );
    let lifetime = ask(&tenant, query("flow", "ENDPOINT_REQUEST_COUNT", "Lifetime", "")).await.unwrap();
    assert_eq!(lifetime.metric.as_ref().unwrap().granularity, "LIFETIME");
    assert_eq!(points(lifetime), [(first, value(531.0))], "since the day of its earliest request");
    let mut period = query("flow", "ENDPOINT_REQUEST_ERROR", "LIFETIME", "");
    period.since = day(9).to_string();
    let later = data(&[("cannot_be_served", 4.0), ("no_http_response_error", 2.0)]);
    assert_eq!(points(ask(&tenant, period).await.unwrap()), [(second, later)]);
}

#[tokio::test]
async fn a_flow_with_few_requests_has_no_metrics_yet() {
    let installation = Installation::start("flow-threshold").await;
    let tenant = installation.tenant("acme").await;
    register(&tenant, "flow", "UTC").await;
    let now = Timestamp::now().as_second();
    let id = request_id();
    record(&tenant, &id, vec![requests("flow", now, FlowOutcome::CannotBeServed, 249)]).await.unwrap();
    for name in ["ENDPOINT_REQUEST_COUNT", "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL", "ENDPOINT_AVAILABILITY"] {
        let error = ask(&tenant, query("flow", name, "HOUR", &id)).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
        let info = error.get_details_error_info().unwrap();
        assert_eq!(info.reason, "NOT_ENOUGH_DATA");
        let metadata = ["have", "need"].map(|key| info.metadata[key].as_str());
        assert_eq!(metadata, ["249", "250"]);
    }
    let id = request_id();
    // They count however old they are.
    let old = now - 80 * 86_400;
    record(&tenant, &id, vec![requests("flow", old, FlowOutcome::Succeeded, 1)]).await.unwrap();
    let answer = ask(&tenant, query("flow", "ENDPOINT_REQUEST_COUNT", "HOUR", &id)).await.unwrap();
    let found = points(answer);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, data(&[("value", 249.0)]));
}

#[tokio::test]
async fn history_outlives_the_flow_and_follows_its_time_zone() {
    let installation = Installation::start("flow-history").await;
    let tenant = installation.tenant("acme").await;
    let id = example(&tenant).await;
    let mut catalog = tenant.catalog.clone();
    let flow = Flow { id: "flow".into(), time_zone: "UTC".into(), ..Flow::default() };
    let update = UpdateFlowRequest {
        flow: Some(flow),
        update_mask: Some(prost_types::FieldMask { paths: vec!["time_zone".into()] }),
    };
    catalog.update_flow(update).await.unwrap();
    let count = || query("flow", "ENDPOINT_REQUEST_COUNT", "DAY", &id);
    let in_utc = points(ask(&tenant, count()).await.unwrap());
    assert!(in_utc.iter().all(|(start, _)| start % 86_400 == 0), "{in_utc:?}");

    catalog.delete_flow(DeleteFlowRequest { id: "flow".into(), version: 0 }).await.unwrap();
    let of_the_deleted = ask(&tenant, count()).await.unwrap();
    assert_eq!(of_the_deleted.time_zone, "UTC");
    assert_eq!(points(of_the_deleted), in_utc);

    register(&tenant, "flow", ZONE).await;
    let again = points(ask(&tenant, count()).await.unwrap());
    assert_eq!(again.len(), 2, "the flow continues with its history: {again:?}");

    let stranger = installation.tenant("other").await;
    let error = ask(&stranger, query("flow", "ENDPOINT_REQUEST_COUNT", "DAY", "")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}
