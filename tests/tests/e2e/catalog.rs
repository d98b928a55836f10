//! The catalog: built-in definitions, the metrics that tenants define, and the scopes.

mod calendars;
mod flows;
mod time_series;

use flowmeter_proto::v1::backfill::State;
use flowmeter_proto::v1::get_receipt_response::State as ReceiptState;
use flowmeter_proto::v1::{
    CreateMetricRequest, DeleteMetricRequest, GetMetricRequest, LabelSet, ListCalendarsRequest,
    ListMetricsRequest, ListProvidersRequest, Measure, MethodClass, Metric, Observed, QueryTimeSeriesRequest,
    Scope, Selector, UpdateMetricRequest,
};
use flowmeter_store::rollups::purge_abandoned;
use flowmeter_tests::{Installation, Tenant, event, eventually, request_id};
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(ToString::to_string).collect() }
}

/// The code, the reason, and the fields of the violations.
fn shown(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    (status.code(), reason, violations.into_iter().map(|violation| violation.field).collect())
}

async fn create(tenant: &Tenant, metric: Metric) -> Result<Metric, Status> {
    let request = CreateMetricRequest { metric: Some(metric) };
    Ok(tenant.catalog.clone().create_metric(request).await?.into_inner().metric.unwrap())
}

async fn get(tenant: &Tenant, name: &str) -> Result<Metric, Status> {
    let request = GetMetricRequest { name: name.into(), version: 0 };
    Ok(tenant.catalog.clone().get_metric(request).await?.into_inner().metric.unwrap())
}

/// Waits until the events that are older than a metric are rolled up.
async fn rolled_up(tenant: &Tenant, name: &str) -> Metric {
    eventually(State::Done, async || get(tenant, name).await.unwrap().backfill.unwrap().state()).await;
    get(tenant, name).await.unwrap()
}

/// The sum of a metric over all time.
async fn total(tenant: &Tenant, metric: &str, filter: &str) -> i64 {
    let request = QueryTimeSeriesRequest {
        metric: metric.into(),
        calendar: "#P1Y".into(),
        range: "from(2000)".into(),
        filter: filter.into(),
        observed: Observed::Summed.into(),
        ..QueryTimeSeriesRequest::default()
    };
    let points = tenant.series(request).await.unwrap();
    points.iter().map(|(_, value)| value.parse::<i64>().unwrap()).sum()
}

#[tokio::test]
async fn built_in_definitions_are_listed() {
    let installation = Installation::start("built-in").await;
    let tenant = installation.tenant("acme").await;
    let mut catalog = tenant.catalog.clone();
    let providers = catalog.list_providers(ListProvidersRequest {}).await.unwrap().into_inner().providers;
    let shown: Vec<_> =
        providers.iter().map(|provider| (provider.name.as_str(), provider.metric_count)).collect();
    assert_eq!(
        shown,
        [("AzureServiceBus", 21), ("Executions", 1), ("ODSLProcess", 2), ("ODSLRequest", 5), ("asset", 0)]
    );
    assert_eq!(providers[3].filter_fields, ["service", "key", "action", "application", "httpstatus", "user"]);

    let of =
        |provider: &str| ListMetricsRequest { provider: provider.into(), ..ListMetricsRequest::default() };
    let metrics = catalog.list_metrics(of("ODSLProcess")).await.unwrap().into_inner().metrics;
    let shown: Vec<_> = metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.unit.as_str(), metric.default_observed()))
        .collect();
    assert_eq!(
        shown,
        [
            ("ODSLProcess/RunRequestDuration", "ms", Observed::Averaged),
            ("ODSLProcess/RunRequests", "1", Observed::Summed)
        ]
    );
    assert_eq!(catalog.list_metrics(of("")).await.unwrap().into_inner().metrics.len(), 29);
    let mut paged = Vec::new();
    let mut request = ListMetricsRequest { page_size: 10, ..ListMetricsRequest::default() };
    loop {
        let page = catalog.list_metrics(request.clone()).await.unwrap().into_inner();
        paged.push(page.metrics.len());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, [10, 10, 9]);
    let failure = catalog.list_metrics(of("Nobody")).await.unwrap_err();
    assert_eq!(failure.code(), Code::NotFound);

    let calendars = catalog.list_calendars(ListCalendarsRequest {}).await.unwrap().into_inner().calendars;
    for code in ["#PT1M", "#PT1H", "#P1Y", "DAILY", "BUSINESS", "MONTHLY", "#HENG"] {
        assert!(calendars.iter().any(|calendar| calendar.code == code && calendar.built_in), "{code}");
    }
}

