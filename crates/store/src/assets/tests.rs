//! The stored values do not depend on the order and the batches in which values arrive, in memory or in
//! PostgreSQL.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use flowmeter_core::asset::{Number, ValueType};
use flowmeter_core::ids::AssetId;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use uuid::Uuid;

use super::merge::{AssetValueRow, FirstEmission, merge};
use super::*;
use crate::{Settings, Store};

const URNS: [&str; 2] = ["urn:a", "urn:ä"];
const NAMES: [&str; 3] = ["a", "b", "B"];
const REQUESTS: u128 = 8;

/// A value of the request with the number `request` for one of a few keys.
fn value(
    request: u128,
    place: i16,
    (tenant, urn, name, second): (u128, usize, usize, i64),
) -> AssetValue<'static> {
    AssetValue {
        tenant: TenantId(Uuid::from_u128(tenant)),
        request_id: RequestId(Uuid::from_u128(request)),
        urn: URNS[urn],
        name: NAMES[name],
        timestamp: Timestamp::from_micros(second * 1_000_000 + 1),
        place,
        value: match request % 4 {
            0 => Value::Text("18"),
            1 => Value::Number("-12.5".parse().unwrap()),
            2 => Value::Number("18".parse().unwrap()),
            _ => Value::Boolean(true),
        },
    }
}

/// Values of some requests. Each request has at most one value for a key.
fn values() -> impl Strategy<Value = Vec<AssetValue<'static>>> {
    let key = (0..2_u128, 0..URNS.len(), 0..NAMES.len(), 0..2_i64);
    hash_map((0..REQUESTS, key), any::<i16>(), 0..80).prop_map(|values| {
        values.into_iter().map(|((request, key), place)| value(request, place, key)).collect()
    })
}

#[test]
fn the_newest_request_decides_the_value_and_the_oldest_the_place() {
    let key = (0, 0, 0, 0);
    let values = [value(5, 3, key), value(7, 0, key), value(2, 9, key), value(6, 1, key)];
    let rows = merge(values.iter());
    let [AssetValueRow { newest, value, first, .. }] = rows[..] else { panic!("all values have one key") };
    let request = |number| RequestId(Uuid::from_u128(number));
    let expected = (request(7), Value::Boolean(true), FirstEmission { request: request(2), place: 9 });
    assert_eq!((newest, value, first), expected);
}

#[test]
fn rows_have_distinct_keys_in_order() {
    let keys = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 2, 0), (0, 0, 1, 1), (0, 0, 1, 0)];
    let values = keys.map(|key| value(1, 0, key));
    let rows = merge(values.iter());
    assert_eq!(rows.len(), values.len());
    assert!(rows.is_sorted_by_key(AssetValueRow::key));
    assert!(rows.iter().all(|row| row.asset == AssetId::named(row.tenant, row.urn)));
}

proptest! {
    #[test]
    fn the_order_within_a_batch_does_not_matter(
        (values, shuffled) in values().prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
    ) {
        prop_assert_eq!(merge(values.iter()), merge(shuffled.iter()));
    }
}

/// A store with a single connection, which has temporary copies of the tables of assets.
async fn store() -> Store {
    let url = std::env::var("FLOWMETER_TEST_DATABASE_URL")
        .expect("FLOWMETER_TEST_DATABASE_URL is not set: run `cargo xtask test [FILTER]`");
    let settings = Settings { url, max_connections: 1, statement_timeout: Duration::from_secs(10) };
    let store = Store::new(&settings).unwrap();
    let schema = include_str!("../../migrations/V1__measured_data.sql");
    for table in ["asset", "asset_metric", "asset_value"] {
        let (_, after) = schema.split_once(&format!("CREATE TABLE {table} (")).unwrap();
        let (columns, _) = after.split_once(");\n").unwrap();
        let statement = format!("CREATE TEMPORARY TABLE {table} ({columns})");
        store.client().await.unwrap().batch_execute(&statement).await.unwrap();
    }
    store
}

/// The stored row of a value.
type Stored =
    (Uuid, Uuid, String, Timestamp, Uuid, Option<Uuid>, i16, Option<bool>, Option<String>, Option<String>);

fn expected(row: &AssetValueRow<'_>) -> Stored {
    let AssetValueRow { tenant, asset, urn: _, name, timestamp, newest, value, first } = *row;
    let first_request = Some(first.request.0).filter(|first| *first != newest.0);
    let (mut boolean, mut number, mut text) = (None, None, None);
    match value {
        Value::Boolean(value) => boolean = Some(value),
        Value::Number(value) => number = Some(value.to_string()),
        Value::Text(value) => text = Some(value.to_owned()),
    }
    (
        tenant.0,
        asset.0,
        name.to_owned(),
        timestamp,
        newest.0,
        first_request,
        first.place,
        boolean,
        number,
        text,
    )
}

