//! Leases for work that only one process does at a time. A lease is a row with the name of the work, its
//! holder, and the time at which it expires by the database's clock, which is the same for all processes. A
//! holder renews its lease long before that, so a lease expires only if its holder has died or stalled.

use std::time::Duration;

use uuid::Uuid;

use crate::{Store, StoreError};

/// Acquires the lease with this name if it is free or has expired, or renews it if `holder` has it already.
/// It then lasts for `duration`. Returns whether `holder` has the lease.
///
/// A holder can rely on the lease until `duration` after it *sent* a request that returned true, because the database adds
/// `duration` to a later time.
pub async fn acquire_or_renew(
    store: &Store,
    name: &str,
    holder: Uuid,
    duration: Duration,
) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- acquire_or_renew
             INSERT INTO lease VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (name) DO UPDATE
             SET holder = excluded.holder, expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE lease.holder = excluded.holder OR lease.expires_at <= clock_timestamp()",
        )
        .await?;
    let rows = client.execute(&statement, &[&name, &holder, &duration.as_secs_f64()]).await?;
    Ok(rows == 1)
}

/// Releases the lease if `holder` has it, so that another process can acquire it at once.
pub async fn release(store: &Store, name: &str, holder: Uuid) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .execute("-- release\nDELETE FROM lease WHERE name = $1 AND holder = $2", &[&name, &holder])
        .await?;
    Ok(())
}