#[tokio::test]
async fn a_new_metric_can_be_queried_before_its_backfill_is_done() {
    let installation = Installation::start("own-metric").await;
    let tenant = installation.tenant("acme").await;
    let slow = |duration: i64, status: i32| {
        let mut event = event();
        (event.duration, event.httpstatus) = (Some(duration), Some(status));
        event
    };
    let first = request_id();
    tenant.record(&first, vec![slow(5, 200), slow(700, 200), slow(900, 500)]).await.unwrap();
    tenant.settled(&first).await;
    let metric = Metric {
        name: "ODSLRequest/SlowRequests".into(),
        selector: Some(Selector { filter: "duration > 500".into(), ..Selector::default() }),
        label_sets: vec![LabelSet { labels: vec!["httpstatus".into()] }],
        ..Metric::default()
    };
    let created = create(&tenant, metric.clone()).await.unwrap();
    assert_eq!((created.version, created.unit.as_str(), created.measure()), (1, "1", Measure::Count));
    // The answer does not depend on the progress of the backfill.
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 2);
    let second = request_id();
    tenant.record(&second, vec![slow(501, 200), slow(500, 200)]).await.unwrap();
    tenant.settled(&second).await;
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 3);
    let done = rolled_up(&tenant, "ODSLRequest/SlowRequests").await;
    assert_eq!(done.backfill.unwrap().event_count, 2, "the third event was rolled up when it was applied");
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 3);
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "httpstatus = 500").await, 1);

    // A change that does not affect roll-ups keeps them.
    let mut catalog = tenant.catalog.clone();
    let change = |metric: Metric, paths: &[&str]| UpdateMetricRequest {
        metric: Some(metric),
        update_mask: Some(mask(paths)),
    };
    let words = Metric { description: "slow ones".into(), ..metric.clone() };
    let changed = catalog.update_metric(change(words, &["description"])).await.unwrap().into_inner();
    let changed = changed.metric.unwrap();
    assert_eq!((changed.version, changed.backfill.unwrap().state()), (2, State::Done));
    assert_eq!(changed.selector, metric.selector, "fields outside the mask are unchanged");

    // A change that affects roll-ups starts a new generation, and the metric can still be queried.
    let wider = Metric {
        selector: Some(Selector { filter: "duration >= 500".into(), ..Selector::default() }),
        version: 2,
        ..metric.clone()
    };
    let changed = catalog.update_metric(change(wider.clone(), &["selector"])).await.unwrap().into_inner();
    assert_eq!(changed.metric.unwrap().version, 3);
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 4);
    rolled_up(&tenant, "ODSLRequest/SlowRequests").await;
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 4);
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "httpstatus = 500").await, 1);
    let failure = catalog.update_metric(change(wider, &["selector"])).await.unwrap_err();
    assert_eq!(shown(&failure), (Code::Aborted, "VERSION_MISMATCH".into(), vec![]));
    let old = GetMetricRequest { name: metric.name.clone(), version: 1 };
    let old = catalog.get_metric(old).await.unwrap().into_inner().metric.unwrap();
    assert_eq!(old.selector.unwrap().filter, "duration > 500");

    let action = Selector { action: "read".into(), filter: "ignored = here".into(), ..Selector::default() };
    let part = Metric { selector: Some(action), ..metric.clone() };
    let changed = catalog.update_metric(change(part, &["selector.action"])).await.unwrap().into_inner();
    let selector = changed.metric.unwrap().selector.unwrap();
    assert_eq!((selector.action.as_str(), selector.filter.as_str()), ("read", "duration >= 500"));

    let measure = Metric { measure: Measure::Duration.into(), ..metric.clone() };
    let changed = catalog.update_metric(change(measure, &["measure"])).await.unwrap().into_inner();
    let changed = changed.metric.unwrap();
    assert_eq!((changed.unit.as_str(), changed.default_observed()), ("ms", Observed::Averaged));

    let delete = DeleteMetricRequest { name: metric.name.clone(), version: 0 };
    catalog.delete_metric(delete.clone()).await.unwrap();
    assert_eq!(get(&tenant, &metric.name).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(catalog.delete_metric(delete).await.unwrap_err().code(), Code::NotFound);
    let again = create(&tenant, metric).await.unwrap();
    assert_eq!(again.version, 1, "a new metric with the name of a deleted one starts with version 1");
    assert_eq!(total(&tenant, "ODSLRequest/SlowRequests", "").await, 3);
}

