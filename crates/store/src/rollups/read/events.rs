//! Aggregates events that no roll-up has.

use std::collections::HashMap;
use std::sync::Arc;

use flowmeter_core::aggregate::Aggregate;
use flowmeter_core::ids::EventId;
use flowmeter_core::metric::{Measure, MethodClass, Observed, Selector};
use flowmeter_core::plan::Piece;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{Field, TextField};
use flowmeter_segment::{Column, Corrupt, Labels, SegmentReader, matching};
use uuid::Uuid;

use super::groups::Groups;
use super::{SeriesQuery, ZERO};
use crate::events::scan::{Columns, Evaluation, SegmentRow, Wanted, evaluate, ids_within};
use crate::points::ReadError;
use crate::sql::Snapshot;
use crate::{Store, StoreError};

/// Adds the events of a piece.
pub(super) async fn read_events(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    query: &SeriesQuery<'_>,
    piece: &Piece,
    groups: &mut Groups,
) -> Result<(), ReadError> {
    let selector = &query.definition.selector;
    let ids = ids_within(piece.range);
    let filter = selector.filter.clone().and(query.filter.clone());
    let events = Events {
        wanted: Wanted { ids: ids.clone(), filter, words: Vec::new() },
        selector: selector.clone(),
        measure: query.definition.measure,
        group_by: query.group_by.to_vec(),
        starts: query.bucket_starts.to_vec(),
        order_matters: matches!(query.observed, Observed::Beginning | Observed::End),
        max_points: query.max_points,
    };
    let mut found = Found(None);
    evaluate(store, snapshot, (query.tenant, &ids), &Arc::new(events), &mut found).await.map_err(
        |error| {
            // The count of points at which it ended.
            match &found.0 {
                Some(groups) if groups.check().is_err() => groups.check().err().unwrap_or(error.into()),
                _ => error.into(),
            }
        },
    )?;
    if let Some(found) = found.0 {
        groups.merge(found);
    }
    groups.check()
}

/// The events of a piece of a query.
struct Events {
    wanted: Wanted,
    selector: Selector,
    measure: Measure,
    group_by: Vec<Field>,
    /// The starts of the buckets, ascending.
    starts: Vec<Timestamp>,
    /// Whether the answer has the first or the last values, which needs ids: times can be equal.
    order_matters: bool,
    max_points: u64,
}

/// The id of events whose order does not matter.
const NO_ID: EventId = EventId(Uuid::nil());

#[derive(Default)]
struct Found(Option<Groups>);

impl Events {
    fn measured(&self) -> Option<Field> {
        match self.measure {
            Measure::Count => None,
            Measure::Duration => Some(Field::Duration),
            Measure::ResponseSize => Some(Field::ResponseSize),
            Measure::Value => Some(Field::Value),
        }
    }
}

impl Evaluation for Events {
    type Found = Found;

    fn columns(&self) -> Columns {
        let mut columns = self.wanted.columns().and(Column::Text(TextField::Provider));
        if self.selector.method_class.is_some() {
            columns = columns.and(Column::Text(TextField::Method));
        }
        if self.selector.action.is_some() {
            columns = columns.and(Column::Text(TextField::Action));
        }
        if self.order_matters {
            columns = columns.and(Column::Ids);
        }
        columns.and_fields(&self.measured()).and_fields(&self.group_by)
    }

