//! The points of time series, whatever they are read from: values by bucket and labels.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::StoreError;
use crate::sql::Sql;

/// One time series of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledPoints {
    /// The values of the labels, in the order of the query's grouping.
    pub labels: Vec<String>,
    /// The points in ascending order of time, without empty buckets.
    pub points: Vec<Point>,
}

/// The value of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The bucket, by the index of its start in the query.
    pub bucket: usize,
    /// The value as a decimal without trailing zeros.
    pub value: String,
    /// The number of aggregated values.
    pub count: i64,
}

/// Why time series could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer has too many points.
    #[error("the answer has {asked} points")]
    TooManyPoints {
        /// The number of points of the answer.
        asked: i64,
    },
}

/// Selects the points from the rows of `part`, which have the columns `label0`, `label1` and so on, and
/// `bucket`, numbered from 1. `value` and `count` are the expressions that aggregate the rows of a point.
pub(crate) fn select_points(
    sql: &mut Sql,
    labels: usize,
    value: &'static str,
    count: &'static str,
    max_points: u64,
) {
    sql.push("SELECT ");
    push_labels(sql, labels);
    sql.push("bucket, (").push(value).push(")::text, ").push(count);
    sql.push(", count(*) OVER ()\nFROM part GROUP BY ");
    push_labels(sql, labels);
    sql.push("bucket ORDER BY ");
    push_labels(sql, labels);
    sql.push("bucket LIMIT ");
    // One more than allowed, to detect that there are too many.
    let limit = i64::try_from(max_points).unwrap_or(i64::MAX).saturating_add(1);
    sql.value(limit, Type::INT8);
}

/// `label0, label1, …`, each followed by a comma.
fn push_labels(sql: &mut Sql, count: usize) {
    for index in 0..count {
        sql.push("label").index(index).push(", ");
    }
}

/// Converts the rows of [`select_points`] into time series, in the order of their labels.
pub(crate) fn labelled_points(
    rows: &[Row],
    labels: usize,
    max_points: u64,
) -> Result<Vec<LabelledPoints>, ReadError> {
    let mut answer: Vec<LabelledPoints> = Vec::new();
    for row in rows {
        let total: i64 = row.get(labels + 3);
        if total.unsigned_abs() > max_points {
            return Err(ReadError::TooManyPoints { asked: total });
        }
        let is_same = |series: &LabelledPoints| {
            series.labels.iter().enumerate().all(|(index, label)| label == row.get::<_, &str>(index))
        };
        if !answer.last().is_some_and(is_same) {
            let labels = (0..labels).map(|index| row.get(index)).collect();
            answer.push(LabelledPoints { labels, points: Vec::new() });
        }
        let series = answer.last_mut().expect("one was just pushed");
        series.points.push(Point {
            bucket: usize::try_from(row.get::<_, i32>(labels) - 1)
                .expect("no row is before the first bucket"),
            value: row.get(labels + 1),
            count: row.get(labels + 2),
        });
    }
    Ok(answer)
}
