//! Reads series: from roll-ups where a kept label set covers the question, and else from the
//! events, all as of one moment.

use std::time::SystemTime;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, SeriesId, TenantId};
use flowmeter_core::metric::{Definition, LabelSet, Measure, Observed};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::events::label_sets::{RareLabels, Reads, push_events, rare_labels};
use crate::points::{LabelledPoints, ReadError, labelled_points, select_points};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// A question about one metric.
#[derive(Debug)]
pub struct SeriesQuestion<'a> {
    /// Whose metric.
    pub tenant: TenantId,
    /// The metric.
    pub definition: &'a Definition,
    /// How the values of a bucket become one.
    pub observed: Observed,
    /// Which events count.
    pub filter: &'a Filter,
    /// The labels that tell the series of the answer apart.
    pub group_by: &'a [Field],
    /// The label set that answers what is not read from the events. None if there is no
    /// kept one that covers filter and grouping.
    pub label_set: Option<&'a LabelSet>,
    /// Where each piece of the range is read.
    pub pieces: &'a [Piece],
    /// The starts of the calendar's buckets, ascending.
    pub bucket_starts: &'a [Timestamp],
    /// Points of an answer at most.
    pub max_points: u64,
}

/// Series of a label set that are read one by one at most.
const MAX_SERIES: i64 = 100_000;

/// Answers a question, with the series in the order of their labels. Without grouping there is one
/// series, unless there is no point.
pub async fn read_series(
    store: &Store,
    question: &SeriesQuestion<'_>,
) -> Result<Vec<LabelledPoints>, ReadError> {
    let kept = match question.label_set {
        Some(label_set) if question.pieces.iter().any(|piece| piece.source != Source::Events) => {
            kept_series(store, question, label_set).await?
        }
        _ => None,
    };
    let mut snapshot = Snapshot::new(store);
    let rare = rare_in_events(&mut snapshot, question, kept.is_some()).await?;
    let Some(sql) = statement(question, kept.as_ref(), rare.as_ref()) else { return Ok(Vec::new()) };
    let rows = sql.query_last(snapshot).await?;
    labelled_points(&rows, question.group_by.len(), question.max_points)
}

/// The series of a label set that a question is about.
#[derive(Debug, Default)]
struct KeptSeries {
    ids: Vec<Uuid>,
    /// For each label of the grouping the value of each series.
    labels: Vec<Vec<String>>,
}

/// The one statement that answers, or none if there is nowhere to read.
fn statement(
    question: &SeriesQuestion<'_>,
    kept: Option<&KeptSeries>,
    rare: Option<&RareLabels>,
) -> Option<Sql> {
    let mut sql = Sql::new("-- read_series\nWITH part AS (");
    let mut between = "";
    for piece in question.pieces {
        match (piece.source, kept) {
            (Source::Events, _) | (_, None) => {
                sql.push(between);
                from_events(&mut sql, question, piece, rare);
            }
            (_, Some(kept)) if kept.ids.is_empty() => continue,
            (Source::Rollup(resolution), Some(kept)) => {
                sql.push(between);
                from_rollups(&mut sql, question, piece, kept, Some(resolution.minutes()));
                sql.push("\nUNION ALL ");
                from_rollups(&mut sql, question, piece, kept, None);
            }
        }
        between = "\nUNION ALL ";
    }
    if between.is_empty() {
        return None;
    }
    sql.push(")\n");
    let value = observed_value(question.definition.measure, question.observed);
    select_points(&mut sql, question.group_by.len(), value, "sum(count)::bigint", question.max_points);
    Some(sql)
}

/// The columns of a part that the observed value is made of.
fn part_columns(observed: Observed) -> &'static [&'static str] {
    match observed {
        Observed::Summed | Observed::Averaged => &["sum"],
        Observed::High => &["max"],
        Observed::Low => &["min"],
        Observed::Beginning => &["first_id", "first_value"],
        Observed::End => &["last_id", "last_value"],
    }
}

