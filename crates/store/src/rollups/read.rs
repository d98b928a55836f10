//! Reads time series: from roll-ups if a label set covers the query, and otherwise from the events, all in
//! one snapshot.

mod events;
mod groups;

use std::time::SystemTime;

use flowmeter_core::aggregate::{Aggregate, EventValue};
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, SeriesId, TenantId};
use flowmeter_core::metric::{LabelSet, Measure, MetricDefinition, Observed};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::points::{LabelledPoints, ReadError};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};
use events::read_events;
use groups::Groups;

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
    if let Some(sql) = kept.as_ref().and_then(|kept| statement(query, kept)) {
        read_rollups(&sql.query_in(&mut snapshot).await?, query, &mut groups)?;
    }
    let of_events = |piece: &&Piece| piece.source == Source::Events || kept.is_none();
    for piece in query.pieces.iter().filter(of_events) {
        read_events(store, &mut snapshot, query, piece, &mut groups).await?;
    }
    let points = groups.finish(query.definition.measure, query.observed)?;
    snapshot.end().await?;
    Ok(points)
}

/// Adds what the statement of roll-ups returned.
fn read_rollups(rows: &[Row], query: &SeriesQuery<'_>, groups: &mut Groups) -> Result<(), ReadError> {
    let labels = query.group_by.len();
    for row in rows {
        let group = groups.group((0..labels).map(|index| row.get::<_, &str>(index)));
        let bucket =
            usize::try_from(row.get::<_, i32>(labels) - 1).expect("no row is before the first bucket");
        let mut aggregate =
            Aggregate { count: row.get(labels + 1), ..Aggregate::of(EventId(Uuid::nil()), ZERO) };
        if query.definition.measure != Measure::Count {
            let billionths: &str = row.get(labels + 2);
            let billionths =
                billionths.parse().map_err(|_| StoreError::Refused(format!("a sum of {billionths}")))?;
            let value = Quantity::from_billionths(billionths);
            let event = |index| EventValue { id: EventId(row.get(labels + index)), value };
            match query.observed {
                Observed::Summed | Observed::Averaged => aggregate.sum = value,
                Observed::High => aggregate.max = value,
                Observed::Low => aggregate.min = value,
                Observed::Beginning => aggregate.first = event(3),
                Observed::End => aggregate.last = event(3),
            }
        }
        groups.add(group, bucket, &aggregate);
    }
    groups.check()
}

const ZERO: Quantity = Quantity::from_billionths(0);

/// The series of a label set that a query reads.
#[derive(Debug, Default)]
struct KeptSeries {
    ids: Vec<Uuid>,
    /// For each label of the grouping, the value of each series.
    labels: Vec<Vec<String>>,
}

/// The statement that reads roll-ups. None if there is nothing to read.
fn statement(query: &SeriesQuery<'_>, kept: &KeptSeries) -> Option<Sql> {
    let mut sql = Sql::new("-- read_series\nWITH part AS (");
    let mut between = "";
    for piece in query.pieces {
        let Source::Rollup(resolution) = piece.source else { continue };
        if kept.ids.is_empty() {
            continue;
        }
        sql.push(between);
        from_rollups(&mut sql, query, piece, kept, Some(resolution.minutes()));
        sql.push("\nUNION ALL ");
        from_rollups(&mut sql, query, piece, kept, None);
        between = "\nUNION ALL ";
    }
    if between.is_empty() {
        return None;
    }
    let labels = |sql: &mut Sql| {
        for index in 0..query.group_by.len() {
            sql.push("label").index(index).push(", ");
        }
    };
    sql.push(")\nSELECT ");
    labels(&mut sql);
    sql.push("bucket, sum(count)::bigint");
    if query.definition.measure != Measure::Count {
        // In billionths, which are whole.
        let aggregated = match query.observed {
            Observed::Summed | Observed::Averaged => "sum(sum)",
            Observed::High => "max(max)",
            Observed::Low => "min(min)",
            Observed::Beginning => "(array_agg(first_value ORDER BY first_id))[1]",
            Observed::End => "(array_agg(last_value ORDER BY last_id DESC))[1]",
        };
        sql.push(", trunc((").push(aggregated).push(") * 1000000000)::numeric(60, 0)::text");
        match query.observed {
            Observed::Beginning => {
                sql.push(", (array_agg(first_id ORDER BY first_id))[1]");
            }
            Observed::End => {
                sql.push(", (array_agg(last_id ORDER BY last_id DESC))[1]");
            }
            _ => {}
        }
    }
    sql.push(" FROM part GROUP BY ");
    labels(&mut sql);
    sql.push("bucket");
    Some(sql)
}