#[tokio::test]
async fn a_built_in_metric_is_answered_from_a_substitute_metric() {
    let installation = Installation::start("alike-metric").await;
    let tenant = installation.tenant("acme").await;
    let mut called = event();
    called.attributes.insert("key".into(), "#HENG".into());
    let request = request_id();
    tenant.record(&request, vec![called.clone(), called, event()]).await.unwrap();
    tenant.settled(&request).await;
    let metric = Metric {
        name: "ODSLRequest/ReadsByKey".into(),
        selector: Some(Selector { method_class: MethodClass::Read.into(), ..Selector::default() }),
        label_sets: vec![LabelSet { labels: vec!["service".into(), "key".into()] }],
        ..Metric::default()
    };
    create(&tenant, metric).await.unwrap();
    rolled_up(&tenant, "ODSLRequest/ReadsByKey").await;
    // When the events are deleted, only roll-ups can answer.
    let client = installation.store.client().await.unwrap();
    client.execute("DELETE FROM event_segment", &[]).await.unwrap();
    let scope = "service = object AND key = '#HENG'";
    assert_eq!(total(&tenant, "ODSLRequest/ReadRequests", scope).await, 2);
    assert_eq!(total(&tenant, "ODSLRequest/ReadRequests", "key = ''").await, 1);
    assert_eq!(total(&tenant, "ODSLRequest/ReadRequests", "user = ann").await, 0);
}

#[tokio::test]
async fn metrics_defined_while_events_arrive_count_each_event_once() {
    let installation = Installation::start("defined-meanwhile").await;
    let tenant = installation.tenant("acme").await;
    let another = installation.start_another_worker();
    let sender = |tenant: Tenant| async move {
        for _ in 0..60 {
            let request = request_id();
            tenant.record(&request, vec![event(); 25]).await.unwrap();
        }
    };
    let senders: Vec<_> = (0..4).map(|_| tokio::spawn(sender(tenant.clone()))).collect();
    for number in 0..6 {
        let metric = Metric {
            name: format!("ODSLRequest/Number{number}"),
            label_sets: vec![LabelSet { labels: vec!["service".into()] }],
            ..Metric::default()
        };
        create(&tenant, metric).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    eventually(6_000, async || tenant.read_requests().await).await;
    for number in 0..6 {
        let name = format!("ODSLRequest/Number{number}");
        assert_eq!(total(&tenant, &name, "").await, 6_000, "{name} during the backfill");
        rolled_up(&tenant, &name).await;
        assert_eq!(total(&tenant, &name, "").await, 6_000, "{name} after the backfill");
        assert_eq!(total(&tenant, &name, "service = object").await, 6_000, "{name} by service");
    }
    drop(another);
}

#[tokio::test]
async fn a_backfill_continues_where_a_killed_worker_stopped() {
    let mut installation = Installation::start("backfill-resumed").await;
    let tenant = installation.tenant("acme").await;
    let mut last = String::new();
    for _ in 0..10 {
        last = request_id();
        tenant.record(&last, vec![event(); 9_000]).await.unwrap();
    }
    tenant.settled(&last).await;
    eventually(90_000, async || tenant.read_requests().await).await;
    create(&tenant, Metric { name: "ODSLRequest/All".into(), ..Metric::default() }).await.unwrap();
    let state = async || get(&tenant, "ODSLRequest/All").await.unwrap().backfill.unwrap();
    eventually(true, async || state().await.event_count > 0).await;
    installation.worker.kill9().unwrap();
    let reached = state().await;
    assert_eq!(total(&tenant, "ODSLRequest/All", "").await, 90_000, "with {reached:?}");
    let _another = installation.start_another_worker();
    let done = rolled_up(&tenant, "ODSLRequest/All").await.backfill.unwrap();
    assert_eq!(done.event_count, 90_000);
    assert!(done.finish_time.is_some());
    assert_eq!(total(&tenant, "ODSLRequest/All", "").await, 90_000);
}

#[tokio::test]
async fn rollups_of_a_deleted_metric_are_removed() {
    let installation = Installation::start("purge").await;
    let tenant = installation.tenant("acme").await;
    let metric = |name: &str| Metric {
        name: name.into(),
        label_sets: vec![LabelSet { labels: vec!["service".into()] }],
        ..Metric::default()
    };
    create(&tenant, metric("ODSLRequest/Gone")).await.unwrap();
    create(&tenant, metric("ODSLRequest/Kept")).await.unwrap();
    let request = request_id();
    tenant.record(&request, vec![event(); 3]).await.unwrap();
    tenant.settled(&request).await;
    for name in ["ODSLRequest/Gone", "ODSLRequest/Kept"] {
        rolled_up(&tenant, name).await;
    }
    let client = installation.store.client().await.unwrap();
    let rows = async |table: &str, key: &str| {
        let sql = format!(
            "SELECT count(*) FROM {table} JOIN series USING (tenant_id, series_id)
             JOIN rollup USING (tenant_id, rollup_id) WHERE metric LIKE $1"
        );
        client.query_one(&sql, &[&key]).await.unwrap().get::<_, i64>(0)
    };
    eventually(2, async || rows("rollup_day", "ODSLRequest/Gone#%").await).await;
    let request = DeleteMetricRequest { name: "ODSLRequest/Gone".into(), version: 0 };
    tenant.catalog.clone().delete_metric(request).await.unwrap();
    let waited = "UPDATE metric_rollup SET abandoned_at = abandoned_at - interval '1 hour'";
    client.execute(waited, &[]).await.unwrap();
    let left = async || {
        purge_abandoned(&installation.store).await.unwrap();
        let series = "SELECT count(*) FROM rollup WHERE metric LIKE 'ODSLRequest/Gone#%'";
        let states = "SELECT count(*) FROM metric_rollup WHERE series_key LIKE 'ODSLRequest/Gone#%'";
        let mut left = 0;
        for sql in [
            series,
            states,
            "SELECT count(*) FROM rollup_day WHERE (tenant_id, series_id) NOT IN (
                                         SELECT tenant_id, series_id FROM series)",
        ] {
            left += client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        }
        left
    };
    eventually(0, left).await;
    assert_eq!(rows("rollup_day", "ODSLRequest/Kept#%").await, 2);
    assert_eq!(total(&tenant, "ODSLRequest/Kept", "").await, 3);
    assert_eq!(tenant.read_requests().await, 3);
}

