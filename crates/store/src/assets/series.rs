//! Reads series of values of assets, in one statement. They have no roll-ups, because a newer request can
//! replace a value.

use std::time::SystemTime;

use flowmeter_core::asset::{Reading, Truth};
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::TenantId;
use flowmeter_core::metric::Observed;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::points::{LabelledPoints, ReadError, labelled_points, select_points};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// A question about one metric of assets.
#[derive(Debug)]
pub struct AssetSeriesQuestion<'a> {
    /// Whose assets.
    pub tenant: TenantId,
    /// The name of the metric.
    pub name: &'a str,
    /// Which values count, and how those of a bucket become one.
    pub reading: Reading,
    /// Which assets count: a filter that looks at their URN alone.
    pub filter: &'a Filter,
    /// Whether each asset makes a series of its own, labelled with its URN.
    pub by_asset: bool,
    /// The time of the values.
    pub range: TimeRange,
    /// The starts of the calendar's buckets, ascending.
    pub bucket_starts: &'a [Timestamp],
    /// Points of an answer at most.
    pub max_points: u64,
}

impl AssetSeriesQuestion<'_> {
    /// How many labels its series have.
    fn labels(&self) -> usize {
        usize::from(self.by_asset)
    }
}

/// Answers a question, with the series in the order of their URNs. Without grouping there is one
/// series, unless there is no point.
pub async fn read_asset_series(
    store: &Store,
    question: &AssetSeriesQuestion<'_>,
) -> Result<Vec<LabelledPoints>, ReadError> {
    let rows = statement(question)?.query(store).await?;
    labelled_points(&rows, question.labels(), question.max_points)
}

/// The one statement that answers. It goes asset by asset through the index, whatever the planner thinks of
/// the number of values.
fn statement(question: &AssetSeriesQuestion<'_>) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("-- read_asset_series\nWITH part AS (SELECT ");
    if question.by_asset {
        sql.push("urn AS label0, ");
    }
    let starts: Vec<_> = question.bucket_starts.iter().map(|start| SystemTime::from(*start)).collect();
    sql.push("width_bucket(\"timestamp\", ").value(starts, Type::TIMESTAMPTZ_ARRAY).push(") AS bucket, ");
    sql.push("urn, \"timestamp\", value\nFROM (SELECT urn, asset_id FROM asset WHERE tenant_id = ");
    sql.value(question.tenant.0, Type::UUID);
    sql.matching_assets(question.filter)?;
    let column = match question.reading {
        Reading::Numbers(_) => "\"number\"",
        Reading::Booleans(_) => "\"boolean\"",
    };
    sql.push(") AS chosen, LATERAL (SELECT \"timestamp\", ").push(column).push(" AS value\n");
    sql.push("FROM asset_value WHERE tenant_id = ").value(question.tenant.0, Type::UUID);
    sql.push(" AND asset_id = chosen.asset_id AND name = ").value(question.name.to_owned(), Type::TEXT);
    let (start, end) = (question.range.start, question.range.end);
    sql.push(" AND \"timestamp\" >= ").value(SystemTime::from(start), Type::TIMESTAMPTZ);
    sql.push(" AND \"timestamp\" < ").value(SystemTime::from(end), Type::TIMESTAMPTZ);
    sql.push(" AND ").push(column).push(" IS NOT NULL OFFSET 0) AS found)\n");
    let value = value(question.reading);
    select_points(&mut sql, question.labels(), value, "count(*)", question.max_points);
    Ok(sql)
}

/// How the values of a bucket become one.
///
/// An average has 9 decimals more than the finest of its values. A quotient has as many decimals as its
/// dividend: 20 more than are kept of it, so that no count can make their rounding depend on an earlier one.
fn value(reading: Reading) -> &'static str {
    match reading {
        Reading::Numbers(Observed::Summed) => "trim_scale(sum(value))",
        Reading::Numbers(Observed::Averaged) => {
            "trim_scale(round(round(sum(value), max(min_scale(value)) + 29) / count(*), max(min_scale(value)) + 9))"
        }
        Reading::Numbers(Observed::High) => "trim_scale(max(value))",
        Reading::Numbers(Observed::Low) => "trim_scale(min(value))",
        Reading::Numbers(Observed::Beginning) => {
            "trim_scale((array_agg(value ORDER BY \"timestamp\", urn))[1])"
        }
        Reading::Numbers(Observed::End) => {
            "trim_scale((array_agg(value ORDER BY \"timestamp\" DESC, urn DESC))[1])"
        }
        Reading::Booleans(Truth::CountTrue) => "count(*) FILTER (WHERE value)",
        Reading::Booleans(Truth::CountFalse) => "count(*) FILTER (WHERE NOT value)",
        Reading::Booleans(Truth::FractionTrue) => {
            "trim_scale(round((count(*) FILTER (WHERE value) + 0.000000000000000000000000000000) / count(*), 9))"
        }
    }
}
