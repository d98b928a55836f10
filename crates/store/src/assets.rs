//! Assets, their metrics, and the values of the metrics.
//!
//! There is one row for each asset, name and time. The newest request, by its id, decides the value,
//! regardless of the order in which requests arrive. The row also stores the oldest request, because metrics
//! are listed in the order in which they were first emitted.

mod known;
mod latest;
mod list;
mod merge;
mod names;
mod readable;
mod series;
mod stored;
mod upsert;
mod urns;

pub(crate) use known::{AddedAssets, KnownAssets};
pub use latest::{LatestMetric, LatestMetricsQuery, latest_asset_metrics};
pub use list::{Arrival, AssetMetricsQuery, FoundMetric, FoundMetrics, list_asset_metrics};
pub use readable::{ReadableMetric, count_readable, get_readable, list_readable};
pub use series::{AssetSeriesQuery, read_asset_series};
pub use stored::StoredValue;
pub use urns::{AssetsQuery, StoredAsset, asset_exists, list_assets};

use deadpool_postgres::Transaction;
use flowmeter_core::asset::Value;
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;

use crate::StoreError;

/// A value of an asset in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssetValue<'a> {
    /// The tenant that owns the asset.
    pub tenant: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// The URN of the asset.
    pub urn: &'a str,
    /// The name of the metric.
    pub name: &'a str,
    /// The time.
    pub timestamp: Timestamp,
    /// The place of the value among the values of this asset and time in the request.
    pub place: i16,
    /// The value.
    pub value: Value<'a>,
}

/// Stores values, and returns those of their assets and metrics that were not `known` to exist. The result
/// depends neither on the order in which values arrive, nor on how they are divided into batches.
///
/// Unless `cautious`, fails with [`StoreError::Duplicate`] if there is already a value with the same asset,
/// name and time.
pub(crate) async fn insert_asset_values<'a>(
    transaction: &Transaction<'_>,
    values: impl Iterator<Item = &'a AssetValue<'a>> + Clone,
    known: &KnownAssets,
    cautious: bool,
) -> Result<AddedAssets<'a>, StoreError> {
    let rows = merge::merge(values.clone());
    if cautious {
        upsert::upsert_rows(transaction, &rows).await?;
    } else {
        upsert::copy_rows(transaction, &rows).await?;
    }
    known::insert_assets(transaction, &rows, values, known).await
}

#[cfg(test)]
mod tests;
