//! Executions: what integrations report about their API calls, and what dashboards query.

mod client;
mod schedules;

use std::collections::BTreeMap;

use flowmeter_proto::v1::{
    ExecutionMetric, ExecutionReport, GetTenantRequest, QueryExecutionsRequest, QueryExecutionsResponse,
    ReportExecutionsRequest, ReportExecutionsResponse, Tenant as TenantSettings, UpdateTenantRequest,
};
use flowmeter_tests::{Installation, Tenant, eventually, request_id};
use jiff::{Timestamp, ToSpan};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::dice::Dice;

const SEED: u64 = 20_241_130;
const INTEGRATIONS: [&str; 3] = ["VirusTotal", "Shodan", "Ünïcode / x"];
const COMMANDS: [&str; 3] = ["url", "ip", ""];
const TYPES: [&str; 10] = [
    "Successful",
    "GeneralError",
    "AuthError",
    "ServiceError",
    "OutOfQuota",
    "RetryTimeout",
    "QuotaError",
    "TimeoutError",
    "ConnectionError",
    "SSLError",
];

const LABELS: [&str; 4] = ["integration", "instance", "command", "type"];

async fn report(
    tenant: &Tenant,
    request_id: &str,
    reports: Vec<ExecutionReport>,
) -> Result<ReportExecutionsResponse, Status> {
    let request = ReportExecutionsRequest { reports, request_id: request_id.into() };
    Ok(tenant.ingest.clone().report_executions(request).await?.into_inner())
}

async fn ask(tenant: &Tenant, request: QueryExecutionsRequest) -> Result<QueryExecutionsResponse, Status> {
    Ok(tenant.query.clone().query_executions(request).await?.into_inner())
}

