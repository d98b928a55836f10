//! Metrics of assets among the others: they come with their values, and nobody defines them.

use flowmeter_contract::names::MetricName;
use flowmeter_core::asset::{PROVIDER, Readable, Reading, urn_field};
use flowmeter_proto::v1;
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{ReadableMetric, count_readable, list_readable};

use super::Shelf;
use crate::page::asset_place::read_name;
use crate::page::{List, not_ours};
use crate::spec::asset_series::default_reading;
use flowmeter_contract::enums::reading_to_proto;

/// Metrics of a page where nothing is said. A tenant has as many as its senders have names.
const DEFAULT_PAGE: i64 = 1_000;

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

/// Those of a page by name: of the given size, if one is given, and after the place that the token of the
/// page before names.
pub async fn list(
    shelf: &Shelf<'_>,
    size: Option<i64>,
    (tokens, page_token): (List, &str),
) -> Result<v1::ListMetricsResponse, ApiError> {
    let size = size.unwrap_or(DEFAULT_PAGE);
    let place = tokens.place(page_token)?;
    let after = match &place {
        None => "",
        Some(place) => read_name(place).ok_or_else(not_ours)?,
    };
    let mut found = list_readable(shelf.store, shelf.tenant, after, size + 1).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let has_more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| has_more);
    let next_page_token = last.map(|last| tokens.token(last.name.as_bytes())).unwrap_or_default();
    Ok(v1::ListMetricsResponse { metrics: found.into_iter().map(to_contract).collect(), next_page_token })
}

/// As the contract writes it.
pub fn to_contract(metric: ReadableMetric) -> v1::Metric {
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
