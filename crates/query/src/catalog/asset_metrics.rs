//! Metrics of assets among the others: they come with their values, and nobody defines them.

use flowmeter_core::asset::{PROVIDER, Readable, urn_field};
use flowmeter_proto::v1;
use flowmeter_service::error::ApiError;
use flowmeter_service::names::MetricName;
use flowmeter_store::assets::{ReadableMetric, count_readable, list_readable};

use super::Shelf;
use crate::question::enums::reading_to_proto;

/// Metrics of a list at most. A tenant has as many as its senders have names.
const MAX_LISTED: i64 = 1_000;

/// Their provider.
pub async fn provider(shelf: &Shelf<'_>) -> Result<v1::Provider, ApiError> {
    let metrics = count_readable(shelf.store, shelf.tenant).await?;
    Ok(v1::Provider {
        name: PROVIDER.to_owned(),
        description: "Numbers and booleans of assets, as EmitAssetMetrics takes them".to_owned(),
        built_in: true,
        metric_count: i32::try_from(metrics).unwrap_or(i32::MAX),
        filter_fields: vec![urn_field().name().to_owned()],
    })
}

/// The first of them by name.
pub async fn list(shelf: &Shelf<'_>) -> Result<Vec<v1::Metric>, ApiError> {
    let found = list_readable(shelf.store, shelf.tenant, MAX_LISTED).await?;
    Ok(found.into_iter().map(to_contract).collect())
}

/// As the contract writes it.
pub fn to_contract(metric: ReadableMetric) -> v1::Metric {
    let description = match metric.readable {
        Readable::Numbers => "Numbers of assets",
        Readable::Booleans => "Booleans of assets",
        Readable::NumbersAndBooleans => "Numbers and booleans of assets",
    };
    let reading = metric.readable.default_reading();
    v1::Metric {
        name: MetricName { provider: PROVIDER.to_owned(), name: metric.name }.full(),
        description: description.to_owned(),
        selector: Some(v1::Selector::default()),
        measure: v1::Measure::Value.into(),
        unit: reading.unit().to_owned(),
        default_observed: reading_to_proto(reading).into(),
        built_in: true,
        ..v1::Metric::default()
    }
}
