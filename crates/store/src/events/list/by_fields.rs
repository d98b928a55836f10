//! Pages in the order of fields. All events of the list are looked at, and the first ones after the position of the
//! previous page are kept.

use std::cmp::Ordering;
use std::sync::Arc;

use flowmeter_core::ids::TenantId;
use flowmeter_core::usage::Field;
use flowmeter_segment::{Column, Corrupt, Labels, Measured, SegmentReader};

use super::{Candidate, EventPage, EventPosition, SortKey};
use crate::events::scan::{Columns, Evaluation, SegmentRow, Wanted, evaluate};
use crate::sql::Snapshot;
use crate::{Store, StoreError};

/// The events of a page.
pub(super) async fn candidates(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    page: &EventPage,
) -> Result<Vec<Candidate>, StoreError> {
    let wanted = page.list.wanted();
    let ids = wanted.ids.clone();
    let best = Arc::new(Best {
        wanted,
        fields: page.fields(),
        ids_descend: page.ids_descend(),
        after: page.after.clone(),
        limit: page.limit,
    });
    let mut found = Vec::new();
    evaluate(store, snapshot, (tenant, &ids), &best, &mut found).await?;
    best.cut(&mut found);
    Ok(found)
}

/// Finds the events that come first.
struct Best {
    wanted: Wanted,
    fields: Vec<(Field, bool)>,
    ids_descend: bool,
    after: Option<EventPosition>,
    limit: usize,
}

/// Beyond those that are kept, how many events may be found before they are sorted. So an event costs little.
const UNSORTED: usize = 4_096;

impl Best {
    fn compare(&self, a: &EventPosition, b: &EventPosition) -> Ordering {
        let directed = |order: Ordering, descending| if descending { order.reverse() } else { order };
        let keys = self.fields.iter().zip(a.keys.iter().zip(&b.keys));
        let by_keys = keys.map(|((_, descending), (a, b))| directed(a.cmp(b), *descending));
        by_keys
            .reduce(Ordering::then)
            .unwrap_or(Ordering::Equal)
            .then_with(|| directed(a.id.cmp(&b.id), self.ids_descend))
    }

    fn cut(&self, found: &mut Vec<Candidate>) {
        found.sort_unstable_by(|a, b| self.compare(&a.position, &b.position));
        found.truncate(self.limit);
    }
}

/// The values of a field by which events are ordered.
enum Keys {
    Texts(Labels),
    Numbers(Measured),
}

impl Keys {
    fn of(field: &Field, reader: &SegmentReader<'_>) -> Result<Self, Corrupt> {
        match field {
            Field::Text(_) | Field::Attribute(_) => Labels::of(field, reader).map(Self::Texts),
            Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
                reader.measured(field).map(Self::Numbers)
            }
        }
    }

    fn get(&self, index: usize) -> SortKey {
        match self {
            Self::Texts(labels) => SortKey::Text(labels.of_event(index).to_owned()),
            Self::Numbers(numbers) => numbers.get(index).map_or(SortKey::Absent, SortKey::Number),
        }
    }
}

impl Evaluation for Best {
    type Found = Vec<Candidate>;

    fn columns(&self) -> Columns {
        self.wanted
            .columns()
            .and(Column::Times)
            .and(Column::Ids)
            .and_fields(self.fields.iter().map(|(field, _)| field))
    }

    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let reader = segment.reader()?;
        let selected = self.wanted.select(segment, &reader)?;
        if selected.is_empty() {
            return Ok(());
        }
        let ids = reader.ids()?;
        let keys = self.fields.iter().map(|(field, _)| Keys::of(field, &reader));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let key = segment.key();
        for index in selected.iter() {
            let Some(id) = ids.get(index) else { continue };
            let position = EventPosition { keys: keys.iter().map(|keys| keys.get(index)).collect(), id };
            if self.after.as_ref().is_some_and(|after| self.compare(&position, after).is_le()) {
                continue;
            }
            found.push(Candidate { position, segment: key, index });
            if found.len() >= self.limit + UNSORTED {
                self.cut(found);
            }
        }
        Ok(())
    }

    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError> {
        found.extend(other);
        self.cut(found);
        Ok(())
    }
}
