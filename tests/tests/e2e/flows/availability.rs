//! Availability checks: one worker at a time checks the endpoints, and each check counts once.

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_proto::v1::{CreateFlowRequest, DeleteFlowRequest, Flow, FlowOutcome};
use flowmeter_tests::{Installation, Options, Tenant, eventually, request_id};
use jiff::Timestamp;
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::{ask, points, query, record, requests};

async fn start(name: &str, settings: &[(&str, &str)]) -> Installation {
    let usual = [("FLOWMETER_FLOW_CHECK_ALLOW", "127.0.0.1/32"), ("FLOWMETER_FLOW_CHECK_TIMEOUT", "1s")];
    let all = usual.iter().chain(settings);
    let settings = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Installation::start_with(name, Options { settings, ..Options::default() }).await
}

fn flow(id: &str, endpoint_url: String) -> Flow {
    Flow {
        id: id.into(),
        endpoint_url,
        data_api_version: "3.0".into(),
        check_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..Flow::default()
    }
}

async fn register(tenant: &Tenant, flow: Flow) {
    let id = flow.id.clone();
    tenant.catalog.clone().create_flow(CreateFlowRequest { flow: Some(flow) }).await.unwrap();
    // Enough requests for metrics to be returned.
    let now = Timestamp::now().as_second();
    let id_of_request = request_id();
    let enough = vec![requests(&id, now, FlowOutcome::Succeeded, 250)];
    assert_eq!(record(tenant, &id_of_request, enough).await.unwrap().accepted_count, 1);
    tenant.settled(&id_of_request).await;
}

async fn delete(tenant: &Tenant, id: &str) {
    let request = DeleteFlowRequest { id: id.into(), version: 0 };
    tenant.catalog.clone().delete_flow(request).await.unwrap();
}

/// The numbers of successful and of failed checks of a flow.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few checks")]
async fn checks(tenant: &Tenant, id: &str) -> (usize, usize) {
    let answer = ask(tenant, query(id, "ENDPOINT_AVAILABILITY", "LIFETIME", "")).await.unwrap();
    let mut counts = (0, 0);
    for (key, value) in points(answer).into_iter().flat_map(|(_, data)| data) {
        match key.as_str() {
            "succeeded" => counts.0 = value as usize,
            "failed" => counts.1 = value as usize,
            other => panic!("there is no key {other}"),
        }
    }
    counts
}

#[tokio::test]
async fn every_check_counts_once_by_the_result_of_the_endpoint() {
    let installation = start("checks", &[]).await;
    let tenant = installation.tenant("acme").await;
    let endpoint = Endpoint::start().await;
    let bad = ["down", "other", "hang", "redirect", "stream"];
    for path in [&["active"], &bad[..]].concat() {
        register(&tenant, flow(path, endpoint.url(path))).await;
    }
    // Internal addresses that are not allowed, and names and other spellings of such addresses.
    let port = endpoint.port();
    let refused = ["127.0.0.2", "[::1]", "2130706434", "[::ffff:127.0.0.2]", "0.0.0.0"];
    for host in refused {
        // Without the guard they would be reachable.
        TcpStream::connect((host.trim_matches(['[', ']']), port)).await.unwrap();
        register(&tenant, flow(host, format!("http://{host}:{port}/refused"))).await;
    }
    // These flows are not checked at all.
    let old = Flow { data_api_version: "2.1".into(), ..flow("old", endpoint.url("active/old")) };
    register(&tenant, old).await;
    register(&tenant, Flow { endpoint_url: String::new(), ..flow("none", String::new()) }).await;

    for path in bad.iter().chain(&refused) {
        eventually(true, async || checks(&tenant, path).await.1 >= 3).await;
        assert_eq!(checks(&tenant, path).await.0, 0, "{path}");
    }
    eventually(true, async || checks(&tenant, "active").await.0 >= 5).await;
    assert_eq!(checks(&tenant, "active").await.1, 0);
    assert_eq!(checks(&tenant, "old").await, (0, 0));
    assert_eq!(checks(&tenant, "none").await, (0, 0));
    assert_eq!(endpoint.seen("active/else"), 0, "no redirect is followed");
    assert_eq!(endpoint.seen("refused"), 0, "no internal address is called");
    assert_eq!(endpoint.seen("active/old"), 0);

    // Checks of deleted flows end within 5 s, while others continue. Then each check is counted.
    delete(&tenant, "active").await;
    delete(&tenant, "down").await;
    let others_go_on = async || {
        let so_far = checks(&tenant, "other").await.1;
        eventually(true, async || checks(&tenant, "other").await.1 >= so_far + 8).await;
    };
    others_go_on().await;
    let seen = (endpoint.seen("active"), endpoint.seen("down"));
    eventually(((seen.0, 0), (0, seen.1)), async || {
        (checks(&tenant, "active").await, checks(&tenant, "down").await)
    })
    .await;
    others_go_on().await;
    assert_eq!((endpoint.seen("active"), endpoint.seen("down")), seen, "a deleted flow is not checked");
    assert_eq!(checks(&tenant, "active").await, (seen.0, 0));

    // The URL, which may contain a secret, is deleted with the flow. The history continues when the flow is
    // registered again.
    let client = installation.store.client().await.unwrap();
    let kept = client.query_one("SELECT max(endpoint_url) FROM flow WHERE deleted_at IS NOT NULL", &[]).await;
    assert_eq!(kept.unwrap().get::<_, &str>(0), "");
    register(&tenant, flow("down", endpoint.url("active/again"))).await;
    eventually(true, async || checks(&tenant, "down").await.0 >= 2).await;
    assert_eq!(checks(&tenant, "down").await.1, seen.1);
}

