//! Assets, their metrics and the values of these.
//!
//! Values come in any order and are kept in the same one: that of the ids of their requests. Of one asset,
//! name and time there is one row, which the newest request writes, and which remembers the oldest one,
//! because names are listed by when they first came.

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
pub use latest::{Latest, LatestMetric, latest_asset_metrics};
pub use list::{Arrival, FoundMetric, FoundMetrics, Metrics, list_asset_metrics};
pub use readable::{ReadableMetric, count_readable, get_readable, list_readable};
pub use series::{AssetSeriesQuestion, read_asset_series};
pub use stored::StoredValue;
pub use urns::{StoredAsset, Urns, asset_exists, list_assets};

use deadpool_postgres::Transaction;
use flowmeter_core::asset::Value;
use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;

use crate::StoreError;

/// A value of an asset, as a request gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssetValue<'a> {
    /// Whose asset.
    pub tenant: TenantId,
    /// The request that gives it.
    pub request_id: RequestId,
    /// The asset.
    pub urn: &'a str,
    /// The name of the metric.
    pub name: &'a str,
    /// The time.
    pub timestamp: Timestamp,
    /// The place among the values that the request gives of this asset and time.
    pub place: i16,
    /// The value.
    pub value: Value<'a>,
}

/// Stores values, and returns what of their assets and metrics was not `known` to be there. What comes of
/// values does not depend on the order in which they come, nor on the batches that they come in.
///
/// Unless it is `cautious`, [`StoreError::Duplicate`] says that a value of one of their assets, names and times is
/// there already.
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
