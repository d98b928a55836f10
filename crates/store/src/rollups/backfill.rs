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

/// Events that one step looks at: a transaction of a fraction of a second.
const STEP_EVENTS: i64 = 20_000;
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
pub async fn backfill_step(store: &Store) -> Result<BackfillStep, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let free = transaction
        .query_one("-- backfill_step\nSELECT pg_try_advisory_xact_lock($1)", &[&BACKFILL_LOCK])
        .await?;
    if !free.get::<_, bool>(0) {
        return Ok(BackfillStep::Busy);
    }
    // What is rolled up for a definition that is gone would stay for ever.
    share_lock(&transaction).await?;
    let due = transaction
        .query_opt(
            "-- backfill_step
             SELECT tenant_id, generation, backfilled FROM metric_rollup
             WHERE finished_at IS NULL AND abandoned_at IS NULL
             ORDER BY stepped_at NULLS FIRST, tenant_id, generation LIMIT 1",
            &[],
        )
        .await?;
    let Some(due) = due else { return Ok(BackfillStep::Idle) };
    let (tenant, generation) = (TenantId(due.get(0)), due.get::<_, i32>(1));
    let after = due.get::<_, Option<Uuid>>(2).unwrap_or(Uuid::nil());

    let bound = transaction
        .query_typed(
            "-- backfill_step
             SELECT id FROM usage_event WHERE tenant_id = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1",
            &[(&tenant.0, Type::UUID), (&after, Type::UUID), (&(STEP_EVENTS - 1), Type::INT8)],
        )
        .await?;
    let bound: Option<Uuid> = bound.first().map(|row| row.get(0));
    let definitions = metrics::definitions(&*transaction, tenant).await?;
    let definition = definitions.into_iter().find(|definition| definition.generation == generation);
    let catalog = Catalog::of(definition);
    let mut rolled_up = 0;
    if let Some(definition) = catalog.definitions().next() {
        let provider = &definition.selector.provider;
        let stored =
            events::owed(&transaction, tenant, generation, provider, (EventId(after), bound.map(EventId)))
                .await?;
        let owed: Vec<(EventId, UsageEvent<'_>)> =
            stored.iter().map(|stored| (stored.id, stored.borrowed())).collect();
        let folded = fold(owed.iter().map(|(id, event)| (tenant, &catalog, *id, event)));
        // Every event that the metric takes is in the unfiltered series.
        let unfiltered =
            folded.partials.iter().filter(|partial| folded.series[partial.series].values.is_empty());
        rolled_up = unfiltered.map(|partial| partial.aggregate.count).sum();
        append_partials(&transaction, &folded).await?;
        insert_series(&transaction, &folded, &HashSet::new()).await?;
    }
    transaction
        .execute(
            "-- backfill_step
             UPDATE metric_rollup
             SET backfilled = coalesce($3::uuid, backfilled),
                 event_count = event_count + $4,
                 started_at = coalesce(started_at, now()),
                 stepped_at = clock_timestamp(),
                 finished_at = CASE WHEN $3 IS NULL THEN clock_timestamp() END
             WHERE tenant_id = $1 AND generation = $2",
            &[&tenant.0, &generation, &bound, &rolled_up],
        )
        .await?;
    transaction.commit().await?;
    Ok(if bound.is_some() { BackfillStep::Advanced } else { BackfillStep::Finished })
}