/// The columns of a part from which the aggregated value is computed.
fn part_columns(observed: Observed) -> &'static [&'static str] {
    match observed {
        Observed::Summed | Observed::Averaged => &["sum"],
        Observed::High => &["max"],
        Observed::Low => &["min"],
        Observed::Beginning => &["first_id", "first_value"],
        Observed::End => &["last_id", "last_value"],
    }
}

/// Selects the rows of the roll-ups of a resolution, or the partial rows if there is none.
fn from_rollups(
    sql: &mut Sql,
    query: &SeriesQuery<'_>,
    piece: &Piece,
    kept: &KeptSeries,
    resolution: Option<i16>,
) {
    let starts: Vec<_> = query.bucket_starts.iter().map(|start| SystemTime::from(*start)).collect();
    sql.push("SELECT ");
    for index in 0..query.group_by.len() {
        sql.push("kept.label").index(index).push(" COLLATE \"C\" AS label").index(index).push(", ");
    }
    sql.push("width_bucket(bucket, ").value(starts, Type::TIMESTAMPTZ_ARRAY).push(") AS bucket, count");
    let columns: &[&'static str] =
        if query.definition.measure == Measure::Count { &[] } else { part_columns(query.observed) };
    for column in columns {
        sql.push(", ").push(column);
    }
    let table = if resolution.is_some() { "rollup" } else { "rollup_partial" };
    if query.group_by.is_empty() {
        sql.push(" FROM ").push(table).push(" WHERE series_id = ANY (");
        sql.value(kept.ids.clone(), Type::UUID_ARRAY).push(")");
    } else {
        // Reads series by series through the index, whatever number of rows the planner expects.
        sql.push(" FROM unnest(").value(kept.ids.clone(), Type::UUID_ARRAY);
        for values in &kept.labels {
            sql.push(", ").value(values.clone(), Type::TEXT_ARRAY);
        }
        sql.push(") AS kept (id");
        for index in 0..query.group_by.len() {
            sql.push(", label").index(index);
        }
        sql.push("), LATERAL (SELECT bucket, count");
        for column in columns {
            sql.push(", ").push(column);
        }
        sql.push(" FROM ").push(table).push(" WHERE series_id = kept.id");
    }
    sql.push(" AND tenant_id = ").value(query.tenant.0, Type::UUID);
    if let Some(resolution) = resolution {
        sql.push(" AND resolution = ").value(resolution, Type::INT2);
    }
    let (start, end) = (piece.range.start, piece.range.end);
    sql.push(" AND bucket >= ").value(SystemTime::from(start), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(end), Type::TIMESTAMPTZ);
    if !query.group_by.is_empty() {
        sql.push(" OFFSET 0) AS found");
    }
}

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
    let names: Vec<String> = label_set.labels.iter().map(|label| label.name().to_owned()).collect();
    let mut sql = Sql::new("-- kept_series\nSELECT series_id, label_values FROM series WHERE tenant_id = ");
    sql.value(query.tenant.0, Type::UUID);
    sql.push(" AND metric = ").value(key.into_owned(), Type::TEXT);
    sql.push(" AND label_names = ").value(names, Type::TEXT_ARRAY);
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
