//! The ids of events that their senders named. A unique key tells workers which of them are new.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::StoreError;
use crate::copy::BinaryCopy;

/// The key of an event.
pub(crate) type EventKey = (TenantId, EventId);

/// Inserts keys, ascending and each once, that are all expected to be new.
pub(crate) async fn insert_keys(
    transaction: &Transaction<'_>,
    keys: impl Iterator<Item = EventKey>,
) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached("-- insert_keys\nCOPY event_key (tenant_id, id) FROM STDIN (FORMAT binary)")
        .await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for (tenant, id) in keys {
        let mut row = copy.row(2);
        row.uuid(tenant.0);
        row.uuid(id.0);
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await
}

/// Inserts those of the keys, which are ascending, that are new, and returns them.
pub(crate) async fn insert_missing_keys(
    transaction: &Transaction<'_>,
    keys: &[EventKey],
) -> Result<HashSet<EventKey>, StoreError> {
    let tenants: Vec<Uuid> = keys.iter().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<Uuid> = keys.iter().map(|(_, id)| id.0).collect();
    // All workers insert in the same order, so that they cannot deadlock.
    let statement = transaction
        .prepare_typed_cached(
            "-- insert_missing_keys
             INSERT INTO event_key (tenant_id, id)
             SELECT tenant_id, id FROM unnest($1, $2) AS new (tenant_id, id) ORDER BY tenant_id, id
             ON CONFLICT DO NOTHING
             RETURNING tenant_id, id",
            &[Type::UUID_ARRAY, Type::UUID_ARRAY],
        )
        .await?;
    let rows = transaction.query(&statement, &[&tenants, &ids]).await?;
    Ok(rows.iter().map(|row| (TenantId(row.get(0)), EventId(row.get(1)))).collect())
}
