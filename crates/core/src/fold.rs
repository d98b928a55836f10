//! Folds a batch of events into partial roll-ups: one aggregate for every metric, label set and bucket that the batch
//! touches.
//!
//! Folding has two steps. The first step aggregates events into cells, one for each minute and combination of
//! labels, so an event costs one hash look-up, whatever the number of metrics and label sets. The second step
//! folds the cells, of which there are few, into time series.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::aggregate::Aggregate;
use crate::ids::{EventId, SeriesId, TenantId};
use crate::metric::{Catalog, LabelSet, Measure, MetricDefinition, ProviderMetrics};
use crate::quantity::Quantity;
use crate::resolution::Resolution;
use crate::timestamp::Timestamp;
use crate::usage::{Field, TextField, UsageEvent};

/// A time series that a batch touches.
#[derive(Debug)]
pub struct Series<'a> {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its id.
    pub id: SeriesId,
    /// The metric.
    pub definition: &'a MetricDefinition,
    /// The label set.
    pub label_set: &'a LabelSet,
    /// The values of the labels, in the order of the label set.
    pub values: Vec<&'a str>,
}

/// The contribution of a batch to one bucket of a series, at the finest resolution of the series.
#[derive(Debug)]
pub struct Partial {
    /// The series, by its index in [`Folded::series`].
    pub series: usize,
    /// The start of the bucket.
    pub bucket: Timestamp,
    /// The aggregate that is added.
    pub aggregate: Aggregate,
}

/// A folded batch.
#[derive(Debug, Default)]
pub struct Folded<'a> {
    /// The series that the batch touches, each once.
    pub series: Vec<Series<'a>>,
    /// The contributions to the buckets of these series, one for each bucket.
    pub partials: Vec<Partial>,
}

/// A newly stored event.
#[derive(Debug, Clone, Copy)]
pub struct TenantEvent<'a> {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// The metrics of the tenant.
    pub catalog: &'a Catalog,
    /// Its id.
    pub id: EventId,
    /// Its content.
    pub event: &'a UsageEvent<'a>,
}

/// Folds newly stored events, each by the metrics of its tenant.
pub fn fold<'a>(events: impl Iterator<Item = TenantEvent<'a>>) -> Folded<'a> {
    let mut cells = Cells::default();
    for TenantEvent { tenant, catalog, id, event } in events {
        if let Some(metrics) = catalog.provider(event.text(TextField::Provider)) {
            cells.add(tenant, metrics, id, event);
        }
    }
    let mut series_fold = SeriesFold::default();
    for cell in &cells.all {
        series_fold.add(cell);
    }
    series_fold.finish()
}

/// The value of a label; empty if the event has none.
#[must_use]
pub fn label_value<'a>(event: &UsageEvent<'a>, label: &Field) -> &'a str {
    match label {
        Field::Text(field) => event.text(*field),
        Field::HttpStatus => event.http_status.map_or("", status_text),
        Field::Attribute(name) => event.attribute(name).unwrap_or(""),
        // Measures are never labels: the catalog rejects them.
        Field::Duration | Field::ResponseSize | Field::Value => "",
    }
}

/// A status code in decimal, without formatting it for each event.
fn status_text(status: i32) -> &'static str {
    static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| (0..1_000).map(|n| n.to_string()).collect());
    usize::try_from(status).ok().and_then(|index| TEXTS.get(index)).map_or("", String::as_str)
}

/// The aggregates of the events of one minute with the same labels and metrics.
struct Cell<'a> {
    tenant: TenantId,
    metrics: &'a ProviderMetrics,
    selection: u64,
    minute: Timestamp,
    /// By the index of [`ProviderMetrics::labels`].
    values: Vec<&'a str>,
    count: Aggregate,
    duration: Option<Aggregate>,
    response_size: Option<Aggregate>,
    value: Option<Aggregate>,
}

impl Cell<'_> {
    fn measured(&self, measure: Measure) -> Option<&Aggregate> {
        match measure {
            Measure::Count => Some(&self.count),
            Measure::Duration => self.duration.as_ref(),
            Measure::ResponseSize => self.response_size.as_ref(),
            Measure::Value => self.value.as_ref(),
        }
    }
}

#[derive(Default)]
struct Cells<'a> {
    table: HashTable<(u64, usize)>,
    all: Vec<Cell<'a>>,
    hashing: FixedState,
}

