//! Merges values of several requests with the same key.

use std::collections::HashMap;

use flowmeter_core::asset::Value;
use flowmeter_core::ids::{AssetId, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use foldhash::fast::RandomState;

use super::AssetValue;

/// Where a value was emitted first. Values of an asset are listed in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FirstEmission {
    /// The oldest request that emitted a value of the asset, name and time.
    pub request: RequestId,
    /// The place of the value among the values of the asset and time in that request.
    pub place: i16,
}

/// A row of `asset_value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AssetValueRow<'a> {
    pub tenant: TenantId,
    pub asset: AssetId,
    /// The URN of the asset.
    pub urn: &'a str,
    pub name: &'a str,
    pub timestamp: Timestamp,
    /// The newest request, which decides the value.
    pub newest: RequestId,
    pub value: Value<'a>,
    /// The oldest request that emitted the value.
    pub first: FirstEmission,
}

impl<'a> AssetValueRow<'a> {
    pub fn key(&self) -> (TenantId, AssetId, &'a str, Timestamp) {
        (self.tenant, self.asset, self.name, self.timestamp)
    }

    /// The oldest request, if it is not the newest one.
    pub fn older(&self) -> Option<RequestId> {
        Some(self.first.request).filter(|first| *first != self.newest)
    }

    /// Merges another row with the same key. The order does not matter.
    fn merge(&mut self, other: &Self) {
        if other.newest > self.newest {
            (self.newest, self.value) = (other.newest, other.value);
        }
        self.first = self.first.min(other.first);
    }
}

/// Merges values into rows, one for each key, in the order of the keys. So two workers with the same keys
/// write them in the same order and cannot deadlock. A request contains each key once.
pub(super) fn merge<'a>(values: impl Iterator<Item = &'a AssetValue<'a>>) -> Vec<AssetValueRow<'a>> {
    let mut ids: HashMap<(TenantId, &str), AssetId, RandomState> = HashMap::default();
    let mut rows: Vec<_> = values
        .map(|value| {
            let AssetValue { tenant, request_id, urn, name, timestamp, place, value } = *value;
            let asset = *ids.entry((tenant, urn)).or_insert_with(|| AssetId::named(tenant, urn));
            let first = FirstEmission { request: request_id, place };
            AssetValueRow { tenant, asset, urn, name, timestamp, newest: request_id, value, first }
        })
        .collect();
    rows.sort_unstable_by_key(AssetValueRow::key);
    rows.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            kept.merge(later);
        }
        same
    });
    rows
}