    fn add(&self, found: &mut Found, segment: &SegmentRow) -> Result<(), Corrupt> {
        let Selector { provider, method_class, action, .. } = &self.selector;
        let reader = segment.reader()?;
        let mut selected = matching(TextField::Provider, &reader, |text| text == provider)?;
        if selected.is_empty() {
            return Ok(());
        }
        selected.intersect(&self.wanted.select(segment, &reader)?);
        if let Some(class) = method_class {
            selected.intersect(&matching(TextField::Method, &reader, |text| {
                MethodClass::of(text) == Some(*class)
            })?);
        }
        if let Some(action) = action {
            selected.intersect(&matching(TextField::Action, &reader, |text| text == action)?);
        }
        let measured = self.measured().map(|field| reader.measured(&field)).transpose()?;
        if let Some(measured) = &measured {
            selected.intersect(measured.present());
        }
        if selected.is_empty() {
            return Ok(());
        }
        let times = reader.times()?;
        let ids = if self.order_matters { Some(reader.ids()?) } else { None };
        let series = LocalSeries::of(&self.group_by, &reader)?;
        let groups = found.0.get_or_insert_with(|| Groups::new(self.max_points));
        let mut run =
            Run { series: &series, bucket: 0, cells: vec![None; series.len()], touched: Vec::new() };
        let mut end = self.starts.first().copied();
        for event in selected.iter() {
            let time = times[event];
            if end.is_some_and(|end| end <= time) {
                run.flush(groups);
                run.bucket = self.starts.partition_point(|start| *start <= time) - 1;
                end = self.starts.get(run.bucket + 1).copied();
            }
            let value = measured.as_ref().and_then(|measured| measured.get(event)).unwrap_or(ZERO);
            let id = ids.and_then(|ids| ids.get(event)).unwrap_or(NO_ID);
            run.add(series.of_event(event), &Aggregate::of(id, value));
        }
        run.flush(groups);
        Ok(())
    }

    fn merge(&self, found: &mut Found, other: Found) -> Result<(), StoreError> {
        let Some(other) = other.0 else { return Ok(()) };
        match &mut found.0 {
            Some(groups) => groups.merge(other),
            slot => *slot = Some(other),
        }
        let too_many = found.0.as_ref().is_some_and(|groups| groups.check().is_err());
        if too_many { Err(StoreError::Refused("the answer has too many points".to_owned())) } else { Ok(()) }
    }
}

/// The events of a segment in one bucket.
struct Run<'a> {
    series: &'a LocalSeries,
    bucket: usize,
    /// By the numbers of series.
    cells: Vec<Option<Aggregate>>,
    touched: Vec<usize>,
}

impl Run<'_> {
    fn add(&mut self, series: usize, one: &Aggregate) {
        let cell = &mut self.cells[series];
        if cell.is_none() {
            self.touched.push(series);
        }
        Aggregate::merge_into(cell, one);
    }

    fn flush(&mut self, groups: &mut Groups) {
        for series in self.touched.drain(..) {
            if let Some(aggregate) = self.cells[series].take() {
                let group = groups.group(self.series.labels(series));
                groups.add(group, self.bucket, &aggregate);
            }
        }
    }
}

/// The combinations of labels in a segment, numbered.
struct LocalSeries {
    labels: Vec<Labels>,
    /// For each event its number, if there is more than one label.
    numbers: Vec<u32>,
    /// For each number an event that has it, if there is more than one label.
    examples: Vec<usize>,
}

impl LocalSeries {
    fn of(group_by: &[Field], reader: &SegmentReader<'_>) -> Result<Self, Corrupt> {
        let labels = group_by.iter().map(|field| Labels::of(field, reader));
        let labels = labels.collect::<Result<Vec<_>, _>>()?;
        let (mut numbers, mut examples) = (Vec::new(), Vec::new());
        if labels.len() > 1 {
            let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
            let mut codes = Vec::new();
            for event in 0..reader.events() {
                codes.clear();
                codes.extend(labels.iter().map(|labels| labels.code(event)));
                let number = known.get(&codes).copied().unwrap_or_else(|| {
                    let next = u32::try_from(examples.len()).expect("a segment has fewer events");
                    examples.push(event);
                    known.insert(codes.clone(), next);
                    next
                });
                numbers.push(number);
            }
        }
        Ok(Self { labels, numbers, examples })
    }

    fn len(&self) -> usize {
        match &self.labels[..] {
            [] => 1,
            [only] => only.values().len(),
            _ => self.examples.len(),
        }
    }

    fn of_event(&self, event: usize) -> usize {
        match &self.labels[..] {
            [] => 0,
            [only] => only.code(event) as usize,
            _ => self.numbers[event] as usize,
        }
    }

    fn labels(&self, number: usize) -> impl Iterator<Item = &str> {
        let is_single = self.labels.len() == 1;
        self.labels.iter().map(move |labels| {
            if is_single { labels.values()[number].as_str() } else { labels.of_event(self.examples[number]) }
        })
    }
}
