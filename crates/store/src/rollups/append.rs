//! Appends what a folded batch adds to the roll-ups.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use flowmeter_core::fold::Folded;
use flowmeter_core::ids::{SeriesId, TenantId};
use flowmeter_core::metric::Measure;
use flowmeter_core::usage::Field;

use crate::StoreError;
use crate::copy::BinaryCopy;

/// Appends partial rows.
pub(crate) async fn append_partials(
    transaction: &Transaction<'_>,
    folded: &Folded<'_>,
) -> Result<(), StoreError> {
    if folded.partials.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached("-- append_partials\nCOPY rollup_partial FROM STDIN (FORMAT binary)")
        .await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for partial in &folded.partials {
        let series = &folded.series[partial.series];
        let aggregate = &partial.aggregate;
        let mut row = copy.row(12);
        row.uuid(series.tenant.0);
        row.uuid(series.id.0);
        row.smallint(Some(series.label_set.resolutions[0].minutes()));
        row.timestamp(partial.bucket);
        row.bigint(Some(aggregate.count));
        if series.definition.measure == Measure::Count {
            (0..7).for_each(|_| row.null());
        } else {
            row.quantity(aggregate.sum);
            row.quantity(aggregate.min);
            row.quantity(aggregate.max);
            row.uuid(aggregate.first.id.0);
            row.quantity(aggregate.first.value);
            row.uuid(aggregate.last.id.0);
            row.quantity(aggregate.last.value);
        }
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await
}

/// Inserts the series that are not `known` yet into the dictionary, and returns them.
pub(crate) async fn insert_series(
    transaction: &Transaction<'_>,
    folded: &Folded<'_>,
    known: &HashSet<(TenantId, SeriesId)>,
) -> Result<Vec<(TenantId, SeriesId)>, StoreError> {
    let mut unknown: Vec<_> =
        folded.series.iter().filter(|series| !known.contains(&(series.tenant, series.id))).collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    // Sorted, so that all workers insert in the same order and cannot deadlock.
    unknown.sort_by_key(|series| (series.tenant, series.id));
    transaction
        .batch_execute(
            "-- insert_series
             CREATE TEMP TABLE IF NOT EXISTS incoming_series (LIKE series) ON COMMIT DELETE ROWS",
        )
        .await?;
    let statement = transaction
        .prepare_cached("-- insert_series\nCOPY incoming_series FROM STDIN (FORMAT binary)")
        .await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for series in &unknown {
        let names: Vec<_> = series.label_set.labels.iter().map(Field::name).collect();
        let mut row = copy.row(5);
        row.uuid(series.tenant.0);
        row.uuid(series.id.0);
        row.text(&series.definition.series_key());
        row.text_array(&names);
        row.text_array(&series.values);
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await?;
    transaction
        .execute(
            "-- insert_series
             INSERT INTO series SELECT * FROM incoming_series ORDER BY tenant_id, series_id
             ON CONFLICT DO NOTHING",
            &[],
        )
        .await?;
    Ok(unknown.iter().map(|series| (series.tenant, series.id)).collect())
}
