//! Indexes are built of weeks that have ended and grow no more, once, whatever became of those who began.

use std::future::Future;

use super::*;

/// The week in which the events begin.
const WEEK: &str = "usage_event_20241111";
const HOUR: Duration = Duration::from_hours(1);

fn hour_after_it() -> Timestamp {
    MONDAY.parse::<Timestamp>().unwrap().plus(HOUR)
}

/// A store with events in two weeks.
async fn filled(name: &str) -> Store {
    let store = store(name).await;
    let texts: Vec<_> = (0..APPLICATIONS).map(|number| format!("app-{number}")).collect();
    write(&store, &events(&texts)).await;
    store
}

/// The indexes by label set, and whether each is valid.
async fn indexes(store: &Store) -> Vec<(String, bool)> {
    let client = store.client().await.unwrap();
    let indexes = "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid
                   WHERE relname LIKE '%_label_set' ORDER BY 1";
    let rows = client.query(indexes, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn index(week: &str, is_valid: bool) -> (String, bool) {
    (format!("{week}_label_set"), is_valid)
}

/// Waits until a condition holds.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect(what);
}

/// Somebody who has looked once.
async fn worker(store: &Store) -> LabelSetIndexes {
    let mut worker = LabelSetIndexes::new();
    assert_eq!(worker.look(store, hour_after_it()).await.unwrap(), 0);
    worker
}

/// A transaction that keeps an index of the week from becoming complete, until it ends.
async fn writer(store: &Store) -> deadpool_postgres::Object {
    let client = store.client().await.unwrap();
    client.batch_execute(&format!("BEGIN; LOCK TABLE {WEEK} IN ROW EXCLUSIVE MODE")).await.unwrap();
    client
}

/// Begins to build, and waits until there is an index in the making.
async fn begin(store: &Store, mut worker: LabelSetIndexes) -> tokio::task::JoinHandle<usize> {
    let building = {
        let store = store.clone();
        tokio::spawn(async move { worker.look(&store, hour_after_it()).await.unwrap() })
    };
    until("an index is begun", || async { indexes(store).await == [index(WEEK, false)] }).await;
    building
}

#[tokio::test]
async fn weeks_that_have_ended_and_are_quiet_are_indexed() {
    let store = store("test_label_set_weeks").await;
    let texts: Vec<_> = (0..APPLICATIONS).map(|number| format!("app-{number}")).collect();
    let events = events(&texts);
    let (some, rest) = events.split_at(BATCH);
    write(&store, some).await;
    let minute_before = hour_after_it().minus(Duration::from_mins(1));
    let mut worker = LabelSetIndexes::new();
    for _ in 0..2 {
        assert_eq!(worker.look(&store, minute_before).await.unwrap(), 0, "its events may still be under way");
    }
    write(&store, rest).await;
    assert_eq!(worker.look(&store, hour_after_it()).await.unwrap(), 0, "it has grown");
    assert_eq!(worker.look(&store, hour_after_it()).await.unwrap(), 1);
    assert_eq!(indexes(&store).await, [index(WEEK, true)]);
    assert_eq!(worker.look(&store, hour_after_it()).await.unwrap(), 0);

    let week_later = hour_after_it().plus(DAY * 7);
    assert_eq!(worker.look(&store, week_later).await.unwrap(), 1);
    assert_eq!(indexes(&store).await, [index(WEEK, true), index("usage_event_20241118", true)]);
}

#[tokio::test]
async fn an_index_that_was_left_behind_is_replaced() {
    let store = filled("test_label_set_left").await;
    let writer = writer(&store).await;
    let building = begin(&store, worker(&store).await).await;
    building.abort();
    building.await.unwrap_err();
    // The server stops as well, although nobody told it to.
    let locks = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                 WHERE locktype = 'advisory' AND datname = current_database()";
    let is_over = || async { writer.query_one(locks, &[]).await.unwrap().get::<_, i64>(0) == 0 };
    until("nobody builds any more", is_over).await;
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(indexes(&store).await, [index(WEEK, false)]);

    let mut other = worker(&store).await;
    assert_eq!(other.look(&store, hour_after_it()).await.unwrap(), 1);
    assert_eq!(indexes(&store).await, [index(WEEK, true)]);
}

#[tokio::test]
async fn of_two_workers_one_builds() {
    let store = filled("test_label_set_two").await;
    let mut other = worker(&store).await;
    let writer = writer(&store).await;
    let building = begin(&store, worker(&store).await).await;
    assert_eq!(other.look(&store, hour_after_it()).await.unwrap(), 0);
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(building.await.unwrap(), 1);
    assert_eq!(other.look(&store, hour_after_it()).await.unwrap(), 0);
    assert_eq!(indexes(&store).await, [index(WEEK, true)]);
}
