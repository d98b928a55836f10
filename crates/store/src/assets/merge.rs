//! What several requests say about the same values.

use std::collections::HashMap;

use flowmeter_core::asset::Value;
use flowmeter_core::ids::{AssetId, RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use foldhash::fast::RandomState;

use super::AssetValue;

/// A row of `asset_value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub tenant: TenantId,
    pub asset: AssetId,
    /// The URN of the asset.
    pub urn: &'a str,
    pub name: &'a str,
    pub timestamp: Timestamp,
    /// The newest request, whose value this is.
    pub newest: RequestId,
    pub value: Value<'a>,
    /// The oldest request, and the place that it gives the value.
    pub first: (RequestId, i16),
}

impl<'a> Row<'a> {
    pub fn key(&self) -> (TenantId, AssetId, &'a str, Timestamp) {
        (self.tenant, self.asset, self.name, self.timestamp)
    }

    /// The oldest request, where it is not the newest.
    pub fn older(&self) -> Option<RequestId> {
        Some(self.first.0).filter(|first| *first != self.newest)
    }

    /// Adds what another row of the same key says. The order does not matter.
    fn merge(&mut self, other: &Self) {
        if other.newest > self.newest {
            (self.newest, self.value) = (other.newest, other.value);
        }
        self.first = self.first.min(other.first);
    }
}

/// The rows that values come to, one for each key and in order of keys: two workers with the same ones
/// meet them in the same order and cannot deadlock. A request gives each value once.
pub(super) fn merge<'a>(values: impl Iterator<Item = &'a AssetValue<'a>>) -> Vec<Row<'a>> {
    let mut ids: HashMap<(TenantId, &str), AssetId, RandomState> = HashMap::default();
    let mut rows: Vec<_> = values
        .map(|value| {
            let AssetValue { tenant, request_id, urn, name, timestamp, place, value } = *value;
            let asset = *ids.entry((tenant, urn)).or_insert_with(|| AssetId::named(tenant, urn));
            let first = (request_id, place);
            Row { tenant, asset, urn, name, timestamp, newest: request_id, value, first }
        })
        .collect();
    rows.sort_unstable_by_key(Row::key);
    rows.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            kept.merge(later);
        }
        same
    });
    rows
}
