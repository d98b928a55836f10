//! Appends what a folded batch adds to the roll-ups.

use std::collections::{BTreeMap, HashSet};

use deadpool_postgres::Transaction;
use flowmeter_core::fold::{Folded, Series};
use flowmeter_core::ids::{RollupId, SeriesId, TenantId};
use flowmeter_core::metric::Measure;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;

use super::encoding::{RollupDay, SeriesDays};
use super::minute_of_day;
use crate::StoreError;
use crate::copy::BinaryCopy;

/// Appends a partial row for each roll-up and day that the batch touches.
pub(crate) async fn append_partials(
    transaction: &Transaction<'_>,
    folded: &Folded<'_>,
) -> Result<(), StoreError> {
    if folded.partials.is_empty() {
        return Ok(());
    }
    let rollup = |series: &Series<'_>| {
        let labels = series.label_set.labels.iter().map(Field::name);
        RollupId::new(series.tenant, &series.definition.series_key(), labels)
    };
    // The series of a roll-up mostly follow each other.
    let mut rollups: Vec<RollupId> = Vec::with_capacity(folded.series.len());
    for (index, series) in folded.series.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &folded.series[before]);
        let is_same = before.is_some_and(|before| {
            before.tenant == series.tenant && std::ptr::eq(before.label_set, series.label_set)
        });
        rollups.push(if is_same { rollups[index - 1] } else { rollup(series) });
    }
    let mut rows: BTreeMap<Key, SeriesDays> = BTreeMap::new();
    for partial in &folded.partials {
        let series = &folded.series[partial.series];
        let day = partial.bucket.floor_to(Resolution::Day.width());
        let row = rows.entry((series.tenant, rollups[partial.series], day)).or_default();
        let has_values = series.definition.measure != Measure::Count;
        let buckets = row.0.entry(series.id).or_insert_with(|| RollupDay::new(has_values));
        buckets.add(minute_of_day(partial.bucket), &partial.aggregate);
    }
    let rows = rows.iter().map(|(key, series)| PartialRow { key: *key, series });
    write_partials(transaction, rows).await
}

/// A roll-up of a tenant, and a day.
pub(super) type Key = (TenantId, RollupId, Timestamp);

/// What is added to the series of a roll-up on a day.
pub(super) struct PartialRow<'a> {
    pub key: Key,
    pub series: &'a SeriesDays,
}

/// Writes partial rows.
pub(super) async fn write_partials(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = PartialRow<'_>>,
) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- append_partials
             COPY rollup_partial (tenant_id, rollup_id, day, partial_id, series) FROM STDIN (FORMAT binary)",
        )
        .await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for PartialRow { key: (tenant, rollup, day), series } in rows {
        let mut row = copy.row(5);
        row.uuid(tenant.0);
        row.uuid(rollup.0);
        row.timestamp(day);
        row.bigint(Some(rand::random()));
        row.bytes(&series.encode(day));
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
