//! Guarantees of the schema.

use flowmeter_tests::Installation;

#[tokio::test]
async fn every_key_of_measured_data_begins_with_the_tenant() {
    let installation = Installation::start("keys").await;
    let client = installation.store.client().await.unwrap();
    // The progress of workers, leases and migrations do not belong to a tenant.
    let rows = client
        .query(
            "SELECT conrelid::regclass::text, attname
             FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
             WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
               AND conrelid::regclass::text NOT IN ('worker_progress', 'lease', 'refinery_schema_history')",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() >= 6);
    for row in rows {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        assert_eq!(column, "tenant_id", "{table}");
    }
}

#[tokio::test]
async fn the_database_reads_the_same_time_from_an_event_id() {
    use flowmeter_core::ids::EventId;
    use flowmeter_core::timestamp::Timestamp;

    let installation = Installation::start("time-of-an-id").await;
    let client = installation.store.client().await.unwrap();
    for micros in (0..1_000).map(|step| 1_700_000_000_000_000 + step * 1_001_003) {
        let at = Timestamp::from_micros(micros);
        let row = client.query_one("SELECT event_timestamp($1)", &[&EventId::first_at(at).0]).await.unwrap();
        assert_eq!(Timestamp::from(row.get::<_, std::time::SystemTime>(0)), at);
    }
}

#[tokio::test]
async fn concurrent_migrations_wait_for_each_other() {
    let installation = Installation::start("migrations").await;
    let client = installation.store.client().await.unwrap();
    client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    let url = &installation.database_url;
    let applied = futures::future::join_all((0..4).map(|_| flowmeter_store::migrate(url))).await;
    let applied: Vec<_> = applied.into_iter().map(|applied| applied.unwrap().len()).collect();
    assert_eq!(applied.iter().filter(|count| **count > 0).count(), 1, "{applied:?}");
}
