//! Roll-ups: folding what batches have added, and reading series.
//!
//! A batch appends partial rows. Folding takes partial rows away and adds them to the
//! roll-ups of every resolution in one statement, so a reader, whose one statement
//! sees either side of it, counts each event once.

use flowmeter_core::filter::{Equals, Filter, Value};
use flowmeter_core::ids::{EventId, SeriesId, TenantId};
use flowmeter_core::metric::{Definition, LabelSet, Measure, Observed};
use flowmeter_core::plan::{Piece, Source};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::sql::Sql;
use crate::{Store, StoreError};

/// Partial rows that one fold takes: enough to catch up, little enough to be quick.
const FOLD_ROWS: i64 = 50_000;
/// One fold at a time, whichever worker runs it.
const FOLD_LOCK: i64 = 0x666c_6f77_666f_6c64;

/// What a fold did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOutcome {
    /// It folded that many partial rows.
    Folded(u64),
    /// Another worker is folding.
    Busy,
}

/// Folds some partial rows. Ask again while it takes as many as it can.
pub async fn fold_partials(store: &Store) -> Result<FoldOutcome, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let lock = transaction
        .query_one("-- fold_partials\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK])
        .await?;
    if !lock.get::<_, bool>(0) {
        return Ok(FoldOutcome::Busy);
    }
    let statement = transaction
        .prepare_cached(
            "-- fold_partials
             WITH taken AS (
                 DELETE FROM rollup_partial
                 WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollup_partial LIMIT $1))
                 RETURNING *
             ), merged AS (
                 SELECT tenant_id, series_id, kept.resolution,
                        date_bin(kept.width, bucket, 'epoch') AS bucket,
                        sum(count) AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max,
                        (array_agg(first_id ORDER BY first_id) FILTER (WHERE sum IS NOT NULL))[1] AS first_id,
                        (array_agg(first_value ORDER BY first_id) FILTER (WHERE sum IS NOT NULL))[1] AS first_value,
                        (array_agg(last_id ORDER BY last_id DESC) FILTER (WHERE sum IS NOT NULL))[1] AS last_id,
                        (array_agg(last_value ORDER BY last_id DESC) FILTER (WHERE sum IS NOT NULL))[1] AS last_value
                 FROM taken JOIN (VALUES (1::smallint, interval '1 minute'),
                                         (15::smallint, interval '15 minutes'),
                                         (1440::smallint, interval '1 day')) AS kept (resolution, width)
                      ON kept.resolution >= taken.resolution
                 GROUP BY 1, 2, 3, 4
             ), written AS (
                 INSERT INTO rollup SELECT * FROM merged
                 ON CONFLICT (tenant_id, series_id, resolution, bucket) DO UPDATE SET
                     count = rollup.count + excluded.count,
                     sum = rollup.sum + excluded.sum,
                     min = least(rollup.min, excluded.min),
                     max = greatest(rollup.max, excluded.max),
                     first_id = least(rollup.first_id, excluded.first_id),
                     first_value = CASE WHEN excluded.first_id < rollup.first_id
                                        THEN excluded.first_value ELSE rollup.first_value END,
                     last_id = greatest(rollup.last_id, excluded.last_id),
                     last_value = CASE WHEN excluded.last_id > rollup.last_id
                                       THEN excluded.last_value ELSE rollup.last_value END
             )
             SELECT count(*) FROM taken",
        )
        .await?;
    let taken: i64 = transaction.query_one(&statement, &[&FOLD_ROWS]).await?.get(0);
    transaction.commit().await?;
    Ok(FoldOutcome::Folded(taken.unsigned_abs()))
}

/// Whether a fold that took so many rows left some for another.
#[must_use]
pub fn fold_again(outcome: FoldOutcome) -> bool {
    outcome == FoldOutcome::Folded(FOLD_ROWS.unsigned_abs())
}

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
    /// The label set that answers what is not read from the events. None if there is no
    /// kept one that covers the filter.
    pub label_set: Option<&'a LabelSet>,
    /// Where each piece of the range is read.
    pub pieces: &'a [Piece],
    /// The starts of the calendar's buckets, ascending.
    pub bucket_starts: &'a [Timestamp],
}

/// The value of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The bucket, by the index in [`SeriesQuestion::bucket_starts`].
    pub bucket: usize,
    /// The value as a decimal without trailing zeros.
    pub value: String,
    /// How many values went into it.
    pub count: i64,
}

/// Answers a question, with the points by ascending time.
pub async fn read_series(store: &Store, question: &SeriesQuestion<'_>) -> Result<Vec<Point>, StoreError> {
    let series = match question.label_set {
        Some(label_set) if question.pieces.iter().any(|piece| piece.source != Source::Events) => {
            series_of(store, question, label_set).await?
        }
        _ => Vec::new(),
    };
    let mut sql = Sql::new("-- read_series\nWITH part AS (");
    let mut between = "";
    for piece in question.pieces {
        let parts: &[Option<Table>] = match piece.source {
            Source::Events => &[None],
            Source::Rollup(_) => &[Some(Table::Rollup), Some(Table::Partial)],
        };
        for table in parts {
            sql.push(between);
            between = "\nUNION ALL ";
            match table {
                None => from_events(&mut sql, question, piece),
                Some(table) => from_rollups(&mut sql, question, piece, &series, *table),
            }
        }
    }
    let value = observed_value(question.definition.measure, question.observed);
    sql.push(&format!(
        ")\nSELECT bucket, ({value})::text, sum(count)::bigint FROM part GROUP BY bucket ORDER BY bucket"
    ));
    let rows = sql.query(store).await?;
    let point = |row: &tokio_postgres::Row| Point {
        // Buckets are numbered from 1.
        bucket: usize::try_from(row.get::<_, i32>(0) - 1).expect("no row lies before the first bucket"),
        value: row.get(1),
        count: row.get(2),
    };
    Ok(rows.iter().map(point).collect())
}