#[tokio::test]
async fn errors_name_the_invalid_field_of_a_definition() {
    let installation = Installation::start("wrong-definition").await;
    let tenant = installation.tenant("acme").await;
    let failure = async |metric: Metric| shown(&create(&tenant, metric).await.unwrap_err());
    let invalid = |fields: &[&str]| {
        let fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        (Code::InvalidArgument, "INVALID_FIELD".to_owned(), fields)
    };
    let named = |name: &str| Metric { name: name.into(), ..Metric::default() };
    assert_eq!(failure(named("Errors")).await, invalid(&["metric.name"]));
    assert_eq!(failure(named("a/b/c")).await, invalid(&["metric.name"]));
    let everything = Metric {
        selector: Some(Selector { method_class: 9, action: "\0".into(), filter: "duration >".into() }),
        measure: 9,
        default_observed: 9,
        unit: "x".repeat(64),
        description: "x".repeat(1_025),
        label_sets: vec![
            LabelSet { labels: vec![] },
            LabelSet { labels: vec!["duration".into(), "timestamp".into()] },
            LabelSet { labels: vec!["user".into(), "user".into(), "attributes.user".into()] },
            LabelSet { labels: vec!["service".into()] },
            LabelSet { labels: vec!["service".into()] },
        ],
        ..named("a/b")
    };
    assert_eq!(
        failure(everything).await,
        invalid(&[
            "metric.selector.method_class",
            "metric.measure",
            "metric.selector.filter",
            "metric.unit",
            "metric.default_observed",
            "metric.label_sets[0].labels",
            "metric.label_sets[1].labels[0]",
            "metric.label_sets[1].labels[1]",
            "metric.label_sets[2].labels[1]",
            "metric.label_sets[2].labels[2]",
            "metric.label_sets[4].labels",
            "metric.description",
            "metric.selector.action",
        ])
    );
    let taken = (Code::AlreadyExists, "ALREADY_EXISTS".to_owned(), vec![]);
    assert_eq!(failure(named("ODSLRequest/ReadRequests")).await, taken);
    create(&tenant, named("a/b")).await.unwrap();
    assert_eq!(failure(named("a/b")).await, taken);
    let built_in = (Code::FailedPrecondition, "BUILT_IN".to_owned(), vec![]);
    let mut catalog = tenant.catalog.clone();
    let delete = DeleteMetricRequest { name: "ODSLRequest/ReadRequests".into(), version: 0 };
    assert_eq!(shown(&catalog.delete_metric(delete).await.unwrap_err()), built_in);
    let update = UpdateMetricRequest {
        metric: Some(named("a/b")),
        update_mask: Some(mask(&["selector.filter", "name"])),
    };
    assert_eq!(shown(&catalog.update_metric(update).await.unwrap_err()), invalid(&["update_mask"]));
    for number in 0..43 {
        create(&tenant, named(&format!("AzureServiceBus/n{number}"))).await.unwrap();
    }
    let full = (Code::ResourceExhausted, "LIMIT_REACHED".to_owned(), vec![]);
    assert_eq!(failure(named("AzureServiceBus/n43")).await, full, "a provider can have at most 64 metrics");
}

