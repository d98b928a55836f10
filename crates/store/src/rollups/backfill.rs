//! Rolls up the events that were stored before a metric was defined.
//!
//! An event carries the generation by which it was rolled up, so those of an earlier one are
//! exactly what a metric of a later one still lacks, whatever arrives meanwhile. A step takes the
//! next events by id, adds those to the roll-ups and moves on, in one transaction: it can stop or
//! die at any time, and another worker goes on.

use std::collections::HashSet;

use flowmeter_core::fold::fold;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::metric::Catalog;
use flowmeter_core::usage::UsageEvent;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{append_partials, insert_series};
use crate::catalog::{metrics, share_lock};
use crate::{Store, StoreError, events};

/// Events that one step looks at: a transaction of a fraction of a second, and a few megabytes of
/// events of the usual size.
const STEP_EVENTS: i64 = 5_000;
/// One step at a time, whichever worker makes it.
const BACKFILL_LOCK: i64 = 0x666c_6f77_6261_636b;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillStep {
    /// There is nothing to roll up.
    Idle,
    /// Another worker makes a step.
    Busy,
    /// It rolled up some, and there is more.
    Advanced,
    /// It rolled up the last ones of a metric.
    Finished,
}

/// Makes the next step of the backfill that has waited longest for one.
pub async fn backfill_step(store: &Store) -> Result<BackfillStep, BackfillError> {
    let Some(due) = next_due(store).await? else { return Ok(BackfillStep::Idle) };
    step(store, &due).await.map_err(|source| BackfillError {
        backfill: format!("{} of tenant {}", due.series_key, due.tenant),
        source,
    })
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("the backfill of {backfill} could not go on: {source}")]
pub struct BackfillError {
    backfill: String,
    source: StoreError,
}

impl From<StoreError> for BackfillError {
    fn from(source: StoreError) -> Self {
        Self { backfill: "any metric".to_owned(), source }
    }
}

/// A backfill that is not done.
struct Due {
    tenant: TenantId,
    generation: i32,
    series_key: String,
}

/// Takes the backfill that has waited longest, and puts it behind the others: one that cannot go on
/// must not keep them from it.
async fn next_due(store: &Store) -> Result<Option<Due>, StoreError> {
    let client = store.client().await?;
    let row = client
        .query_opt(
            "-- next_due
             UPDATE metric_rollup SET stepped_at = clock_timestamp()
             WHERE (tenant_id, generation) = (
                 SELECT tenant_id, generation FROM metric_rollup
                 WHERE finished_at IS NULL AND abandoned_at IS NULL
                 ORDER BY stepped_at NULLS FIRST, tenant_id, generation LIMIT 1)
             RETURNING tenant_id, generation, series_key",
            &[],
        )
        .await?;
    Ok(row.map(|row| Due { tenant: TenantId(row.get(0)), generation: row.get(1), series_key: row.get(2) }))
}

async fn step(store: &Store, due: &Due) -> Result<BackfillStep, StoreError> {
    let &Due { tenant, generation, .. } = due;
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let free = transaction
        .query_one("-- backfill_step\nSELECT pg_try_advisory_xact_lock($1)", &[&BACKFILL_LOCK])
        .await?;
    if !free.get::<_, bool>(0) {
        return Ok(BackfillStep::Busy);
    }
    // What is rolled up for a definition that is gone would stay for ever.
    share_lock(&transaction, [tenant]).await?;
    let definitions = metrics::definitions(&*transaction, tenant).await?;
    let Some(definition) = definitions.into_iter().find(|definition| definition.generation == generation)
    else {
        return Ok(BackfillStep::Advanced);
    };
    let after = transaction
        .query_one(
            "-- backfill_step
             SELECT backfilled FROM metric_rollup WHERE tenant_id = $1 AND generation = $2",
            &[&tenant.0, &generation],
        )
        .await?;
    let after = after.get::<_, Option<Uuid>>(0).unwrap_or(Uuid::nil());
    let bound = transaction
        .query_typed(
            "-- backfill_step
             SELECT id FROM usage_event WHERE tenant_id = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1",
            &[(&tenant.0, Type::UUID), (&after, Type::UUID), (&(STEP_EVENTS - 1), Type::INT8)],
        )
        .await?;
    let bound: Option<Uuid> = bound.first().map(|row| row.get(0));

    let provider = &definition.selector.provider;
    let range = (EventId(after), bound.map(EventId));
    let stored = events::owed(&transaction, tenant, generation, provider, range).await?;
    let catalog = Catalog::of([definition]);
    let owed = stored.iter().map(|stored| Ok((stored.id, stored.borrowed()?)));
    let owed: Vec<(EventId, UsageEvent<'_>)> = owed.collect::<Result<_, StoreError>>()?;
    let folded = fold(owed.iter().map(|(id, event)| (tenant, &catalog, *id, event)));
    // Every event that the metric takes is in the unfiltered series.
    let unfiltered = folded.partials.iter().filter(|partial| folded.series[partial.series].values.is_empty());
    let rolled_up: i64 = unfiltered.map(|partial| partial.aggregate.count).sum();
    append_partials(&transaction, &folded).await?;
    insert_series(&transaction, &folded, &HashSet::new()).await?;
    transaction
        .execute(
            "-- backfill_step
             UPDATE metric_rollup
             SET backfilled = coalesce($3::uuid, backfilled),
                 event_count = event_count + $4,
                 started_at = coalesce(started_at, now()),
                 finished_at = CASE WHEN $3 IS NULL THEN clock_timestamp() END
             WHERE tenant_id = $1 AND generation = $2",
            &[&tenant.0, &generation, &bound, &rolled_up],
        )
        .await?;
    transaction.commit().await?;
    Ok(if bound.is_some() { BackfillStep::Advanced } else { BackfillStep::Finished })
}
