//! Reads time series of values of assets in one statement. There are no roll-ups, because a newer request can
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

/// A query for time series of one asset metric.
#[derive(Debug)]
pub struct AssetSeriesQuery<'a> {
    /// The tenant that owns the assets.
    pub tenant: TenantId,
    /// The name of the metric.
    pub name: &'a str,
    /// Which values count, and how the values of a bucket are aggregated.
    pub reading: Reading,
    /// Which assets count. The filter may only refer to the URN.
    pub filter: &'a Filter,
    /// Whether each asset has its own series, labelled with its URN.
    pub by_asset: bool,
    /// The time range of the values.
    pub range: TimeRange,
    /// The starts of the calendar's buckets, ascending.
    pub bucket_starts: &'a [Timestamp],
    /// The maximum number of points.
    pub max_points: u64,
}

impl AssetSeriesQuery<'_> {
    /// The number of labels of a series.
    fn labels(&self) -> usize {
        usize::from(self.by_asset)
    }
}

/// Reads the series, in the order of their URNs. Without grouping there is one series, or none if there are
/// no points.
pub async fn read_asset_series(
    store: &Store,
    query: &AssetSeriesQuery<'_>,
) -> Result<Vec<LabelledPoints>, ReadError> {
    let rows = statement(query)?.query(store).await?;
    labelled_points(&rows, query.labels(), query.max_points)
}

/// The statement. It reads asset by asset through the index, whatever number of values the planner expects.
fn statement(query: &AssetSeriesQuery<'_>) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("-- read_asset_series\nWITH part AS (SELECT ");
    if query.by_asset {
        sql.push("urn AS label0, ");
    }
    let starts: Vec<_> = query.bucket_starts.iter().map(|start| SystemTime::from(*start)).collect();
    sql.push("width_bucket(\"timestamp\", ").value(starts, Type::TIMESTAMPTZ_ARRAY).push(") AS bucket, ");
    sql.push("urn, \"timestamp\", value\nFROM (SELECT urn, asset_id FROM asset WHERE tenant_id = ");
    sql.value(query.tenant.0, Type::UUID);
    sql.matching_assets(query.filter)?;
    let column = match query.reading {
        Reading::Numbers(_) => "\"number\"",
        Reading::Booleans(_) => "\"boolean\"",
    };
    sql.push(") AS chosen, LATERAL (SELECT \"timestamp\", ").push(column).push(" AS value\n");
    sql.push("FROM asset_value WHERE tenant_id = ").value(query.tenant.0, Type::UUID);
    sql.push(" AND asset_id = chosen.asset_id AND name = ").value(query.name.to_owned(), Type::TEXT);
    let (start, end) = (query.range.start, query.range.end);
    sql.push(" AND \"timestamp\" >= ").value(SystemTime::from(start), Type::TIMESTAMPTZ);
    sql.push(" AND \"timestamp\" < ").value(SystemTime::from(end), Type::TIMESTAMPTZ);
    sql.push(" AND ").push(column).push(" IS NOT NULL OFFSET 0) AS found)\n");
    let value = value(query.reading);
    select_points(&mut sql, query.labels(), value, "count(*)", query.max_points);
    Ok(sql)
}

/// The aggregation of the values of a bucket.
///
/// An average has 9 decimals more than the most precise of its values. A quotient has as many decimals as its
/// dividend: 20 more than the result, so that rounding twice gives the same result as rounding once, whatever
/// the count.
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