#[tokio::test]
async fn hanging_endpoints_of_a_tenant_leave_capacity_for_others() {
    // Long enough that a flow that waits for one of them misses slots.
    let settings = [("FLOWMETER_FLOW_CHECK_CONCURRENCY", "2"), ("FLOWMETER_FLOW_CHECK_TIMEOUT", "3s")];
    let installation = start("checks-fair", &settings).await;
    let (many, one) = (installation.tenant("many").await, installation.tenant("one").await);
    let endpoint = Endpoint::start().await;
    for number in 0..20 {
        register(&many, flow(&format!("hang-{number}"), endpoint.url("hang"))).await;
    }
    eventually(true, async || endpoint.seen("hang") >= 1).await;
    register(&one, flow("flow", endpoint.url("active"))).await;
    eventually(true, async || endpoint.seen("active") >= 1).await;
    let hung = endpoint.seen("hang");
    eventually(true, async || endpoint.seen("active") >= 8).await;
    assert!(endpoint.seen("hang") <= hung + 4, "one check at a time, each for 3 s");
}

#[tokio::test]
async fn clients_cannot_report_under_the_id_of_a_check() {
    let installation = start("checks-ids", &[]).await;
    let tenant = installation.tenant("acme").await;
    register(&tenant, flow("flow", String::new())).await;
    let now = Timestamp::now();
    let slot = flowmeter_core::timestamp::Timestamp::from_micros(now.as_microsecond());
    let id = RequestId::of_check(TenantId::named("acme"), "flow", slot).to_string();
    let report = vec![requests("flow", now.as_second(), FlowOutcome::Succeeded, 1)];
    let refused = record(&tenant, &id, report).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
}

#[tokio::test]
async fn another_worker_takes_over_from_a_killed_one() {
    let mut installation = start("checks-takeover", &[]).await;
    let tenant = installation.tenant("acme").await;
    let endpoint = Endpoint::start().await;
    register(&tenant, flow("flow", endpoint.url("active"))).await;
    eventually(true, async || checks(&tenant, "flow").await.0 >= 3).await;
    // The first worker holds the lease. Both apply messages.
    let another = installation.start_another_worker();
    eventually(true, async || checks(&tenant, "flow").await.0 >= 6).await;
    installation.worker.kill9().unwrap();
    let seen = endpoint.seen("active");
    eventually(true, async || checks(&tenant, "flow").await.0 >= seen + 3).await;
    // The lease moves between the workers, and the restarted worker does not check at the same time as the other.
    installation.worker.start_again().unwrap();
    let seen = endpoint.seen("active");
    eventually(true, async || checks(&tenant, "flow").await.0 >= seen + 5).await;
    delete(&tenant, "flow").await;
    // A check of the killed worker may be lost, but no check counts twice.
    eventually(true, async || {
        let (counted, failed) = checks(&tenant, "flow").await;
        let seen = endpoint.seen("active");
        failed == 0 && counted <= seen && counted + 1 >= seen
    })
    .await;
    drop(another);
}

