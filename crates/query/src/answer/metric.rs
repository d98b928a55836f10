//! Encodes metrics.

use flowmeter_contract::enums::{self, reading_to_proto};
use flowmeter_contract::names::MetricName;
use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_core::asset::{PROVIDER, Readable, Reading};
use flowmeter_core::metric::MetricDefinition;
use flowmeter_proto::v1;
use flowmeter_store::assets::ReadableMetric;
use flowmeter_store::catalog::metrics::{Backfill, Metric};

use crate::spec::asset_query::default_reading;
use crate::spec::labels::label_name;

/// A metric of events, from its definition.
pub fn definition(definition: &MetricDefinition) -> v1::Metric {
    let selector = &definition.selector;
    let label_sets = definition.label_sets.iter().filter(|set| !set.labels.is_empty());
    v1::Metric {
        name: definition.full_name.clone(),
        description: definition.description.clone(),
        selector: Some(v1::Selector {
            method_class: enums::method_class_to_proto(selector.method_class).into(),
            action: selector.action.clone().unwrap_or_default(),
            filter: selector.filter.to_string(),
        }),
        measure: enums::measure_to_proto(definition.measure).into(),
        unit: definition.unit.clone(),
        default_observed: enums::observed_to_proto(definition.default_observed).into(),
        label_sets: label_sets
            .map(|set| v1::LabelSet { labels: set.labels.iter().map(label_name).collect() })
            .collect(),
        built_in: definition.generation == 0,
        ..v1::Metric::default()
    }
}

/// A metric that the tenant has defined.
pub fn to_proto(metric: &Metric) -> v1::Metric {
    v1::Metric {
        built_in: false,
        version: metric.version,
        create_time: Some(time_to_proto(metric.created_at)),
        update_time: Some(time_to_proto(metric.updated_at)),
        backfill: metric.backfill.as_ref().map(backfill),
        ..definition(&metric.definition)
    }
}

/// An asset metric.
pub fn of_assets(metric: ReadableMetric) -> v1::Metric {
    let description = match metric.readable {
        Readable::Numbers => "Numbers of assets",
        Readable::Booleans => "Booleans of assets",
        Readable::NumbersAndBooleans => "Numbers and booleans of assets",
    };
    let reading = default_reading(metric.readable);
    v1::Metric {
        name: MetricName { provider: PROVIDER.to_owned(), name: metric.name }.full(),
        description: description.to_owned(),
        selector: Some(v1::Selector::default()),
        measure: v1::Measure::Value.into(),
        unit: reading.map_or("", Reading::unit).to_owned(),
        default_observed: reading.map_or(v1::Observed::Unspecified, reading_to_proto).into(),
        built_in: true,
        ..v1::Metric::default()
    }
}

fn backfill(backfill: &Backfill) -> v1::Backfill {
    let state = match (backfill.started_at, backfill.finished_at) {
        (_, Some(_)) => v1::backfill::State::Done,
        (Some(_), None) => v1::backfill::State::Running,
        (None, None) => v1::backfill::State::Pending,
    };
    v1::Backfill {
        state: state.into(),
        event_count: backfill.event_count,
        // Events that arrive after the backfill are counted as they arrive.
        through_time: backfill
            .last
            .filter(|_| state != v1::backfill::State::Done)
            .map(|last| time_to_proto(last.timestamp())),
        start_time: backfill.started_at.map(time_to_proto),
        finish_time: backfill.finished_at.map(time_to_proto),
    }
}