async fn stored(store: &Store) -> Vec<Stored> {
    let rows = store.client().await.unwrap();
    let query = "SELECT *, number::text FROM asset_value ORDER BY tenant_id, asset_id, name, timestamp";
    let rows = rows.query(query, &[]).await.unwrap();
    let read = |row: &tokio_postgres::Row| {
        let timestamp = Timestamp::from(row.get::<_, SystemTime>("timestamp"));
        let key = (row.get(0), row.get(1), row.get(2), timestamp);
        (key.0, key.1, key.2, key.3, row.get(4), row.get(5), row.get(6), row.get(7), row.get(10), row.get(9))
    };
    rows.iter().map(read).collect()
}

/// Applies batches sequentially, and checks that the stored rows are the merged values of all batches.
async fn agree(store: &Store, batches: &[Vec<AssetValue<'_>>]) -> Result<(), TestCaseError> {
    let empty = "TRUNCATE asset, asset_metric, asset_value";
    store.client().await.unwrap().batch_execute(empty).await.unwrap();
    let mut known = KnownAssets::default();
    for batch in batches {
        let mut client = store.client().await.unwrap();
        for cautious in [false, true] {
            let transaction = client.transaction().await.unwrap();
            match insert_asset_values(&transaction, batch.iter(), &known, cautious).await {
                Err(StoreError::Duplicate(_)) if !cautious => transaction.rollback().await.unwrap(),
                added => {
                    transaction.commit().await.unwrap();
                    known.remember(added.unwrap());
                    break;
                }
            }
        }
    }
    let all = merge(batches.iter().flatten());
    prop_assert_eq!(stored(store).await, all.iter().map(expected).collect::<Vec<_>>());

    let client = store.client().await.unwrap();
    let assets = client.query("SELECT tenant_id, asset_id, urn FROM asset ORDER BY 1, 2", &[]).await.unwrap();
    let assets: Vec<(Uuid, Uuid, String)> =
        assets.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let mut expected: Vec<_> =
        all.iter().map(|row| (row.tenant.0, row.asset.0, row.urn.to_owned())).collect();
    expected.dedup();
    prop_assert_eq!(assets, expected);
    // The metrics that can be read as series, even if their values were replaced.
    let metrics = client.query("SELECT tenant_id, name, value_type FROM asset_metric", &[]).await.unwrap();
    let metrics: BTreeSet<(Uuid, String, String)> =
        metrics.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let metric = |value: &AssetValue<'_>| {
        let value_type = value.value.value_type();
        let metric = (value.tenant.0, value.name.to_owned(), value_type.name().to_owned());
        (value_type != ValueType::String).then_some(metric)
    };
    prop_assert_eq!(metrics, batches.iter().flatten().filter_map(metric).collect::<BTreeSet<_>>());
    Ok(())
}

#[test]
fn postgresql_and_memory_agree_for_any_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(store());
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    let batches = values().prop_shuffle().prop_flat_map(|values| {
        (Just(values), vec(0..4_usize, 80)).prop_map(|(values, of)| {
            let mut batches = vec![Vec::new(); 4];
            for (value, batch) in values.into_iter().zip(of) {
                batches[batch].push(value);
            }
            batches
        })
    });
    TestRunner::new(config).run(&batches, |batches| runtime.block_on(agree(&store, &batches))).unwrap();
}

/// Stores values by COPY, and returns them as text.
async fn copied(store: &Store, values: &[Value<'static>]) -> Vec<(Option<String>, Option<String>)> {
    let mut client = store.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let of =
        |(second, new): (i64, &Value<'static>)| AssetValue { value: *new, ..value(1, 0, (1, 0, 0, second)) };
    let values: Vec<_> = (0..).zip(values).map(of).collect();
    let known = KnownAssets::default();
    drop(insert_asset_values(&transaction, values.iter(), &known, false).await.unwrap());
    let query = "SELECT trim_scale(number)::text, text FROM asset_value ORDER BY timestamp";
    let rows = transaction.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn numbers_and_texts_are_copied_as_they_are() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(store());
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    // Digits, and the power of the last one: the whole range of a double.
    let number = (-(10_i128.pow(28) - 1)..10_i128.pow(28), 0_u32..28, -324_i64..=281).prop_map(
        |(digits, cut, power)| format!("{}e{power}", digits / 10_i128.pow(cut)).parse::<Number>().unwrap(),
    );
    let numbers = vec(number, 1..40);
    let shown = |number: &Number| (Some(number.to_string()), None);
    TestRunner::new(config)
        .run(&numbers, |numbers| {
            let values: Vec<_> = numbers.iter().copied().map(Value::Number).collect();
            let expected: Vec<_> = numbers.iter().map(shown).collect();
            prop_assert_eq!(runtime.block_on(copied(&store, &values)), expected);
            Ok(())
        })
        .unwrap();
    let texts = ["", "18", "ä\t\n\\N"].map(Value::Text);
    let expected = ["", "18", "ä\t\n\\N"].map(|text| (None, Some(text.to_owned())));
    assert_eq!(runtime.block_on(copied(&store, &texts)), expected);
}
