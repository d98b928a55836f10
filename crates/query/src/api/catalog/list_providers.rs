//! `ListProviders`: the providers of metrics.

use std::collections::{BTreeMap, BTreeSet};

use flowmeter_core::asset::{PROVIDER, urn_field};
use flowmeter_core::metric::{BUILT_IN_PROVIDERS, Catalog};
use flowmeter_proto::v1::{ListProvidersRequest, ListProvidersResponse, Provider};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::count_readable;
use flowmeter_store::catalog::metrics::list_metrics;

use super::TenantCatalog;
use crate::spec::labels::label_name;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    _: ListProvidersRequest,
) -> Result<ListProvidersResponse, ApiError> {
    let mut providers: BTreeMap<String, Provider> = BTreeMap::new();
    for built_in in BUILT_IN_PROVIDERS {
        let metrics = Catalog::built_in().provider(built_in.name).map_or(0, |it| it.definitions.len());
        let provider = Provider {
            name: built_in.name.to_owned(),
            description: built_in.description.to_owned(),
            built_in: true,
            metric_count: i32::try_from(metrics).expect("at most 64"),
            filter_fields: built_in.filter_fields.iter().map(ToString::to_string).collect(),
        };
        providers.insert(provider.name.clone(), provider);
    }
    let assets = asset_provider(catalog).await?;
    providers.insert(assets.name.clone(), assets);
    for metric in list_metrics(catalog.store, catalog.tenant).await? {
        let name = metric.definition.selector.provider.clone();
        let provider = providers.entry(name.clone()).or_insert_with(|| Provider {
            name,
            description: "Metrics of the tenant".to_owned(),
            ..Provider::default()
        });
        provider.metric_count += 1;
        if provider.built_in {
            continue;
        }
        let kept = metric.definition.label_sets.iter().flat_map(|set| &set.labels);
        let known: BTreeSet<String> = provider.filter_fields.drain(..).chain(kept.map(label_name)).collect();
        provider.filter_fields.extend(known);
    }
    Ok(ListProvidersResponse { providers: providers.into_values().collect() })
}

/// The provider of asset metrics.
async fn asset_provider(catalog: &TenantCatalog<'_>) -> Result<Provider, ApiError> {
    let metrics = count_readable(catalog.store, catalog.tenant).await?;
    Ok(Provider {
        name: PROVIDER.to_owned(),
        description: "Numbers and booleans of assets, as EmitAssetMetrics takes them".to_owned(),
        built_in: true,
        metric_count: i32::try_from(metrics).unwrap_or(i32::MAX),
        filter_fields: vec![urn_field().name().to_owned()],
    })
}
