//! Reads roll-ups: the days of the series that a label set keeps, and the partial rows that are not folded yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use flowmeter_core::aggregate::Aggregate;
use flowmeter_core::ids::{RollupId, SeriesId};
use flowmeter_core::metric::{LabelSet, Measure};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::range::TimeRange;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use futures::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::SeriesQuery;
use super::groups::Groups;
use crate::points::ReadError;
use crate::rollups::encoding::{Malformed, Part, RollupDay, for_each_series};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// The series of a label set that a query reads.
#[derive(Debug, Default)]
pub(super) struct KeptSeries {
    pub ids: Vec<Uuid>,
    /// For each label of the grouping, the value of each series.
    pub labels: Vec<Vec<String>>,
}

/// The number of days that are decoded together on another thread.
const CHUNK_ROWS: usize = 2_048;
/// The same of partial rows, which have many series each.
const CHUNK_PARTIALS: usize = 64;

/// Adds the roll-ups of the pieces that are read from them.
pub(super) async fn read_kept(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    (query, label_set): (&SeriesQuery<'_>, &LabelSet),
    kept: KeptSeries,
    groups: &mut Groups,
) -> Result<(), ReadError> {
    if kept.ids.is_empty() {
        return Ok(());
    }
    let reading = Arc::new(Reading::new(query, kept));
    for (content, range) in stretches(query.pieces) {
        read_days(store, snapshot, query, (&reading, content, range), groups).await?;
    }
    read_partials(store, snapshot, (query, label_set), &reading, groups).await
}

/// What is read of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Total,
    Buckets,
}

/// The ranges of days to be read. Neighbouring pieces that need the same are read together.
fn stretches(pieces: &[Piece]) -> Vec<(Content, TimeRange)> {
    let mut stretches: Vec<(Content, TimeRange)> = Vec::new();
    for Piece { source, range } in pieces {
        let content = match source {
            Source::Events => continue,
            Source::Rollup(Resolution::Day) => Content::Total,
            Source::Rollup(_) => Content::Buckets,
        };
        match stretches.last_mut() {
            Some((last, stretch)) if *last == content && stretch.end == range.start => {
                stretch.end = range.end;
            }
            _ => stretches.push((content, *range)),
        }
    }
    stretches
}

/// How buckets become points.
struct Reading {
    ids: Vec<Uuid>,
    /// For each series the number of its group, as it was numbered here.
    numbers: HashMap<SeriesId, usize>,
    labels: Vec<Vec<String>>,
    part: Part,
    starts: Vec<Timestamp>,
    /// The ranges that are read from roll-ups, ascending.
    ranges: Vec<TimeRange>,
    max_points: u64,
}

impl Reading {
    fn new(query: &SeriesQuery<'_>, kept: KeptSeries) -> Self {
        let part = match query.definition.measure {
            Measure::Count => Part::Count,
            _ => Part::Of(query.observed),
        };
        let of_rollups = query.pieces.iter().filter(|piece| piece.source != Source::Events);
        Self {
            numbers: kept.ids.iter().enumerate().map(|(number, id)| (SeriesId(*id), number)).collect(),
            ids: kept.ids,
            labels: kept.labels,
            part,
            starts: query.bucket_starts.to_vec(),
            ranges: of_rollups.map(|piece| piece.range).collect(),
            max_points: query.max_points,
        }
    }

    /// Adds the buckets of a series on a day that lie in a range.
    fn add(
        &self,
        groups: &mut Groups,
        (number, day): (usize, Timestamp),
        bytes: &[u8],
        is_wanted: impl Fn(Timestamp) -> bool,
    ) -> Result<(), Malformed> {
        let mut group = None;
        let mut add = |point, aggregate: &Aggregate| {
            let labels = || self.labels.iter().map(|labels| labels[number].as_str());
            let group = *group.get_or_insert_with(|| groups.group(labels()));
            groups.add(group, point, aggregate);
        };
        // Buckets ascend, so the next point is this one or one that follows.
        let mut point = 0;
        let mut of_point: Option<Aggregate> = None;
        RollupDay::for_each(bytes, day, self.part, |minute, aggregate| {
            let at = Timestamp::from_micros(day.micros() + i64::from(minute) * 60_000_000);
            if !is_wanted(at) {
                return;
            }
            if self.starts.get(point).is_none_or(|start| *start > at)
                || self.starts.get(point + 1).is_some_and(|end| *end <= at)
            {
                if let Some(complete) = of_point.take() {
                    add(point, &complete);
                }
                point = self.starts.partition_point(|start| *start <= at) - 1;
            }
            Aggregate::merge_into(&mut of_point, aggregate);
        })?;
        if let Some(last) = of_point {
            add(point, &last);
        }
        Ok(())
    }
}

