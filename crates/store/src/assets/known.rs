//! The assets that there are, and the names of their metrics. Nearly every value is of ones that are
//! there already, so a writer remembers them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use flowmeter_core::asset::ValueType;
use flowmeter_core::ids::{AssetId, TenantId};
use foldhash::fast::RandomState;
use uuid::Uuid;

use super::AssetValue;
use super::merge::Row;
use crate::StoreError;

/// Assets remembered as being there, of 35 bytes each. Beyond that all are forgotten, which costs one look for
/// each.
const KNOWN_ASSETS: usize = 1_000_000;
/// Metrics remembered as being there, likewise. Their names may be long.
const KNOWN_METRICS: usize = 50_000;

/// What a writer knows to be there.
#[derive(Default)]
pub(crate) struct KnownAssets {
    /// An id follows from tenant and URN.
    assets: HashSet<AssetId, RandomState>,
    /// Names, by tenant and type.
    metrics: HashMap<(TenantId, ValueType), HashSet<String, RandomState>, RandomState>,
    /// How many names these are.
    metric_count: usize,
}

/// What a transaction has put there.
pub(crate) struct AddedAssets<'a> {
    assets: BTreeSet<AssetId>,
    metrics: BTreeSet<(TenantId, &'a str, ValueType)>,
}

impl KnownAssets {
    fn has_metric(&self, tenant: TenantId, name: &str, value_type: ValueType) -> bool {
        self.metrics.get(&(tenant, value_type)).is_some_and(|names| names.contains(name))
    }

    /// Remembers what a transaction has put there. It must be committed.
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

/// Puts the assets of rows that are not `known` yet where they belong, and the names of the metrics of `values`, of which
/// the rows were made. A value that another one replaces in the same batch has been, too: what types a metric has had must
/// not depend on batches.
pub(super) async fn insert_assets<'a>(
    transaction: &Transaction<'_>,
    rows: &[Row<'a>],
    values: impl Iterator<Item = &'a AssetValue<'a>>,
    known: &KnownAssets,
) -> Result<AddedAssets<'a>, StoreError> {
    // Sorted: in the same order everywhere, so that two workers cannot deadlock.
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