#[tokio::test]
async fn definitions_belong_to_one_tenant_and_need_the_scope() {
    let installation = Installation::start("own-definitions").await;
    let (acme, other) = (installation.tenant("acme").await, installation.tenant("other").await);
    create(&acme, Metric { name: "own/metric".into(), ..Metric::default() }).await.unwrap();
    assert_eq!(get(&other, "own/metric").await.unwrap_err().code(), Code::NotFound);
    let providers = other.catalog.clone().list_providers(ListProvidersRequest {}).await.unwrap();
    assert_eq!(providers.into_inner().providers.len(), 5);
    let request = QueryTimeSeriesRequest {
        metric: "own/metric".into(),
        range: "2024".into(),
        calendar: "#P1D".into(),
        ..QueryTimeSeriesRequest::default()
    };
    assert_eq!(other.series(request.clone()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(acme.series(request).await.unwrap(), []);

    let reader = installation.client(&installation.token("acme", &[Scope::Query]).await).await;
    assert!(get(&reader, "own/metric").await.is_ok());
    let failure = create(&reader, Metric { name: "own/two".into(), ..Metric::default() }).await.unwrap_err();
    assert_eq!(shown(&failure).1, "SCOPE_MISSING");
    let editor = installation.client(&installation.token("acme", &[Scope::Catalog]).await).await;
    assert!(create(&editor, Metric { name: "own/two".into(), ..Metric::default() }).await.is_ok());
    assert!(get(&editor, "own/metric").await.is_ok());
    let sender = installation.client(&installation.token("acme", &[Scope::Ingest]).await).await;
    assert_eq!(shown(&get(&sender, "own/metric").await.unwrap_err()).1, "SCOPE_MISSING");
}

/// Text of the greatest length that does not compress.
fn longest(seed: u64) -> String {
    let mut state = seed;
    let character = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    std::iter::repeat_with(character).take(1_024).collect()
}

#[tokio::test]
async fn the_largest_event_is_kept_by_the_longest_labels() {
    let installation = Installation::start("longest-labels").await;
    let tenant = installation.tenant("acme").await;
    let mut largest = event();
    largest.attributes = (0..32).map(|index| (longest(index), longest(100 + index))).collect();
    let texts = [
        &mut largest.application,
        &mut largest.detail,
        &mut largest.environment,
        &mut largest.invocation_id,
        &mut largest.service,
        &mut largest.r#type,
        &mut largest.user,
    ];
    for (seed, text) in (200..).zip(texts) {
        *text = longest(seed);
    }
    largest.duration = Some(i64::MAX);
    largest.response_size = Some(i64::MAX);
    largest.decimal_value = "-999999999999999999.999999999".into();
    let labels: Vec<String> = (0..4).map(longest).collect();
    let metric = Metric {
        name: "ODSLRequest/Largest".into(),
        measure: Measure::Value.into(),
        label_sets: vec![LabelSet { labels: labels.clone() }],
        ..Metric::default()
    };
    create(&tenant, metric).await.unwrap();
    let request = request_id();
    tenant.record(&request, vec![largest.clone(), event()]).await.unwrap();
    let receipt = tenant.settled(&request).await;
    assert_eq!((receipt.state(), receipt.accepted_count), (ReceiptState::Applied, 2), "{receipt:?}");
    let question = QueryTimeSeriesRequest {
        metric: "ODSLRequest/Largest".into(),
        calendar: "#P1Y".into(),
        range: "from(2000)".into(),
        observed: Observed::Summed.into(),
        group_by: labels.clone(),
        ..QueryTimeSeriesRequest::default()
    };
    let answer = tenant.query.clone().query_time_series(question).await.unwrap().into_inner();
    let [series] = &answer.series[..] else { panic!("{} series", answer.series.len()) };
    assert_eq!(series.labels[&labels[2]], largest.attributes[&labels[2]]);
    assert_eq!(series.points[0].value.as_deref(), Some("-999999999999999999.999999999"));
}
