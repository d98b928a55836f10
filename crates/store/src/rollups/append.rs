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
    let rollups = rollup_ids(folded);
    let mut rows: BTreeMap<Key, SeriesDays> = BTreeMap::new();
    for partial in &folded.partials {
        let series = &folded.series[partial.series];
        let day = partial.bucket.floor_to(Resolution::Day.width());
        let row = rows.entry((series.tenant, rollups[partial.series], day)).or_default();
        let has_values = series.definition.measure != Measure::Count;
        let buckets = row.0.entry(series.id).or_insert_with(|| RollupDay::new(has_values));
        buckets.add(minute_of_day(partial.bucket), &partial.aggregate);
    }
    let rows = rows.iter().map(|(key, series)| PartialRow { key: *key, series: series.encode(key.2) });
    write_partials(transaction, rows).await
}

/// A roll-up of a tenant, and a day.
pub(super) type Key = (TenantId, RollupId, Timestamp);

/// What is added to the series of a roll-up on a day.
pub(super) struct PartialRow {
    pub key: Key,
    /// The encoded series.
    pub series: Vec<u8>,
}

/// Writes partial rows.
pub(super) async fn write_partials(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = PartialRow>,
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
        row.bytes(&series);
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await
}

/// The roll-up of each series of a batch.
fn rollup_ids(folded: &Folded<'_>) -> Vec<RollupId> {
    let mut ids: Vec<RollupId> = Vec::with_capacity(folded.series.len());
    let mut last: Option<(&Series<'_>, RollupId)> = None;
    for series in &folded.series {
        // The series of a roll-up often follow each other.
        let same = last.filter(|(other, _)| {
            other.tenant == series.tenant && std::ptr::eq(other.label_set, series.label_set)
        });
        let id = same.map_or_else(
            || {
                let labels = series.label_set.labels.iter().map(Field::name);
                RollupId::new(series.tenant, &series.definition.series_key(), labels)
            },
            |(_, id)| id,
        );
        last = Some((series, id));
        ids.push(id);
    }
    ids
}

/// Series and roll-ups that are in the dictionaries.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries {
    series: HashSet<(TenantId, SeriesId)>,
    rollups: HashSet<(TenantId, RollupId)>,
}

/// The maximum number of series that are cached as being in the dictionary. When the cache is full it is
/// cleared, which costs one look-up for each series.
const MAX_KNOWN: usize = 200_000;

impl KnownSeries {
    /// Adds what a transaction that is now committed has inserted.
    pub(crate) fn remember(&mut self, added: Self) {
        if self.series.len() + added.series.len() > MAX_KNOWN {
            *self = Self::default();
        }
        self.series.extend(added.series);
        self.rollups.extend(added.rollups);
    }
}

/// Inserts the series of a batch that are not `known` yet into the dictionaries, and returns them.
pub(crate) async fn insert_series(
    transaction: &Transaction<'_>,
    folded: &Folded<'_>,
    known: &KnownSeries,
) -> Result<KnownSeries, StoreError> {
    let rollups = rollup_ids(folded);
    let mut unknown: Vec<_> = folded
        .series
        .iter()
        .zip(rollups)
        .filter(|(series, _)| !known.series.contains(&(series.tenant, series.id)))
        .collect();
    if unknown.is_empty() {
        return Ok(KnownSeries::default());
    }
    // Sorted, so that all workers insert in the same order and cannot deadlock.
    unknown.sort_by_key(|(series, rollup)| (series.tenant, *rollup, series.id));
    let mut added = KnownSeries::default();
    for (series, rollup) in
        unknown.iter().filter(|(series, rollup)| !known.rollups.contains(&(series.tenant, *rollup)))
    {
        if added.rollups.insert((series.tenant, *rollup)) {
            insert_rollup(transaction, series, *rollup).await?;
        }
    }
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
    for (series, rollup) in &unknown {
        let mut row = copy.row(4);
        row.uuid(series.tenant.0);
        row.uuid(rollup.0);
        row.uuid(series.id.0);
        row.text_array(&series.values);
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await?;
    transaction
        .execute(
            "-- insert_series
             INSERT INTO series SELECT * FROM incoming_series ORDER BY tenant_id, rollup_id, series_id
             ON CONFLICT DO NOTHING",
            &[],
        )
        .await?;
    added.series.extend(unknown.iter().map(|(series, _)| (series.tenant, series.id)));
    Ok(added)
}

async fn insert_rollup(
    transaction: &Transaction<'_>,
    series: &Series<'_>,
    rollup: RollupId,
) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- insert_rollup
             INSERT INTO rollup (tenant_id, rollup_id, metric, label_names) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .await?;
    let names: Vec<_> = series.label_set.labels.iter().map(Field::name).collect();
    let metric = series.definition.series_key();
    transaction.execute(&statement, &[&series.tenant.0, &rollup.0, &metric, &names]).await?;
    Ok(())
}