#[derive(Clone, Copy)]
enum Table {
    Rollup,
    Partial,
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
        Observed::Averaged => "trim_scale(round(sum(sum) / sum(count), 9))",
        Observed::High => "trim_scale(max(max))",
        Observed::Low => "trim_scale(min(min))",
        Observed::Beginning => "trim_scale((array_agg(first_value ORDER BY first_id))[1])",
        Observed::End => "trim_scale((array_agg(last_value ORDER BY last_id DESC))[1])",
    }
}

fn from_rollups(
    sql: &mut Sql,
    question: &SeriesQuestion<'_>,
    piece: &Piece,
    series: &[SeriesId],
    table: Table,
) {
    let starts: Vec<_> =
        question.bucket_starts.iter().map(|start| std::time::SystemTime::from(*start)).collect();
    sql.push("SELECT width_bucket(bucket, ")
        .value(starts, Type::TIMESTAMPTZ_ARRAY)
        .push(") AS bucket, count");
    if question.definition.measure != Measure::Count {
        for column in part_columns(question.observed) {
            sql.push(", ").push(column);
        }
    }
    sql.push(match table {
        Table::Rollup => " FROM rollup",
        Table::Partial => " FROM rollup_partial",
    });
    let ids: Vec<_> = series.iter().map(|series| series.0).collect();
    sql.push(" WHERE tenant_id = ").value(question.tenant.0, Type::UUID);
    sql.push(" AND series_id = ANY (").value(ids, Type::UUID_ARRAY).push(")");
    if let (Table::Rollup, Source::Rollup(resolution)) = (table, piece.source) {
        sql.push(" AND resolution = ").value(resolution.minutes(), Type::INT2);
    }
    let (start, end) = (piece.range.start, piece.range.end);
    sql.push(" AND bucket >= ").value(std::time::SystemTime::from(start), Type::TIMESTAMPTZ);
    sql.push(" AND bucket < ").value(std::time::SystemTime::from(end), Type::TIMESTAMPTZ);
}

fn from_events(sql: &mut Sql, question: &SeriesQuestion<'_>, piece: &Piece) {
    let starts: Vec<Uuid> = question.bucket_starts.iter().map(|start| EventId::first_at(*start).0).collect();
    sql.push("SELECT width_bucket(id, ")
        .value(starts, Type::UUID_ARRAY)
        .push(") AS bucket, 1::bigint AS count");
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
    sql.push(" FROM usage_event WHERE tenant_id = ").value(question.tenant.0, Type::UUID);
    sql.ids_within(piece.range);
    sql.push(" AND provider = ").value(selector.provider.clone(), Type::TEXT);
    if let Some(class) = selector.method_class {
        let methods: Vec<String> = class.methods().iter().map(ToString::to_string).collect();
        sql.push(" AND lower(method) = ANY (").value(methods, Type::TEXT_ARRAY).push(")");
    }
    if let Some(action) = &selector.action {
        sql.push(" AND action = ").value(action.clone(), Type::TEXT);
    }
    if let Some(measured) = measured {
        sql.push(" AND ").push(measured).push(" IS NOT NULL");
    }
    sql.matching(question.filter);
}

/// The series of a label set that satisfy the filter. Where the filter names every
/// label, the one series follows from their values; otherwise the dictionary knows.
async fn series_of(
    store: &Store,
    question: &SeriesQuestion<'_>,
    label_set: &LabelSet,
) -> Result<Vec<SeriesId>, StoreError> {
    let metric = &question.definition.full_name;
    let mut values: Vec<Option<String>> = vec![None; label_set.labels.len()];
    for Equals { field, value } in &question.filter.conditions {
        let Some(at) = label_set.labels.iter().position(|label| label == field) else {
            return Err(StoreError::Refused("the label set does not cover the filter".into()));
        };
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
        };
        if values[at].as_ref().is_some_and(|other| *other != text) {
            // The same field cannot have two values.
            return Ok(Vec::new());
        }
        values[at] = Some(text);
    }
    if let Some(values) = values.iter().map(Option::as_deref).collect::<Option<Vec<_>>>() {
        let labels = label_set.labels.iter().map(Field::name).zip(values);
        return Ok(vec![SeriesId::new(question.tenant, metric, labels)]);
    }
    let names: Vec<String> = label_set.labels.iter().map(|label| label.name().to_owned()).collect();
    let mut sql = Sql::new("-- series_of\nSELECT series_id FROM series WHERE tenant_id = ");
    sql.value(question.tenant.0, Type::UUID);
    sql.push(" AND metric = ").value(metric.clone(), Type::TEXT);
    sql.push(" AND label_names = ").value(names, Type::TEXT_ARRAY);
    for (index, value) in values.iter().enumerate() {
        if let Some(value) = value {
            sql.push(&format!(" AND label_values[{}] = ", index + 1)).value(value.clone(), Type::TEXT);
        }
    }
    Ok(sql.query(store).await?.iter().map(|row| SeriesId(row.get(0))).collect())
}