fn metric(name: &str, count: i64) -> ExecutionMetric {
    ExecutionMetric { r#type: name.into(), count }
}

fn grouped(group_by: &[&str]) -> QueryExecutionsRequest {
    QueryExecutionsRequest {
        group_by: group_by.iter().map(|label| (*label).to_owned()).collect(),
        ..QueryExecutionsRequest::default()
    }
}

/// The totals by the values of the labels, in the order of `labels`.
fn totals(answer: &QueryExecutionsResponse, labels: &[&str]) -> Vec<(Vec<String>, i64)> {
    let values = |series: &flowmeter_proto::v1::ExecutionSeries| {
        assert_eq!(series.labels.len(), labels.len());
        labels.iter().map(|label| series.labels[*label].clone()).collect()
    };
    answer.series.iter().map(|series| (values(series), series.total)).collect()
}

/// The example of the reference: each URL is a call with a different result.
#[tokio::test]
async fn the_example_of_the_reference_works() {
    let installation = Installation::start("executions-example").await;
    let tenant = installation.tenant("acme").await;
    let id = request_id();
    let example = ExecutionReport {
        integration: "Sample".into(),
        instance: "Sample_instance_1".into(),
        command: "url".into(),
        timestamp: None,
        metrics: vec![metric("Successful", 1), metric("GeneralError", 1), metric("QuotaError", 1)],
        schedule: None,
    };
    for _ in 0..2 {
        let answer = report(&tenant, &id, vec![example.clone()]).await.unwrap();
        assert_eq!((answer.accepted_count, answer.rejections.len()), (1, 0));
    }
    let query = QueryExecutionsRequest { after_request_id: id.clone(), ..grouped(&["type"]) };
    let answer = ask(&tenant, query).await.unwrap();
    let own = |names: [&str; 3]| names.map(|name| (vec![name.to_owned()], 1)).to_vec();
    assert_eq!(totals(&answer, &["type"]), own(["GeneralError", "OutOfQuota", "Successful"]));
    assert!(answer.fresh_through.is_some());
    assert!(answer.series.iter().all(|series| series.points.is_empty()), "there are only totals");

    // A single number: the rate-limited calls.
    let limited = QueryExecutionsRequest { filter: "type = OutOfQuota".into(), ..grouped(&[]) };
    assert_eq!(totals(&ask(&tenant, limited).await.unwrap(), &[]), [(vec![], 1)]);
    // One instance by hour and type.
    let hourly = QueryExecutionsRequest {
        filter: "instance = Sample_instance_1".into(),
        calendar: "#PT1H".into(),
        range: "last(3)".into(),
        ..grouped(&["type"])
    };
    let answer = ask(&tenant, hourly).await.unwrap();
    assert_eq!((answer.series.len(), answer.calendar.as_str()), (3, "#PT1H"));
    assert!(answer.series.iter().all(|series| series.points.len() == 1 && series.points[0].count == 1));
    let other = QueryExecutionsRequest { filter: "command = ip".into(), ..grouped(&["command", "type"]) };
    assert!(ask(&tenant, other).await.unwrap().series.is_empty());
    let stranger = installation.tenant("other").await;
    assert!(ask(&stranger, grouped(&["type"])).await.unwrap().series.is_empty());
}

#[tokio::test]
async fn other_types_are_kept_if_the_tenant_allows_them() {
    let installation = Installation::start("executions-types").await;
    let tenant = installation.tenant("acme").await;
    let mut admin = installation.admin(&tenant.token).await;
    let other = || ExecutionReport {
        integration: "Sample".into(),
        metrics: vec![metric("ConnectionError", 2), metric("TimeoutError", 1)],
        ..ExecutionReport::default()
    };
    let first = request_id();
    report(&tenant, &first, vec![other()]).await.unwrap();
    let set = |value| UpdateTenantRequest {
        tenant: Some(TenantSettings {
            name: "tenants/acme".into(),
            allow_all_metric_types: value,
            ..TenantSettings::default()
        }),
        update_mask: None,
    };
    let updated = admin.update_tenant(set(true)).await.unwrap().into_inner().tenant.unwrap();
    assert!(updated.allow_all_metric_types && updated.create_time.is_some());
    let get = GetTenantRequest { name: "tenants/acme".into() };
    assert_eq!(admin.get_tenant(get).await.unwrap().into_inner().tenant, Some(updated));
    // Every service applies the change within 30 s.
    eventually(true, async || {
        let id = request_id();
        report(&tenant, &id, vec![other()]).await.unwrap();
        let query = QueryExecutionsRequest { after_request_id: id, ..grouped(&["type"]) };
        let answer = ask(&tenant, query).await.unwrap();
        totals(&answer, &["type"])
            .iter()
            .any(|(labels, count)| (labels[0].as_str(), *count) == ("ConnectionError", 2))
    })
    .await;
    let answer = ask(&tenant, grouped(&["type"])).await.unwrap();
    let types: Vec<_> = totals(&answer, &["type"]).into_iter().map(|(labels, _)| labels[0].clone()).collect();
    assert_eq!(types, ["ConnectionError", "GeneralError", "RetryTimeout"]);
    let error = admin.update_tenant(UpdateTenantRequest {
        tenant: Some(TenantSettings { name: "tenants/other".into(), ..TenantSettings::default() }),
        update_mask: None,
    });
    assert_eq!(error.await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn errors_name_the_wrong_field() {
    let installation = Installation::start("executions-wrong").await;
    let tenant = installation.tenant("acme").await;
    let valid = || ExecutionReport {
        integration: "Sample".into(),
        metrics: vec![metric("Successful", 1)],
        ..ExecutionReport::default()
    };
    let reports = vec![
        ExecutionReport { integration: String::new(), ..valid() },
        ExecutionReport { metrics: vec![metric("Successful", -5)], ..valid() },
        ExecutionReport { metrics: vec![metric("Successful", 1_000_000_000_001)], ..valid() },
        ExecutionReport { metrics: vec![metric("", 1)], ..valid() },
        ExecutionReport { timestamp: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }), ..valid() },
        ExecutionReport { metrics: vec![metric("Successful", 0)], ..valid() },
        valid(),
    ];
    let id = request_id();
    let answer = report(&tenant, &id, reports).await.unwrap();
    assert_eq!(answer.accepted_count, 2);
    let fields: Vec<_> =
        answer.rejections.iter().map(|rejection| rejection.field_violations[0].field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "reports[0].integration",
            "reports[1].metrics[0].count",
            "reports[2].metrics[0].count",
            "reports[3].metrics[0].type",
            "reports[4].timestamp"
        ]
    );
    let query = QueryExecutionsRequest { after_request_id: id, ..grouped(&[]) };
    assert_eq!(totals(&ask(&tenant, query).await.unwrap(), &[]), [(vec![], 1)]);
    for (query, field) in [
        (grouped(&["user"]), "group_by[0]"),
        (grouped(&["type", "type"]), "group_by[1]"),
        (QueryExecutionsRequest { filter: "type =".into(), ..grouped(&[]) }, "filter"),
        (QueryExecutionsRequest { filter: "Type = OutOfQuota".into(), ..grouped(&[]) }, "filter"),
        (QueryExecutionsRequest { range: "nonsense".into(), ..grouped(&[]) }, "range"),
        (QueryExecutionsRequest { range: "last(3)".into(), ..grouped(&[]) }, "calendar"),
        (QueryExecutionsRequest { calendar: "#PT7X".into(), ..grouped(&[]) }, "calendar"),
        (QueryExecutionsRequest { time_zone: "Mars".into(), ..grouped(&[]) }, "time_zone"),
    ] {
        let error = ask(&tenant, query.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{query:?}");
        assert_eq!(error.get_details_bad_request().unwrap().field_violations[0].field, field, "{error}");
    }
}

/// A reported number of calls, with the type under which it is counted.
struct Counted {
    at: Timestamp,
    labels: [String; 4],
    count: i64,
}

/// The types under which reported types are counted, by the table of the reference.
fn settled(reported: &str) -> &str {
    match reported {
        "QuotaError" => "OutOfQuota",
        "TimeoutError" => "RetryTimeout",
        "ConnectionError" | "SSLError" => "GeneralError",
        permitted => permitted,
    }
}

#[tokio::test]
async fn answers_match_a_naive_model_of_the_reports() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    let installation = Installation::start("executions-model").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let mut counted = Vec::new();
    let mut last = String::new();
    for _ in 0..40 {
        let reports: Vec<_> =
            (0..=dice.below(8)).map(|_| random_report(&mut dice, now, &mut counted)).collect();
        last = request_id();
        for _ in 0..=dice.below(2) {
            report(&tenant, &last, reports.clone()).await.unwrap();
        }
        tenant.settled(&last).await;
    }
    for _ in 0..150 {
        let group_by = dice.some_of(&LABELS, 4);
        let wanted = dice.some_of(&[0, 2, 3], 2);
        let values: Vec<_> = wanted
            .iter()
            .map(|label| {
                (*label, dice.of(&counted.iter().map(|one| one.labels[*label].clone()).collect::<Vec<_>>()))
            })
            .collect();
        let filter: Vec<_> = values
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(label, value)| format!("{} = {value:?}", LABELS[*label]))
            .collect();
        let fits = |one: &Counted| {
            values.iter().all(|(label, value)| value.is_empty() || one.labels[*label] == *value)
        };
        let since = now.as_second() - dice.between(0, 12 * 86_400);
        let since = Timestamp::from_second(since).unwrap();
        let calendar = dice.of(&["", "#PT1H", "DAILY"]);
        let query = QueryExecutionsRequest {
            filter: filter.join(" AND "),
            calendar: calendar.into(),
            range: format!("from({})", since.strftime("%Y-%m-%dT%H:%M:%S")),
            after_request_id: last.clone(),
            ..grouped(&group_by)
        };
        let answer = ask(&tenant, query.clone()).await.unwrap();
        let mut expected: BTreeMap<Vec<String>, BTreeMap<i64, i64>> = BTreeMap::new();
        for one in counted.iter().filter(|one| one.at >= since && fits(one)) {
            let labels = group_by
                .iter()
                .map(|name| one.labels[LABELS.iter().position(|label| label == name).unwrap()].clone());
            let width = if calendar == "DAILY" { 86_400 } else { 3_600 };
            let bucket = one.at.as_second() - one.at.as_second().rem_euclid(width);
            *expected.entry(labels.collect()).or_default().entry(bucket).or_default() += one.count;
        }
        let sums: Vec<_> =
            expected.iter().map(|(labels, points)| (labels.clone(), points.values().sum())).collect();
        assert_eq!(totals(&answer, &group_by), sums, "{query:?}");
        for (series, points) in answer.series.iter().zip(expected.values()) {
            let found: BTreeMap<_, _> =
                series.points.iter().map(|point| (point.timestamp.unwrap().seconds, point.count)).collect();
            assert_eq!(
                found,
                if calendar.is_empty() { BTreeMap::new() } else { points.clone() },
                "{query:?}"
            );
        }
    }
}

fn random_report(dice: &mut Dice, now: Timestamp, counted: &mut Vec<Counted>) -> ExecutionReport {
    let at = now - dice.between(0, 14 * 86_400).seconds();
    let (integration, instance, command) =
        (dice.of(&INTEGRATIONS), dice.of(&["one", "two"]), dice.of(&COMMANDS));
    let metrics = (0..dice.below(5)).map(|_| {
        let (name, count) = (dice.of(&TYPES), dice.between(0, 50));
        counted.push(Counted {
            at,
            labels: [integration, instance, command, settled(name)].map(ToOwned::to_owned),
            count,
        });
        metric(name, count)
    });
    let metrics = metrics.collect();
    counted.retain(|one| one.count > 0);
    ExecutionReport {
        integration: integration.into(),
        instance: instance.into(),
        command: command.into(),
        timestamp: Some(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }),
        metrics,
        schedule: None,
    }
}
