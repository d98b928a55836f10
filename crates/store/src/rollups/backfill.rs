//! Rolls up the events that were stored before a metric was defined.
//!
//! An event carries the generation by which it was rolled up. So the events of earlier generations are
//! exactly those that the metric still lacks, whatever arrives meanwhile. A step rolls up the next events by
//! id and advances, in one transaction. So a worker can stop or die at any time, and another one continues.

use deadpool_postgres::Transaction;
use flowmeter_core::fold::{TenantEvent, fold};
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::metric::{Catalog, MetricDefinition};
use uuid::Uuid;

use super::{KnownSeries, append_partials, insert_series};
use crate::catalog::{metrics, share_lock};
use crate::events::{PendingEvents, pending_backfill};
use crate::{Store, StoreError};

/// The number of events that one step examines: a transaction of a fraction of a second, and typically some ten
/// megabytes of events.
const STEP_EVENTS: usize = 10_000;
/// The advisory lock that lets one worker make a step at a time.
const BACKFILL_LOCK: i64 = 0x666c_6f77_6261_636b;

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillStep {
    /// There is no pending backfill.
    Idle,
    /// Another worker is making a step.
    Busy,
    /// The step rolled up some events, and there are more.
    Advanced,
    /// The step rolled up the last events of a metric.
    Finished,
}

/// Makes the next step of the backfill that has waited longest.
pub async fn backfill_step(store: &Store) -> Result<BackfillStep, BackfillError> {
    let Some(due) = next_pending_backfill(store).await? else { return Ok(BackfillStep::Idle) };
    step(store, &due).await.map_err(|source| BackfillError {
        backfill: format!("{} of tenant {}", due.series_key, due.tenant),
        source,
    })
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[error("the backfill of {backfill} failed: {source}")]
pub struct BackfillError {
    backfill: String,
    source: StoreError,
}

impl From<StoreError> for BackfillError {
    fn from(source: StoreError) -> Self {
        Self { backfill: "any metric".to_owned(), source }
    }
}

/// A backfill that is not finished.
struct PendingBackfill {
    tenant: TenantId,
    generation: i32,
    series_key: String,
}

/// Takes the backfill that has waited longest and moves it behind the others, so that a backfill that fails
/// does not block them.
async fn next_pending_backfill(store: &Store) -> Result<Option<PendingBackfill>, StoreError> {
    let client = store.client().await?;
    let row = client
        .query_opt(
            "-- next_pending_backfill
             UPDATE metric_rollup SET stepped_at = clock_timestamp()
             WHERE (tenant_id, generation) = (
                 SELECT tenant_id, generation FROM metric_rollup
                 WHERE finished_at IS NULL AND abandoned_at IS NULL
                 ORDER BY stepped_at NULLS FIRST, tenant_id, generation LIMIT 1)
             RETURNING tenant_id, generation, series_key",
            &[],
        )
        .await?;
    Ok(row.map(|row| PendingBackfill {
        tenant: TenantId(row.get(0)),
        generation: row.get(1),
        series_key: row.get(2),
    }))
}

/// The definition that a backfill is for, if it is still in use.
async fn definition(
    transaction: &Transaction<'_>,
    due: &PendingBackfill,
) -> Result<Option<MetricDefinition>, StoreError> {
    let definitions = metrics::definitions(&**transaction, due.tenant).await?;
    Ok(definitions.into_iter().find(|definition| definition.generation == due.generation))
}

async fn step(store: &Store, due: &PendingBackfill) -> Result<BackfillStep, StoreError> {
    let &PendingBackfill { tenant, generation, .. } = due;
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let free = transaction
        .query_one("-- backfill_step\nSELECT pg_try_advisory_xact_lock($1)", &[&BACKFILL_LOCK])
        .await?;
    if !free.get::<_, bool>(0) {
        return Ok(BackfillStep::Busy);
    }
    let Some(definition) = definition(&transaction, due).await? else { return Ok(BackfillStep::Advanced) };
    let after = transaction
        .query_one(
            "-- backfill_step
             SELECT backfilled FROM metric_rollup WHERE tenant_id = $1 AND generation = $2",
            &[&tenant.0, &generation],
        )
        .await?;
    let after = after.get::<_, Option<Uuid>>(0).unwrap_or(Uuid::nil());
    let provider = definition.selector.provider.clone();
    let of = (tenant, generation);
    let PendingEvents { events, through } =
        pending_backfill(store, of, &provider, EventId(after), STEP_EVENTS).await?;
    let bound = through.map(|id| id.0);
    let catalog = Catalog::of([definition]);
    let pending: Vec<_> = events.iter().map(|event| (event.id, event.borrowed())).collect();
    let folded =
        fold(pending.iter().map(|(id, event)| TenantEvent { tenant, catalog: &catalog, id: *id, event }));
    // Every event that the metric selects is in the series without labels.
    let unfiltered = folded.partials.iter().filter(|partial| folded.series[partial.series].values.is_empty());
    let rolled_up: i64 = unfiltered.map(|partial| partial.aggregate.count).sum();
    // Roll-ups for a definition that no longer exists would stay for ever. A change of metrics waits for this lock, so it
    // is taken as late as possible: all events of earlier generations were stored before this one was defined.
    share_lock(&transaction, [tenant]).await?;
    if self::definition(&transaction, due).await?.is_none() {
        return Ok(BackfillStep::Advanced);
    }
    append_partials(&transaction, &folded).await?;
    insert_series(&transaction, &folded, &KnownSeries::default()).await?;
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
