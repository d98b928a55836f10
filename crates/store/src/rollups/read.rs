//! Reads time series: from roll-ups if a label set covers the query, and otherwise from the events, all in
//! one snapshot.

mod events;
mod groups;
mod kept;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{RollupId, SeriesId, TenantId};
use flowmeter_core::metric::{LabelSet, MetricDefinition, Observed};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::points::{LabelledPoints, ReadError};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};
use events::read_events;
use groups::Groups;
use kept::{KeptSeries, read_kept};

/// A query for time series of one metric.
#[derive(Debug)]
pub struct SeriesQuery<'a> {
    /// The tenant that owns the events.
    pub tenant: TenantId,
    /// The metric.
    pub definition: &'a MetricDefinition,
    /// How the values of a bucket are aggregated.
    pub observed: Observed,
    /// The filter of the events.
    pub filter: &'a Filter,
    /// The labels by which the series are grouped.
    pub group_by: &'a [Field],
    /// The label set whose roll-ups are read. None if no label set covers the filter and the grouping.
    pub label_set: Option<&'a LabelSet>,
    /// The pieces of the time range and their sources.
    pub pieces: &'a [Piece],
    /// The starts of the calendar's buckets, ascending.
    pub bucket_starts: &'a [Timestamp],
    /// The maximum number of points.
    pub max_points: u64,
}

/// The maximum number of series that are read individually.
const MAX_SERIES: i64 = 100_000;

/// Reads the series, in the order of their labels. Without grouping there is one series, or none if there are
/// no points.
pub async fn read_series(store: &Store, query: &SeriesQuery<'_>) -> Result<Vec<LabelledPoints>, ReadError> {
    let kept = match query.label_set {
        Some(label_set) if query.pieces.iter().any(|piece| piece.source != Source::Events) => {
            kept_series(store, query, label_set).await?
        }
        _ => None,
    };
    let mut snapshot = Snapshot::new(store);
    let mut groups = Groups::new(query.max_points);
    let has_rollups = kept.is_some();
    if let (Some(label_set), Some(kept)) = (query.label_set, kept) {
        read_kept(store, &mut snapshot, (query, label_set), kept, &mut groups).await?;
    }
    let of_events = |piece: &&Piece| piece.source == Source::Events || !has_rollups;
    for piece in query.pieces.iter().filter(of_events) {
        read_events(store, &mut snapshot, query, piece, &mut groups).await?;
    }
    let points = groups.finish(query.definition.measure, query.observed)?;
    snapshot.end().await?;
    Ok(points)
}

const ZERO: Quantity = Quantity::from_billionths(0);

/// The series of a label set that satisfy the filter. If the filter gives the value of every label, the id of
/// the series is computed; otherwise the series are looked up in the dictionary. None if there are so many
/// that reading the events is as fast.
async fn kept_series(
    store: &Store,
    query: &SeriesQuery<'_>,
    label_set: &LabelSet,
) -> Result<Option<KeptSeries>, StoreError> {
    let key = query.definition.series_key();
    if let Some(values) = exact_values(query.filter, label_set) {
        let labels = label_set.labels.iter().map(Field::name).zip(values.iter().map(String::as_str));
        let id = SeriesId::new(query.tenant, &key, labels).0;
        return Ok(Some(with_labels(query, label_set, [(id, values)])));
    }
    let rollup = RollupId::new(query.tenant, &key, label_set.labels.iter().map(Field::name));
    let mut sql = Sql::new("-- kept_series\nSELECT series_id, label_values FROM series WHERE tenant_id = ");
    sql.value(query.tenant.0, Type::UUID);
    sql.push(" AND rollup_id = ").value(rollup.0, Type::UUID);
    sql.matching_labels(query.filter, &label_set.labels)?;
    sql.push(" LIMIT ").value(MAX_SERIES + 1, Type::INT8);
    let rows = sql.query(store).await?;
    if i64::try_from(rows.len()).is_ok_and(|found| found > MAX_SERIES) {
        return Ok(None);
    }
    Ok(Some(with_labels(query, label_set, rows.iter().map(|row| (row.get(0), row.get(1))))))
}

/// The value of every label, if the filter consists of equalities that give exactly these.
fn exact_values(filter: &Filter, label_set: &LabelSet) -> Option<Vec<String>> {
    let equalities = filter.equalities()?;
    let mut values: Vec<Option<String>> = vec![None; label_set.labels.len()];
    for (field, text) in equalities {
        let at = label_set.labels.iter().position(|label| label == field)?;
        if values[at].as_ref().is_some_and(|other| *other != text) {
            return None;
        }
        values[at] = Some(text);
    }
    values.into_iter().collect()
}

fn with_labels(
    query: &SeriesQuery<'_>,
    label_set: &LabelSet,
    series: impl IntoIterator<Item = (Uuid, Vec<String>)>,
) -> KeptSeries {
    let at = |label| label_set.labels.iter().position(|kept| kept == label);
    let places: Vec<usize> =
        query.group_by.iter().map(|label| at(label).expect("the label set covers the grouping")).collect();
    let mut kept = KeptSeries { ids: Vec::new(), labels: vec![Vec::new(); places.len()] };
    for (id, mut values) in series {
        kept.ids.push(id);
        for (labels, place) in kept.labels.iter_mut().zip(&places) {
            labels.push(std::mem::take(&mut values[*place]));
        }
    }
    kept
}