/// How the parts of a bucket become its value.
fn observed_value(measure: Measure, observed: Observed) -> &'static str {
    if measure == Measure::Count {
        // Each event counts one.
        return if observed == Observed::Summed { "sum(count)" } else { "1" };
    }
    match observed {
        Observed::Summed => "trim_scale(sum(sum))",
        // A quotient has as many decimals as its dividend: enough that no count can make the rounding
        // to 9 decimals depend on an earlier one.
        Observed::Averaged => {
            "trim_scale(round((sum(sum) + 0.000000000000000000000000000000) / sum(count), 9))"
        }
        Observed::High => "trim_scale(max(max))",
        Observed::Low => "trim_scale(min(min))",
        Observed::Beginning => "trim_scale((array_agg(first_value ORDER BY first_id))[1])",
        Observed::End => "trim_scale((array_agg(last_value ORDER BY last_id DESC))[1])",
    }
}

/// The rows of the roll-ups of a resolution, or the partial rows.
fn from_rollups(
    sql: &mut Sql,
    question: &SeriesQuestion<'_>,
    piece: &Piece,
    kept: &KeptSeries,
    resolution: Option<i16>,
) {
    let starts: Vec<_> = question.bucket_starts.iter().map(|start| SystemTime::from(*start)).collect();
    sql.push("SELECT ");
    for index in 0..question.group_by.len() {
        sql.push("kept.label").index(index).push(" COLLATE \"C\" AS label").index(index).push(", ");
    }
    sql.push("width_bucket(bucket, ").value(starts, Type::TIMESTAMPTZ_ARRAY).push(") AS bucket, count");
    let columns: &[&'static str] =
        if question.definition.measure == Measure::Count { &[] } else { part_columns(question.observed) };
    for column in columns {
        sql.push(", ").push(column);
    }
    let table = if resolution.is_some() { "rollup" } else { "rollup_partial" };
    if question.group_by.is_empty() {
        sql.push(" FROM ").push(table).push(" WHERE series_id = ANY (");
        sql.value(kept.ids.clone(), Type::UUID_ARRAY).push(")");
    } else {
        // Series by series through the index, whatever the planner thinks of the number of rows.
        sql.push(" FROM unnest(").value(kept.ids.clone(), Type::UUID_ARRAY);
        for values in &kept.labels {
            sql.push(", ").value(values.clone(), Type::TEXT_ARRAY);
        }
        sql.push(") AS kept (id");
        for index in 0..question.group_by.len() {
            sql.push(", label").index(index);
        }
        sql.push("), LATERAL (SELECT bucket, count");
        for column in columns {
            sql.push(", ").push(column);
        }
        sql.push(" FROM ").push(table).push(" WHERE series_id = kept.id");
    }
    sql.push(" AND tenant_id = ").value(question.tenant.0, Type::UUID);
    if let Some(resolution) = resolution {
        sql.push(" AND resolution = ").value(resolution, Type::INT2);
    }
    let (start, end) = (piece.range.start, piece.range.end);
    sql.push(" AND bucket >= ").value(SystemTime::from(start), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(SystemTime::from(end), Type::TIMESTAMPTZ);
    if !question.group_by.is_empty() {
        sql.push(" OFFSET 0) AS found");
    }
}

/// What a question demands of label sets, where that saves reading most of the events in the longest
/// piece that is read from them.
async fn rare_in_events(
    snapshot: &mut Snapshot<'_>,
    question: &SeriesQuestion<'_>,
    is_kept: bool,
) -> Result<Option<RareLabels>, StoreError> {
    let from_events = |piece: &&Piece| piece.source == Source::Events || !is_kept;
    let width = |piece: &&Piece| piece.range.end.micros() - piece.range.start.micros();
    let Some(longest) = question.pieces.iter().filter(from_events).max_by_key(width) else {
        return Ok(None);
    };
    let filter = question.definition.selector.filter.clone().and(question.filter.clone());
    rare_labels(snapshot, question.tenant, longest.range, &filter, Reads::All).await
}

fn from_events(sql: &mut Sql, question: &SeriesQuestion<'_>, piece: &Piece, rare: Option<&RareLabels>) {
    sql.push("SELECT ");
    for (index, label) in question.group_by.iter().enumerate() {
        // Empty where the event has none.
        sql.push("coalesce(").field(label).push("::text, '') COLLATE \"C\" AS label").index(index).push(", ");
    }
    let starts: Vec<Uuid> = question.bucket_starts.iter().map(|start| EventId::first_at(*start).0).collect();
    sql.push("width_bucket(id, ").value(starts, Type::UUID_ARRAY).push(") AS bucket, 1::bigint AS count");
    let selector = &question.definition.selector;
    let measured = match question.definition.measure {
        Measure::Count => None,
        Measure::Duration => Some("duration::numeric"),
        Measure::ResponseSize => Some("response_size::numeric"),
        Measure::Value => Some("value"),
    };
    if let Some(measured) = measured {
        for column in part_columns(question.observed) {
            sql.push(", ").push(if column.ends_with("_id") { "id" } else { measured });
            sql.push(" AS ").push(column);
        }
    }
    push_events(sql, question.tenant, piece.range, Reads::All, rare);
    sql.push(" AND provider = ").value(selector.provider.clone(), Type::TEXT);
    if let Some(class) = selector.method_class {
        let methods: Vec<String> = class.methods().iter().map(ToString::to_string).collect();
        sql.push(" AND lower(method COLLATE \"C\") = ANY (").value(methods, Type::TEXT_ARRAY).push(")");
    }
    if let Some(action) = &selector.action {
        sql.push(" AND action = ").value(action.clone(), Type::TEXT);
    }
    if let Some(measured) = measured {
        sql.push(" AND ").push(measured).push(" IS NOT NULL");
    }
    sql.matching(&selector.filter);
    sql.matching(question.filter);
}

/// The series of a label set that satisfy the filter. Where the filter names every
/// label, the one series follows from their values; otherwise the dictionary knows. None if
/// there are so many that the events are read as fast.
async fn kept_series(
    store: &Store,
    question: &SeriesQuestion<'_>,
    label_set: &LabelSet,
) -> Result<Option<KeptSeries>, StoreError> {
    let key = question.definition.series_key();
    if let Some(values) = exact_values(question.filter, label_set) {
        let labels = label_set.labels.iter().map(Field::name).zip(values.iter().map(String::as_str));
        let id = SeriesId::new(question.tenant, &key, labels).0;
        return Ok(Some(with_labels(question, label_set, [(id, values)])));
    }
    let names: Vec<String> = label_set.labels.iter().map(|label| label.name().to_owned()).collect();
    let mut sql = Sql::new("-- kept_series\nSELECT series_id, label_values FROM series WHERE tenant_id = ");
    sql.value(question.tenant.0, Type::UUID);
    sql.push(" AND metric = ").value(key.into_owned(), Type::TEXT);
    sql.push(" AND label_names = ").value(names, Type::TEXT_ARRAY);
    sql.matching_labels(question.filter, &label_set.labels)?;
    sql.push(" LIMIT ").value(MAX_SERIES + 1, Type::INT8);
    let rows = sql.query(store).await?;
    if i64::try_from(rows.len()).is_ok_and(|found| found > MAX_SERIES) {
        return Ok(None);
    }
    Ok(Some(with_labels(question, label_set, rows.iter().map(|row| (row.get(0), row.get(1))))))
}

/// The value of every label, where the filter says just these.
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
    question: &SeriesQuestion<'_>,
    label_set: &LabelSet,
    series: impl IntoIterator<Item = (Uuid, Vec<String>)>,
) -> KeptSeries {
    let at = |label| label_set.labels.iter().position(|kept| kept == label);
    let places: Vec<usize> =
        question.group_by.iter().map(|label| at(label).expect("the label set covers the grouping")).collect();
    let mut kept = KeptSeries { ids: Vec::new(), labels: vec![Vec::new(); places.len()] };
    for (id, mut values) in series {
        kept.ids.push(id);
        for (labels, place) in kept.labels.iter_mut().zip(&places) {
            labels.push(std::mem::take(&mut values[*place]));
        }
    }
    kept
}