impl<'a> Cells<'a> {
    fn add(&mut self, tenant: TenantId, metrics: &'a ProviderMetrics, id: EventId, event: &UsageEvent<'a>) {
        let selection = metrics.selection(event);
        if selection == 0 {
            return;
        }
        let minute = id.timestamp().floor_to(Resolution::Minute.width());
        let mut hasher = self.hashing.build_hasher();
        (tenant, std::ptr::from_ref(metrics), selection, minute).hash(&mut hasher);
        for label in &metrics.labels {
            label_value(event, label).hash(&mut hasher);
        }
        let hash = hasher.finish();

        let cells = &mut self.all;
        let same = |(_, index): &(u64, usize)| {
            let cell: &Cell<'_> = &cells[*index];
            cell.tenant == tenant
                && cell.selection == selection
                && cell.minute == minute
                && std::ptr::eq(cell.metrics, metrics)
                && metrics
                    .labels
                    .iter()
                    .zip(&cell.values)
                    .all(|(label, value)| label_value(event, label) == *value)
        };
        let one = Aggregate::of(id, Quantity::from(1));
        let index = match self.table.entry(hash, same, |(hash, _)| *hash) {
            Entry::Occupied(found) => {
                let index = found.get().1;
                cells[index].count.merge(&one);
                index
            }
            Entry::Vacant(free) => {
                free.insert((hash, cells.len()));
                cells.push(Cell {
                    tenant,
                    metrics,
                    selection,
                    minute,
                    values: metrics.labels.iter().map(|label| label_value(event, label)).collect(),
                    count: one,
                    duration: None,
                    response_size: None,
                    value: None,
                });
                cells.len() - 1
            }
        };
        let cell = &mut cells[index];
        let measured = [
            (&mut cell.duration, event.duration_ms.map(Quantity::from)),
            (&mut cell.response_size, event.response_bytes.map(Quantity::from)),
            (&mut cell.value, event.value),
        ];
        for (slot, quantity) in measured {
            if let Some(quantity) = quantity {
                Aggregate::merge_into(slot, &Aggregate::of(id, quantity));
            }
        }
    }
}

#[derive(Default)]
struct SeriesFold<'a> {
    series: HashTable<(u64, usize)>,
    buckets: HashTable<(u64, usize)>,
    folded: Folded<'a>,
    hashing: FixedState,
}

impl<'a> SeriesFold<'a> {
    fn add(&mut self, cell: &Cell<'a>) {
        let metrics = cell.metrics;
        for (index, definition) in metrics.definitions.iter().enumerate() {
            if cell.selection & (1 << index) == 0 {
                continue;
            }
            let Some(aggregate) = cell.measured(definition.measure) else { continue };
            for label_set in &definition.label_sets {
                let series = self.series(cell, definition, label_set);
                let bucket = cell.minute.floor_to(label_set.resolutions[0].width());
                self.merge(series, bucket, aggregate);
            }
        }
    }

    fn series(
        &mut self,
        cell: &Cell<'a>,
        definition: &'a MetricDefinition,
        label_set: &'a LabelSet,
    ) -> usize {
        let value_of = |label: &Field| {
            let at = cell.metrics.labels.binary_search(label).expect("the union has every label");
            cell.values[at]
        };
        let mut hasher = self.hashing.build_hasher();
        (cell.tenant, std::ptr::from_ref(label_set)).hash(&mut hasher);
        for label in &label_set.labels {
            value_of(label).hash(&mut hasher);
        }
        let hash = hasher.finish();
        let known = &mut self.folded.series;
        let same = |(_, index): &(u64, usize)| {
            let series: &Series<'_> = &known[*index];
            series.tenant == cell.tenant
                && std::ptr::eq(series.label_set, label_set)
                && label_set.labels.iter().zip(&series.values).all(|(label, value)| value_of(label) == *value)
        };
        match self.series.entry(hash, same, |(hash, _)| *hash) {
            Entry::Occupied(found) => found.get().1,
            Entry::Vacant(free) => {
                let index = known.len();
                free.insert((hash, index));
                let values: Vec<_> = label_set.labels.iter().map(value_of).collect();
                let labels = label_set.labels.iter().map(Field::name).zip(values.iter().copied());
                let id = SeriesId::new(cell.tenant, &definition.series_key(), labels);
                known.push(Series { tenant: cell.tenant, id, definition, label_set, values });
                index
            }
        }
    }

    fn merge(&mut self, series: usize, bucket: Timestamp, aggregate: &Aggregate) {
        let hash = self.hashing.hash_one((series, bucket));
        let partials = &mut self.folded.partials;
        let same = |(_, index): &(u64, usize)| {
            let partial: &Partial = &partials[*index];
            partial.series == series && partial.bucket == bucket
        };
        match self.buckets.entry(hash, same, |(hash, _)| *hash) {
            Entry::Occupied(found) => partials[found.get().1].aggregate.merge(aggregate),
            Entry::Vacant(free) => {
                free.insert((hash, partials.len()));
                partials.push(Partial { series, bucket, aggregate: *aggregate });
            }
        }
    }

    fn finish(self) -> Folded<'a> {
        self.folded
    }
}