#[tokio::test]
async fn a_stalled_worker_is_replaced_and_counts_nothing_twice() {
    let installation = start("checks-stall", &[]).await;
    let tenant = installation.tenant("acme").await;
    let endpoint = Endpoint::start().await;
    register(&tenant, flow("flow", endpoint.url("active"))).await;
    eventually(true, async || checks(&tenant, "flow").await.0 >= 2).await;
    let _another = installation.start_another_worker();
    installation.worker.freeze().unwrap();
    let seen = endpoint.seen("active");
    eventually(true, async || endpoint.seen("active") >= seen + 3).await;
    installation.worker.thaw().unwrap();
    let seen = endpoint.seen("active");
    eventually(true, async || endpoint.seen("active") >= seen + 3).await;
    delete(&tenant, "flow").await;
    // A slot that both workers have checked counts once.
    eventually(true, async || {
        let (counted, failed) = checks(&tenant, "flow").await;
        let seen = endpoint.seen("active");
        counted + failed <= seen && counted + failed + 2 >= seen
    })
    .await;
}

#[tokio::test]
async fn a_stopping_worker_hands_over_at_once() {
    let mut installation = start("checks-handover", &[]).await;
    let tenant = installation.tenant("acme").await;
    let endpoint = Endpoint::start().await;
    register(&tenant, flow("flow", endpoint.url("active"))).await;
    eventually(true, async || checks(&tenant, "flow").await.0 >= 2).await;
    let _another = installation.start_another_worker();
    installation.worker.terminate(std::time::Duration::from_secs(30)).unwrap();
    let seen = endpoint.seen("active");
    eventually(true, async || checks(&tenant, "flow").await.0 >= seen + 3).await;
}

#[tokio::test]
async fn a_thousand_flows_are_checked_by_one_worker() {
    const FLOWS: usize = 1_000;
    // A tenant may use half of the concurrent checks.
    let settings = [("FLOWMETER_FLOW_CHECK_TIMEOUT", "5s"), ("FLOWMETER_FLOW_CHECK_CONCURRENCY", "512")];
    let installation = start("checks-many", &settings).await;
    let tenant = installation.tenant("acme").await;
    let endpoint = Endpoint::start().await;
    for number in 0..FLOWS {
        // Each answer takes a second, so 200 checks are running at any time.
        let flow = Flow {
            check_interval: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
            ..flow(&format!("flow-{number}"), endpoint.url(&format!("slow/{number}")))
        };
        tenant.catalog.clone().create_flow(CreateFlowRequest { flow: Some(flow) }).await.unwrap();
    }
    let client = installation.store.client().await.unwrap();
    let least = async || -> i64 {
        let row = client
            .query_one(
                "SELECT coalesce(min(checks), 0)::bigint FROM flow LEFT JOIN (
                     SELECT flow_id, sum(check_succeeded) AS checks FROM (
                         SELECT flow_id, (flow_counters(counters))[17] AS check_succeeded FROM flow_day
                         UNION ALL SELECT flow_id, (flow_counters(counters))[17] FROM flow_partial) AS part
                     GROUP BY 1) AS counted USING (flow_id)
                 HAVING count(*) = count(checks)",
                &[],
            )
            .await;
        row.map_or(0, |row| row.get(0))
    };
    eventually(true, async || least().await >= 4).await;
    let failed = client
        .query_one(
            "SELECT coalesce(sum(check_failed), 0)::bigint FROM (
                 SELECT (flow_counters(counters))[18] AS check_failed FROM flow_day
                 UNION ALL SELECT (flow_counters(counters))[18] FROM flow_partial) AS part",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(failed.get::<_, i64>(0), 0);
}
