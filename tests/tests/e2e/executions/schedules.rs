//! Schedules: the items that remain at the deadline are counted exactly once, whatever happens.

use flowmeter_proto::v1::{ExecutionMetric, ExecutionReport, ExecutionSchedule, QueryExecutionsRequest};
use flowmeter_stack::{Signal, signal_process};
use flowmeter_store::Store;
use flowmeter_store::schedules::{OverdueSchedules, forget_schedules, list_overdue};
use flowmeter_tests::{Installation, Options, Tenant, eventually, request_id};
use jiff::{SignedDuration, Timestamp, ToSpan};
use uuid::Uuid;

use super::{ask, grouped, report, totals};

fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// A report of the state of a schedule at a time.
fn scheduled(id: &str, at: Timestamp, items: i64, deadline: Timestamp) -> ExecutionReport {
    ExecutionReport {
        integration: "VirusTotal".into(),
        instance: id.into(),
        command: "url".into(),
        timestamp: Some(time(at)),
        metrics: Vec::new(),
        schedule: Some(ExecutionSchedule {
            id: id.into(),
            items_remaining: items,
            deadline: (items > 0).then(|| time(deadline)),
        }),
    }
}

async fn send(tenant: &Tenant, reports: Vec<ExecutionReport>) {
    send_as(tenant, &request_id(), reports).await;
}

async fn send_as(tenant: &Tenant, id: &str, reports: Vec<ExecutionReport>) {
    let count = i32::try_from(reports.len()).unwrap();
    // A retry changes nothing.
    for _ in 0..2 {
        let answer = report(tenant, id, reports.clone()).await.unwrap();
        assert_eq!(answer.accepted_count, count, "{:?}", answer.rejections);
    }
}

/// The number of calls that timed out, by instance. Each schedule has its own instance.
async fn timed_out(tenant: &Tenant) -> Vec<(String, i64)> {
    let question = QueryExecutionsRequest { filter: "type = RetryTimeout".into(), ..grouped(&["instance"]) };
    let answer = ask(tenant, question).await.unwrap();
    totals(&answer, &["instance"]).into_iter().map(|(mut labels, count)| (labels.remove(0), count)).collect()
}

