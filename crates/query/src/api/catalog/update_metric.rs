//! `UpdateMetric`: changes fields of a metric.

use flowmeter_proto::v1::{UpdateMetricRequest, UpdateMetricResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::metrics::update_metric;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::{given, version};
use crate::spec::update_mask::Mask;
use crate::{answer, resolve, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: UpdateMetricRequest,
) -> Result<UpdateMetricResponse, ApiError> {
    const FIELDS: [&str; 9] = [
        "description",
        "selector",
        "selector.method_class",
        "selector.action",
        "selector.filter",
        "measure",
        "unit",
        "default_observed",
        "label_sets",
    ];
    let new = given("metric", request.metric)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let (name, current) =
        resolve::own_metric(catalog.store, catalog.tenant, "metric.name", &new.name).await?;
    let version = version("metric.version", new.version)?.unwrap_or(current.version);
    let mut merged = answer::metric::to_proto(&current);
    // A unit and an aggregation that are the defaults of the old measure become those of the new measure.
    let old = current.definition.measure;
    if current.definition.unit == old.unit() {
        merged.unit.clear();
    }
    if current.definition.default_observed == old.default_observed() {
        merged.default_observed = 0;
    }
    mask.take("description", &mut merged.description, new.description);
    let (selector, new_selector) =
        (merged.selector.get_or_insert_default(), new.selector.unwrap_or_default());
    mask.take("selector.method_class", &mut selector.method_class, new_selector.method_class);
    mask.take("selector.action", &mut selector.action, new_selector.action);
    mask.take("selector.filter", &mut selector.filter, new_selector.filter);
    mask.take("measure", &mut merged.measure, new.measure);
    mask.take("unit", &mut merged.unit, new.unit);
    mask.take("default_observed", &mut merged.default_observed, new.default_observed);
    mask.take("label_sets", &mut merged.label_sets, new.label_sets);
    let definition = spec::metric::read(&merged)?;
    let changed = update_metric(catalog.store, catalog.tenant, &definition, version).await?;
    let metric = changed_or_error(changed, "metric", &name.full())?;
    Ok(UpdateMetricResponse { metric: Some(answer::metric::to_proto(&metric)) })
}
