//! The distinct values of a field.

use std::collections::BTreeMap;
use std::sync::Arc;

use flowmeter_core::ids::TenantId;
use flowmeter_core::usage::Field;
use flowmeter_segment::{Corrupt, Labels};

use super::list::{EventSelection, SortKey};
use super::scan::{Columns, Evaluation, SegmentRow, Wanted, evaluate};
use crate::sql::Snapshot;
use crate::{Store, StoreError};

/// A query for the distinct values of a field.
#[derive(Debug, Clone)]
pub struct FieldValuesQuery {
    /// The field.
    pub field: Field,
    /// The events whose values are listed.
    pub list: EventSelection,
    /// The prefix of the values.
    pub prefix: String,
    /// The last value of the previous page.
    pub after: Option<SortKey>,
    /// The maximum number of values.
    pub limit: usize,
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The value; a number as a decimal without trailing zeros.
    pub value: String,
    /// The number of events with this value.
    pub count: i64,
}

/// Lists the distinct values of a field: text in byte order, numbers by size. Absent values are not listed.
pub async fn list_field_values(
    store: &Store,
    tenant: TenantId,
    query: &FieldValuesQuery,
) -> Result<Vec<FieldValue>, StoreError> {
    let mut snapshot = Snapshot::new(store);
    let wanted = query.list.wanted();
    let ids = wanted.ids.clone();
    let values = Values { wanted, query: query.clone() };
    let mut found = BTreeMap::new();
    evaluate(store, &mut snapshot, (tenant, &ids), &Arc::new(values), &mut found).await?;
    snapshot.end().await?;
    let value = |(key, count): (SortKey, i64)| FieldValue { value: key.to_text(), count };
    Ok(found.into_iter().map(value).collect())
}

/// Counts the events of each value.
struct Values {
    wanted: Wanted,
    query: FieldValuesQuery,
}

impl Values {
    /// Adds the events of a value, and drops the last value if there are more than the page has. A value that was
    /// dropped has the page full of lesser ones before it, so it cannot come back.
    fn count(&self, found: &mut BTreeMap<SortKey, i64>, key: SortKey, count: i64) {
        if let Some(known) = found.get_mut(&key) {
            *known += count;
            return;
        }
        if found.len() >= self.query.limit && found.last_key_value().is_none_or(|(last, _)| key > *last) {
            return;
        }
        found.insert(key, count);
        if found.len() > self.query.limit {
            found.pop_last();
        }
    }
}

impl Evaluation for Values {
    type Found = BTreeMap<SortKey, i64>;

    fn columns(&self) -> Columns {
        self.wanted.columns().and_fields([&self.query.field])
    }

    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let reader = segment.reader()?;
        let selected = self.wanted.select(segment, &reader)?;
        if selected.is_empty() {
            return Ok(());
        }
        let FieldValuesQuery { field, prefix, after, .. } = &self.query;
        let labels = Labels::of(field, &reader)?;
        let mut counts = vec![0_i64; labels.values().len()];
        selected.iter().for_each(|event| counts[labels.code(event) as usize] += 1);
        for (value, count) in labels.values().iter().zip(counts) {
            if count == 0 || value.is_empty() || !value.starts_with(prefix.as_str()) {
                continue;
            }
            let key = SortKey::parse(field, value.clone()).ok_or(Corrupt::NUMBER)?;
            if after.as_ref().is_none_or(|after| key > *after) {
                self.count(found, key, count);
            }
        }
        Ok(())
    }

    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError> {
        for (key, count) in other {
            self.count(found, key, count);
        }
        Ok(())
    }
}
