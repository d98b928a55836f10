//! Leases: work that one process at a time does. A lease is a row with the name of the work, its
//! holder and when it ends, by the clock of the database, which is the same for all. A holder
//! renews it long before that, so it ends only when the holder died or stalled.

use std::time::Duration;

use uuid::Uuid;

use crate::{Store, StoreError};

/// Takes the lease of that name where it is free or has ended, or renews it where `holder` has it
/// already: it then lasts for `duration` from now. Returns whether `holder` has it now.
///
/// A holder knows that it has the lease until `duration` after it *sent* a request that returned
/// true: the database adds it to a later time.
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

/// Gives the lease back, if `holder` has it, so that another takes it at once.
pub async fn release(store: &Store, name: &str, holder: Uuid) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .execute("-- release\nDELETE FROM lease WHERE name = $1 AND holder = $2", &[&name, &holder])
        .await?;
    Ok(())
}
