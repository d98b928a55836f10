//! The watermark of a shard while workers start, stop and are killed.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::UsageEvent;
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_store::Store;
use flowmeter_store::batch::{Batch, Writer};
use flowmeter_store::progress::{Worker, forget_workers, heartbeat, join, leave};
use flowmeter_tests::{Installation, event, eventually, request_id};
use uuid::Uuid;

/// A shard that the services of the installation do not use.
const SHARD: u16 = 77;

fn worker() -> Worker {
    Worker { id: Uuid::now_v7(), shard: SHARD }
}

/// Seconds from now.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(Timestamp::now().micros() + seconds * 1_000_000)
}

async fn applied(store: &Store, worker: Worker, through: Timestamp) {
    Writer::new(store.clone(), worker).apply(&Batch::default(), || through).await.unwrap();
}

/// The watermark of the shard.
async fn through(store: &Store) -> Timestamp {
    forget_workers(store).await.unwrap();
    let statement = "SELECT min(applied_through) FROM worker_progress WHERE shard = $1";
    let client = store.client().await.unwrap();
    let row = client.query_one(statement, &[&SHARD.cast_signed()]).await.unwrap();
    Timestamp::from(row.get::<_, std::time::SystemTime>(0))
}

/// Sets the last heartbeat of a worker to `seconds` ago.
async fn silence(store: &Store, worker: Worker, seconds: f64) {
    let statement = "UPDATE worker_progress SET updated_at = now() - make_interval(secs => $2)
                     WHERE worker_id = $1";
    store.client().await.unwrap().execute(statement, &[&worker.id, &seconds]).await.unwrap();
}

#[tokio::test]
async fn a_stopped_worker_holds_back_the_watermark_until_others_pass_its_own() {
    let installation = Installation::start("progress").await;
    let store = &installation.store;
    let [first, second, third] = [worker(), worker(), worker()];
    assert_eq!(join(store, first).await.unwrap(), Timestamp::EPOCH);
    let held = at(-60);
    applied(store, first, held).await;
    assert_eq!(join(store, second).await.unwrap(), held, "the second worker receives no older messages");
    applied(store, second, at(-10)).await;
    assert_eq!(through(store).await, held);

    // The first worker stops. Messages that it returned can be in transit until the second worker passes that
    // time.
    leave(store, first).await.unwrap();
    applied(store, second, at(1)).await;
    assert_eq!(through(store).await, held);
    let passed = at(3);
    applied(store, second, passed).await;
    assert_eq!(through(store).await, passed);

    // The second worker is killed. The broker redelivers its messages within 40 s.
    let held = passed;
    assert_eq!(join(store, third).await.unwrap(), held);
    let later = at(60);
    applied(store, third, later).await;
    silence(store, second, 39.0).await;
    assert_eq!(through(store).await, held);
    assert!(heartbeat(store, second).await.unwrap());
    silence(store, second, 41.0).await;
    assert_eq!(through(store).await, later);
    assert!(!heartbeat(store, second).await.unwrap(), "the worker learns that its messages were redelivered");
    applied(store, second, at(-60)).await;
    assert_eq!(through(store).await, later, "a forgotten worker does not lower the watermark");

    // The last worker stops. Its watermark remains, and the next worker starts from it.
    leave(store, third).await.unwrap();
    assert_eq!(through(store).await, later);
    assert_eq!(join(store, worker()).await.unwrap(), later);
}

#[tokio::test]
async fn a_forgotten_worker_returns_its_messages_and_receives_them_again() {
    let installation = Installation::start("forgotten").await;
    let tenant = installation.tenant("acme").await;
    let client = installation.store.client().await.unwrap();
    let workers = async || -> i64 {
        let statement = "SELECT count(*) FROM worker_progress WHERE left_at IS NULL";
        client.query_one(statement, &[]).await.unwrap().get(0)
    };
    let first = request_id();
    tenant.record(&first, vec![event()]).await.unwrap();
    assert_eq!(tenant.settled(&first).await.state(), State::Applied);
    let before = workers().await;
    // A request that the worker holds, and that cannot be applied yet.
    let lock = installation.store.client().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE series IN SHARE MODE").await.unwrap();
    let held = request_id();
    tenant.record(&held, vec![UsageEvent { service: "other".into(), ..event() }]).await.unwrap();
    client.batch_execute("DELETE FROM worker_progress").await.unwrap();
    eventually(before, workers).await;
    lock.batch_execute("COMMIT").await.unwrap();
    assert_eq!(tenant.settled(&held).await.accepted_count, 1);
    eventually(2, async || tenant.read_requests().await).await;
}