fn own(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn items_that_remain_at_the_deadline_time_out() {
    let installation = Installation::start("schedule-deadline").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let deadline = now + 3.seconds();
    let earlier = |seconds: i64| now - seconds.seconds();
    send(
        &tenant,
        vec![
            scheduled("left", earlier(5), 7, deadline),
            scheduled("updated", earlier(5), 7, deadline),
            scheduled("closed", earlier(5), 7, deadline),
            scheduled("later", earlier(5), 7, now + 1.hour()),
        ],
    )
    .await;
    send(
        &tenant,
        vec![scheduled("updated", earlier(4), 2, deadline), scheduled("closed", earlier(4), 0, now)],
    )
    .await;
    // The states arrive in any order. The latest one by time counts.
    send(&tenant, vec![scheduled("reordered", earlier(2), 0, now)]).await;
    send(&tenant, vec![scheduled("reordered", earlier(3), 9, deadline)]).await;
    send(&tenant, vec![scheduled("updated", earlier(5), 100, deadline)]).await;
    // A schedule that is reported after its deadline.
    send(&tenant, vec![scheduled("past", earlier(9), 4, earlier(8))]).await;

    let expected = own(&[("left", 7), ("past", 4), ("updated", 2)]);
    eventually(expected.clone(), async || timed_out(&tenant).await).await;
    let question = QueryExecutionsRequest {
        filter: "instance = left".into(),
        calendar: "#PT1M".into(),
        ..grouped(&["integration", "command"])
    };
    let answer = ask(&tenant, question).await.unwrap();
    let point = &answer.series[0].points[0];
    let minute = deadline.as_second() - deadline.as_second().rem_euclid(60);
    assert_eq!((point.timestamp.unwrap().seconds, point.count), (minute, 7), "at the time of the deadline");
    assert_eq!(answer.series[0].labels["integration"], "VirusTotal");

    // A second report with the same deadline does not count again, but one with another deadline does.
    send(&tenant, vec![scheduled("left", now, 3, deadline), scheduled("updated", now, 1, now + 5.seconds())])
        .await;
    let expected = own(&[("left", 7), ("past", 4), ("updated", 3)]);
    eventually(expected, async || timed_out(&tenant).await).await;
}

#[tokio::test]
async fn deadlines_count_once_while_workers_are_killed_and_restarted() {
    let mut installation = Installation::start("schedule-workers").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let deadline = now + 2.seconds();
    let names: Vec<_> = (0..40).map(|number| format!("schedule-{number:02}")).collect();
    let open = names.iter().map(|name| scheduled(name, now - 9.seconds(), 3, deadline));
    send(&tenant, open.collect()).await;
    send(&tenant, vec![scheduled("closed", now - 9.seconds(), 3, deadline)]).await;
    installation.worker.kill9().unwrap();
    // No worker is running when the deadline passes, and this report is still in the queue.
    send(&tenant, vec![scheduled("closed", now - 8.seconds(), 0, deadline)]).await;
    let begin = Timestamp::now();
    while Timestamp::now() < begin + SignedDuration::from_secs(3) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut another = installation.start_another_worker();
    installation.worker.start_again().unwrap();
    let some = async || !timed_out(&tenant).await.is_empty();
    eventually(true, some).await;
    another.kill9().unwrap();
    let expected: Vec<_> = names.iter().map(|name| (name.clone(), 3)).collect();
    eventually(expected.clone(), async || timed_out(&tenant).await).await;
    another.start_again().unwrap();
    // When this is applied, both workers have examined the deadlines.
    let probe = "probe";
    send(&tenant, vec![scheduled(probe, now, 1, now)]).await;
    let with_probe = [vec![(probe.to_owned(), 1)], expected].concat();
    eventually(with_probe, async || timed_out(&tenant).await).await;
}

#[tokio::test]
async fn reports_after_a_deadline_do_not_undo_it() {
    let mut installation = Installation::start("schedule-late").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let deadline = now + 2.seconds();
    let names = ["closed", "moved", "replaced", "again", "closed in time"];
    send(&tenant, names.map(|name| scheduled(name, now - 9.seconds(), 5, deadline)).into()).await;
    send(&tenant, vec![scheduled("closed in time", now - 8.seconds(), 0, deadline)]).await;
    let kept = "SELECT count(*) FROM execution_schedule";
    eventually(6, async || count(&installation.store, kept).await).await;
    installation.worker.kill9().unwrap();
    // These reports are applied before any worker examines the deadline.
    let after = deadline + 1.second();
    send(
        &tenant,
        vec![
            scheduled("closed", after, 0, after),
            scheduled("moved", after, 2, after),
            scheduled("replaced", deadline, 3, after),
            scheduled("replaced", deadline, 4, after + 1.second()),
            scheduled("closed in time", after, 4, deadline),
            scheduled("late alone", after, 6, deadline),
            scheduled("late alone", after + 1.second(), 9, deadline),
        ],
    )
    .await;
    installation.worker.start_again().unwrap();
    let mut expected = own(&[("again", 5), ("closed", 5), ("late alone", 6), ("moved", 7), ("replaced", 4)]);
    eventually(expected.clone(), async || timed_out(&tenant).await).await;
    // Whether the first state has been settled makes no difference.
    send(&tenant, vec![scheduled("again", after, 9, deadline), scheduled("last", after, 1, deadline)]).await;
    expected.insert(2, ("last".into(), 1));
    eventually(expected.clone(), async || timed_out(&tenant).await).await;
    let open = "SELECT count(*) FROM execution_schedule WHERE items_remaining > 0 AND NOT is_settled";
    eventually(0, async || count(&installation.store, open).await).await;
}

#[tokio::test]
async fn of_simultaneous_states_the_one_with_fewer_items_is_kept() {
    let installation = Installation::start("schedule-same").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let deadline = now + 2.seconds();
    // Requests of the same millisecond.
    let millis = u64::try_from(now.as_millisecond()).unwrap();
    let request = |number: u64| Uuid::from_u64_pair(millis << 16 | 0x7000 | number, 0b10 << 62).to_string();
    for (number, states) in [(0, [("falls", 5), ("rises", 2)]), (1, [("falls", 2), ("rises", 5)])] {
        let reports = states.map(|(id, items)| scheduled(id, now, items, deadline));
        send_as(&tenant, &request(number), reports.into()).await;
    }
    let expected = own(&[("falls", 2), ("rises", 2)]);
    eventually(expected, async || timed_out(&tenant).await).await;
}

#[tokio::test]
async fn states_are_deleted_when_they_are_no_longer_needed() {
    let installation = Installation::start("schedule-forget").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let long_ago = |days: i64| now - SignedDuration::from_hours(24 * days);
    send(
        &tenant,
        vec![
            scheduled("over", long_ago(40), 5, long_ago(31)),
            scheduled("over", long_ago(39), 0, long_ago(39)),
            scheduled("recent", long_ago(40), 5, long_ago(29)),
            // Until its deadline, the second state shows that the first one is closed.
            scheduled("long", long_ago(40), 5, now + 1.hour()),
            scheduled("long", long_ago(39), 0, long_ago(39)),
        ],
    )
    .await;
    let settled = "SELECT count(*) FROM execution_schedule WHERE is_settled";
    eventually(2, async || count(&installation.store, settled).await).await;
    // Earlier states may still be in the queue.
    assert_eq!(forget_schedules(&installation.store).await.unwrap(), 0);
    let client = installation.store.client().await.unwrap();
    let written = "UPDATE execution_schedule SET written_at = now() - interval '31 days'";
    assert_eq!(client.execute(written, &[]).await.unwrap(), 5);
    assert_eq!(forget_schedules(&installation.store).await.unwrap(), 2);
    assert_eq!(count(&installation.store, "SELECT count(*) FROM execution_schedule").await, 3);
}

/// A transaction that keeps workers from applying a request of the only tenant until it is rolled back.
async fn hold(installation: &Installation, request_id: &str) -> tokio_postgres::Client {
    let connecting = tokio_postgres::connect(&installation.database_url, tokio_postgres::NoTls);
    let (client, connection) = connecting.await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN").await.unwrap();
    let request =
        "INSERT INTO ingest_request (tenant_id, request_id, accepted, duplicates, conflicts, settled_at)
                   SELECT tenant_id, $1::text::uuid, 1, 0, 0, now() FROM tenant WHERE name = 'acme'";
    assert_eq!(client.execute(request, &[&request_id]).await.unwrap(), 1);
    client
}

/// The number that a statement returns.
async fn count(store: &Store, statement: &str) -> i64 {
    store.client().await.unwrap().query_one(statement, &[]).await.unwrap().get(0)
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn messages_returned_by_a_stopping_worker_still_close_a_schedule() {
    // A transaction applies one report, so later messages stay with the worker that received them.
    let settings = [("FLOWMETER_SHARDS", "1"), ("FLOWMETER_BATCH_EVENTS", "1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = Options { settings: settings.into(), ..Options::default() };
    let mut installation = Installation::start_with("schedule-stop", options).await;
    let tenant = installation.tenant("acme").await;
    let store = installation.store.clone();
    let now = Timestamp::now();
    let deadline = now + 5.seconds();
    let open = [("closed", deadline), ("other", now + 1.hour())];
    let open = open.map(|(name, deadline)| scheduled(name, now - 9.seconds(), 3, deadline));
    send(&tenant, open.into()).await;
    // Ensures that the partition of the ledger exists.
    eventually(2, async || count(&store, "SELECT count(*) FROM execution_schedule").await).await;
    let [updating, closing] = [request_id(), request_id()];
    let (other, closed) = (hold(&installation, &updating).await, hold(&installation, &closing).await);
    // A request that the worker cannot apply, its retry, which waits, and then the report that closes the
    // schedule in time.
    send_as(&tenant, &updating, vec![scheduled("other", now, 2, now + 1.hour())]).await;
    eventually(1, async || count(&store, WAITING).await).await;
    send_as(&tenant, &closing, vec![scheduled("closed", now, 0, now)]).await;
    assert!(Timestamp::now() < deadline, "the machine is too slow for this test");
    let mut another = installation.start_another_worker();
    let passed = format!(
        "SELECT count(*) FROM worker_progress
         WHERE applied_through > to_timestamp({}) + interval '3 s'",
        deadline.as_second()
    );
    eventually(1, async || count(&store, &passed).await).await;

    signal_process(installation.worker.pid(), Signal::TERM).unwrap();
    let log = installation.worker.log();
    eventually(true, async || std::fs::read_to_string(&log).unwrap().contains("stopping")).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(installation.worker.terminate(std::time::Duration::from_secs(20)).unwrap().is_clean());
    // The other worker has received it, and cannot apply it yet.
    eventually(1, async || count(&store, WAITING).await).await;
    assert_eq!(list_overdue(&store, 1, 10).await.unwrap(), OverdueSchedules::default());
    closed.batch_execute("ROLLBACK").await.unwrap();

    // When this is applied, the deadlines have been examined after the schedule was closed.
    send(&tenant, vec![scheduled("probe", now, 1, now)]).await;
    eventually(own(&[("probe", 1)]), async || timed_out(&tenant).await).await;
    assert!(another.terminate(std::time::Duration::from_secs(20)).unwrap().is_clean());
}

#[tokio::test]
async fn violations_name_the_wrong_schedules() {
    let installation = Installation::start("schedule-wrong").await;
    let tenant = installation.tenant("acme").await;
    let now = Timestamp::now();
    let right = || scheduled("a", now, 1, now + 1.hour());
    let with = |change: fn(&mut ExecutionSchedule)| {
        let mut wrong = right();
        change(wrong.schedule.as_mut().unwrap());
        wrong
    };
    let reports = vec![
        with(|schedule| schedule.id = String::new()),
        with(|schedule| schedule.items_remaining = -1),
        with(|schedule| schedule.deadline = None),
        with(|schedule| schedule.deadline.as_mut().unwrap().seconds = 0),
        with(|schedule| schedule.deadline.as_mut().unwrap().nanos = -1),
        ExecutionReport {
            metrics: vec![ExecutionMetric { r#type: "Successful".into(), count: 1 }],
            ..with(|schedule| (schedule.items_remaining, schedule.deadline) = (0, None))
        },
    ];
    let answer = report(&tenant, &request_id(), reports).await.unwrap();
    assert_eq!(answer.accepted_count, 1);
    let fields: Vec<_> =
        answer.rejections.iter().map(|rejection| rejection.field_violations[0].field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "reports[0].schedule.id",
            "reports[1].schedule.items_remaining",
            "reports[2].schedule.deadline",
            "reports[3].schedule.deadline",
            "reports[4].schedule.deadline",
        ]
    );
}
