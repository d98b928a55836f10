//! The dictionaries of assets and of the names of their metrics. Nearly every value belongs to an asset and a
//! metric that exist already, so a writer caches them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use flowmeter_core::asset::ValueType;
use flowmeter_core::ids::{AssetId, TenantId};
use foldhash::fast::RandomState;
use uuid::Uuid;

use super::AssetValue;
use super::merge::AssetValueRow;
use crate::StoreError;

/// The maximum number of cached assets, of 35 bytes each. When the cache is full it is cleared, which costs
/// one look-up for each asset.
const KNOWN_ASSETS: usize = 1_000_000;
/// The maximum number of cached metrics. Their names may be long.
const KNOWN_METRICS: usize = 50_000;

/// The assets and metrics that a writer knows to exist.
#[derive(Default)]
pub(crate) struct KnownAssets {
    /// The ids, which are hashes of tenant and URN.
    assets: HashSet<AssetId, RandomState>,
    /// The names, by tenant and type.
    metrics: HashMap<(TenantId, ValueType), HashSet<String, RandomState>, RandomState>,
    /// The number of names.
    metric_count: usize,
}

/// The assets and metrics that a transaction has inserted.
pub(crate) struct AddedAssets<'a> {
    assets: BTreeSet<AssetId>,
    metrics: BTreeSet<(TenantId, &'a str, ValueType)>,
}

impl KnownAssets {
    fn has_metric(&self, tenant: TenantId, name: &str, value_type: ValueType) -> bool {
        self.metrics.get(&(tenant, value_type)).is_some_and(|names| names.contains(name))
    }

    /// Caches what a transaction has inserted. The transaction must be committed.
    pub(crate) fn remember(&mut self, added: AddedAssets<'_>) {
        if self.assets.len() + added.assets.len() > KNOWN_ASSETS {
            self.assets.clear();
        }
        self.assets.extend(added.assets);
        if self.metric_count + added.metrics.len() > KNOWN_METRICS {
            self.metrics.clear();
            self.metric_count = 0;
        }
        self.metric_count += added.metrics.len();
        for (tenant, name, value_type) in added.metrics {
            self.metrics.entry((tenant, value_type)).or_default().insert(name.to_owned());
        }
    }
}

/// Inserts the assets of `rows` and the metrics of `values` that are not `known` yet. The rows were merged
/// from the values. A value that another one replaces in the same batch counts as well, because the types
/// that a metric has had must not depend on how values are divided into batches.
pub(super) async fn insert_assets<'a>(
    transaction: &Transaction<'_>,
    rows: &[AssetValueRow<'a>],
    values: impl Iterator<Item = &'a AssetValue<'a>>,
    known: &KnownAssets,
) -> Result<AddedAssets<'a>, StoreError> {
    // Sorted, so that all workers insert in the same order and cannot deadlock.
    let assets: BTreeMap<_, _> = rows
        .iter()
        .filter(|row| !known.assets.contains(&row.asset))
        .map(|row| ((row.tenant, row.urn), row.asset))
        .collect();
    if !assets.is_empty() {
        let tenants: Vec<_> = assets.keys().map(|(tenant, _)| tenant.0).collect();
        let urns: Vec<_> = assets.keys().map(|(_, urn)| *urn).collect();
        let ids: Vec<Uuid> = assets.values().map(|id| id.0).collect();
        let statement = transaction
            .prepare_cached(
                "-- insert_assets
                 INSERT INTO asset (tenant_id, urn, asset_id, created_at)
                 SELECT tenant_id, urn, asset_id, now()
                 FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS new (tenant_id, urn, asset_id)
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        transaction.execute(&statement, &[&tenants, &urns, &ids]).await?;
    }
    let metrics: BTreeSet<_> = values
        .map(|value| (value.tenant, value.name, value.value.value_type()))
        .filter(|(_, _, value_type)| matches!(value_type, ValueType::Number | ValueType::Boolean))
        .filter(|(tenant, name, value_type)| !known.has_metric(*tenant, name, *value_type))
        .collect();
    if !metrics.is_empty() {
        let tenants: Vec<_> = metrics.iter().map(|(tenant, _, _)| tenant.0).collect();
        let names: Vec<_> = metrics.iter().map(|(_, name, _)| *name).collect();
        let types: Vec<_> = metrics.iter().map(|(_, _, value_type)| value_type.name()).collect();
        let statement = transaction
            .prepare_cached(
                "-- insert_assets
                 INSERT INTO asset_metric (tenant_id, name, value_type)
                 SELECT tenant_id, name, value_type
                 FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (tenant_id, name, value_type)
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        transaction.execute(&statement, &[&tenants, &names, &types]).await?;
    }
    Ok(AddedAssets { assets: assets.into_values().collect(), metrics })
}