async fn read_days(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    query: &SeriesQuery<'_>,
    (reading, content, range): (&Arc<Reading>, Content, TimeRange),
    groups: &mut Groups,
) -> Result<(), ReadError> {
    let (first, end) = (range.start.floor_to(Resolution::Day.width()), range.end);
    let mut sql = Sql::new("-- read_days\nSELECT place, day, found.");
    sql.push(if content == Content::Total { "total" } else { "buckets" });
    // OFFSET 0 reads series by series through the index, whatever number of rows the planner expects.
    sql.push(" FROM unnest(").value(reading.ids.clone(), Type::UUID_ARRAY);
    sql.push(") WITH ORDINALITY AS kept (id, place), LATERAL (SELECT day, total, buckets FROM rollup_day");
    sql.push(" WHERE tenant_id = ").value(query.tenant.0, Type::UUID);
    sql.push(" AND series_id = kept.id AND day >= ").value(SystemTime::from(first), Type::TIMESTAMPTZ);
    sql.push(" AND day < ").value(SystemTime::from(end), Type::TIMESTAMPTZ);
    sql.push(" OFFSET 0) AS found");
    let rows = sql.stream_in(snapshot).await?;
    let mut chunks = std::pin::pin!(rows.try_chunks(CHUNK_ROWS));
    while let Some(rows) = chunks.try_next().await.map_err(|error| StoreError::from(error.1))? {
        let reading = reading.clone();
        let read = move || {
            let mut groups = Groups::new(reading.max_points);
            for row in &rows {
                let number = usize::try_from(row.get::<_, i64>(0) - 1).map_err(|_| Malformed)?;
                let day = Timestamp::from(row.get::<_, SystemTime>(1));
                let is_wanted = |at| range.start <= at && at < range.end;
                reading.add(&mut groups, (number, day), row.get(2), is_wanted)?;
            }
            Ok::<_, Malformed>(groups)
        };
        groups.merge(store.compute(read).await?.map_err(StoreError::from)?);
        groups.check()?;
    }
    Ok(())
}

async fn read_partials(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    (query, label_set): (&SeriesQuery<'_>, &LabelSet),
    reading: &Arc<Reading>,
    groups: &mut Groups,
) -> Result<(), ReadError> {
    let (Some(first), Some(last)) = (reading.ranges.first(), reading.ranges.last()) else { return Ok(()) };
    let labels = label_set.labels.iter().map(Field::name);
    let rollup = RollupId::new(query.tenant, &query.definition.series_key(), labels);
    let mut sql = Sql::new("-- read_partials\nSELECT day, series FROM rollup_partial WHERE tenant_id = ");
    sql.value(query.tenant.0, Type::UUID).push(" AND rollup_id = ").value(rollup.0, Type::UUID);
    let first = first.start.floor_to(Resolution::Day.width());
    sql.push(" AND day >= ").value(SystemTime::from(first), Type::TIMESTAMPTZ);
    sql.push(" AND day < ").value(SystemTime::from(last.end), Type::TIMESTAMPTZ);
    let rows = sql.stream_in(snapshot).await?;
    let mut chunks = std::pin::pin!(rows.try_chunks(CHUNK_PARTIALS));
    while let Some(rows) = chunks.try_next().await.map_err(|error| StoreError::from(error.1))? {
        let reading = reading.clone();
        let read = move || {
            let mut groups = Groups::new(reading.max_points);
            rows.iter().try_for_each(|row| reading.add_partial(&mut groups, row))?;
            Ok::<_, Malformed>(groups)
        };
        groups.merge(store.compute(read).await?.map_err(StoreError::from)?);
        groups.check()?;
    }
    Ok(())
}

impl Reading {
    fn add_partial(&self, groups: &mut Groups, row: &Row) -> Result<(), Malformed> {
        let day = Timestamp::from(row.get::<_, SystemTime>(0));
        let is_wanted = |at| self.ranges.iter().any(|range| range.start <= at && at < range.end);
        for_each_series(row.get(1), |series, bytes| match self.numbers.get(&series) {
            Some(number) => self.add(groups, (*number, day), bytes, is_wanted),
            None => Ok(()),
        })
    }
}
