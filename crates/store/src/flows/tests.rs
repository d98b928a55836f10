//! The functions of the schema that show counters in psql decode the format that the store writes.

use std::time::Duration;

use flowmeter_core::flow::{Counter, Counters};
use tokio_postgres::types::Type;

use super::encoding::{FlowDay, encode_counters};
use crate::{Settings, Store};

/// A store with a single connection, which defines the schema's functions for counters as temporary functions.
async fn store() -> Store {
    let url = std::env::var("FLOWMETER_TEST_DATABASE_URL")
        .expect("FLOWMETER_TEST_DATABASE_URL is not set: run `cargo xtask test [FILTER]`");
    let settings = Settings { url, max_connections: 1, statement_timeout: Duration::from_secs(10) };
    let store = Store::new(&settings).unwrap();
    let schema = include_str!("../../migrations/V1__measured_data.sql");
    for function in ["flow_counters", "flow_quarters"] {
        let (_, after) = schema.split_once(&format!("CREATE FUNCTION {function}(")).unwrap();
        let (definition, _) = after.split_once("\n$$;\n").unwrap();
        let statement = format!("CREATE FUNCTION pg_temp.{function}({definition}\n$$");
        store.client().await.unwrap().batch_execute(&statement).await.unwrap();
    }
    store
}

#[tokio::test]
async fn psql_functions_show_the_stored_counters() {
    let (mut day, mut expected) = (FlowDay::default(), Vec::new());
    let largest = [i64::MAX; Counter::COUNT];
    let ascending: Vec<_> = (0..18).map(|index| index * 1_000).collect();
    for (quarter, values) in [(1, &[7][..]), (2, &[0, 300]), (40, &ascending), (95, &largest)] {
        let counters = Counters::from_values(values).unwrap();
        day.add(quarter, &counters);
        expected.push((i32::from(quarter), counters.values().to_vec()));
    }
    let store = store().await;
    let client = store.client().await.unwrap();

    let sql = "SELECT quarter, counters FROM pg_temp.flow_quarters($1)";
    let rows = client.query_typed(sql, &[(&day.encode(), Type::BYTEA)]).await.unwrap();
    let quarters: Vec<(i32, Vec<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(quarters, expected);

    let total = day.total();
    let sql = "SELECT pg_temp.flow_counters($1)";
    let rows = client.query_typed(sql, &[(&encode_counters(&total), Type::BYTEA)]).await.unwrap();
    assert_eq!(rows[0].get::<_, Vec<i64>>(0), total.values());
}
