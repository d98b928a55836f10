//! Writes rows of values in the order of their keys, so that neighbours in the index are written together,
//! and so that two workers with the same keys write them in the same order and cannot deadlock.

use std::time::SystemTime;

use deadpool_postgres::Transaction;
use flowmeter_core::asset::{Number, Value};

use super::merge::AssetValueRow;
use crate::StoreError;
use crate::copy::BinaryCopy;

/// Writes rows that are all expected to be new, by COPY. Fails with [`StoreError::Duplicate`] if one exists
/// already; the transaction is then aborted.
pub(super) async fn copy_rows(
    transaction: &Transaction<'_>,
    rows: &[AssetValueRow<'_>],
) -> Result<(), StoreError> {
    /// The number of columns of the table.
    const COLUMNS: i16 = 10;
    if rows.is_empty() {
        return Ok(());
    }
    let statement =
        transaction.prepare_cached("-- copy_rows\nCOPY asset_value FROM STDIN (FORMAT binary)").await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for new in rows {
        let mut row = copy.row(COLUMNS);
        row.uuid(new.tenant.0);
        row.uuid(new.asset.0);
        row.text(new.name);
        row.timestamp(new.timestamp);
        row.uuid(new.newest.0);
        match new.older() {
            Some(first) => row.uuid(first.0),
            None => row.null(),
        }
        row.smallint(Some(new.first.place));
        row.boolean(boolean(new.value));
        match number(new.value) {
            Some(number) => row.number(number),
            None => row.null(),
        }
        match text(new.value) {
            Some(text) => row.bytes(text.as_bytes()),
            None => row.null(),
        }
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await
}

/// Merges rows with existing ones. The result does not depend on the order in which rows are written. It
/// takes twice as long as [`copy_rows`].
pub(super) async fn upsert_rows(
    transaction: &Transaction<'_>,
    rows: &[AssetValueRow<'_>],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let tenants: Vec<_> = rows.iter().map(|row| row.tenant.0).collect();
    let assets: Vec<_> = rows.iter().map(|row| row.asset.0).collect();
    let names: Vec<_> = rows.iter().map(|row| row.name).collect();
    let times: Vec<_> = rows.iter().map(|row| SystemTime::from(row.timestamp)).collect();
    let newest: Vec<_> = rows.iter().map(|row| row.newest.0).collect();
    let first: Vec<_> = rows.iter().map(|row| row.older().map(|first| first.0)).collect();
    let places: Vec<_> = rows.iter().map(|row| row.first.place).collect();
    let booleans: Vec<_> = rows.iter().map(|row| boolean(row.value)).collect();
    let numbers: Vec<_> = rows.iter().map(|row| number(row.value).map(|number| number.to_string())).collect();
    let texts: Vec<_> = rows.iter().map(|row| text(row.value)).collect();
    let statement = transaction
        .prepare_cached(
            r#"-- upsert_rows
             INSERT INTO asset_value AS kept
             SELECT tenant_id, asset_id, name, "timestamp", request_id, first_request_id, first_place,
                    "boolean", "number"::numeric, "text"
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::uuid[],
                         $7::smallint[], $8::boolean[], $9::text[], $10::text[])
                 AS new (tenant_id, asset_id, name, "timestamp", request_id, first_request_id, first_place,
                         "boolean", "number", "text")
             ON CONFLICT (tenant_id, asset_id, name, "timestamp") DO UPDATE SET
                 request_id = greatest(kept.request_id, excluded.request_id),
                 "boolean" = CASE WHEN excluded.request_id > kept.request_id
                     THEN excluded."boolean" ELSE kept."boolean" END,
                 "number" = CASE WHEN excluded.request_id > kept.request_id
                     THEN excluded."number" ELSE kept."number" END,
                 "text" = CASE WHEN excluded.request_id > kept.request_id
                     THEN excluded."text" ELSE kept."text" END,
                 first_request_id = nullif(
                     least(coalesce(kept.first_request_id, kept.request_id),
                           coalesce(excluded.first_request_id, excluded.request_id)),
                     greatest(kept.request_id, excluded.request_id)),
                 first_place = CASE
                     WHEN (coalesce(excluded.first_request_id, excluded.request_id), excluded.first_place)
                        < (coalesce(kept.first_request_id, kept.request_id), kept.first_place)
                     THEN excluded.first_place ELSE kept.first_place END
             WHERE excluded.request_id > kept.request_id
                OR (coalesce(excluded.first_request_id, excluded.request_id), excluded.first_place)
                 < (coalesce(kept.first_request_id, kept.request_id), kept.first_place)"#,
        )
        .await?;
    transaction
        .execute(
            &statement,
            &[&tenants, &assets, &names, &times, &newest, &first, &places, &booleans, &numbers, &texts],
        )
        .await?;
    Ok(())
}

fn boolean(value: Value<'_>) -> Option<bool> {
    if let Value::Boolean(boolean) = value { Some(boolean) } else { None }
}

fn number(value: Value<'_>) -> Option<Number> {
    if let Value::Number(number) = value { Some(number) } else { None }
}

fn text(value: Value<'_>) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}
