//! Definitions of metrics.

use flowmeter_contract::enums;
use flowmeter_contract::names::{MetricName, check_label};
use flowmeter_contract::time::to_proto;
use flowmeter_core::asset;
use flowmeter_core::filter::Filter;
use flowmeter_core::metric::{BUILT_IN_PROVIDERS, Catalog, Definition, LabelSet, Selector};
use flowmeter_core::usage::Field;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::backfill::State;
use flowmeter_proto::v1::{
    self, CreateMetricRequest, CreateMetricResponse, DeleteMetricRequest, DeleteMetricResponse,
    GetMetricRequest, GetMetricResponse, ListMetricsRequest, ListMetricsResponse, UpdateMetricRequest,
    UpdateMetricResponse,
};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::metrics::{
    Backfill, Metric, delete_metric, get_metric, insert_metric, list_metrics, update_metric,
};

use super::{Shelf, asset_metrics, check_text, given, settled, version};
use crate::page::{self, page_size};
use crate::resolve;
use crate::spec::update_mask::Mask;
use crate::spec::{label_name, read_label};

/// Label sets of a metric at most, and labels of each: what an event costs grows with them.
const MAX_LABEL_SETS: usize = 8;
const MAX_LABELS: usize = 4;
/// Bytes of a unit at most.
const MAX_UNIT_BYTES: usize = 63;

pub async fn list(shelf: &Shelf<'_>, request: ListMetricsRequest) -> Result<ListMetricsResponse, ApiError> {
    let size = match request.page_size {
        0 => None,
        asked => Some(page_size(asked)?),
    };
    let tokens = page::List::new("ListMetrics", &[&request.provider]);
    if request.provider == asset::PROVIDER {
        return asset_metrics::list(shelf, size, (tokens, &request.page_token)).await;
    }
    let after = tokens.place(&request.page_token)?.unwrap_or_default();
    let mut metrics: Vec<v1::Metric> = Catalog::built_in().definitions().map(built_in_to_contract).collect();
    metrics.extend(list_metrics(shelf.store, shelf.tenant).await?.iter().map(to_contract));
    let wanted = request.provider;
    if !wanted.is_empty() {
        check_label("provider", &wanted)?;
        let of_provider =
            |metric: &v1::Metric| metric.name.split_once('/').is_some_and(|(of, _)| of == wanted);
        metrics.retain(of_provider);
        if metrics.is_empty() && BUILT_IN_PROVIDERS.iter().all(|provider| provider.name != wanted) {
            return Err(ApiError::not_found("provider", &wanted));
        }
    }
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    metrics.retain(|metric| metric.name.as_bytes() > after.as_slice());
    let size = size.map_or(metrics.len(), |size| usize::try_from(size).expect("at most 1000"));
    let has_more = metrics.len() > size;
    metrics.truncate(size);
    let last = metrics.last().filter(|_| has_more);
    let next_page_token = last.map(|last| tokens.token(last.name.as_bytes())).unwrap_or_default();
    Ok(ListMetricsResponse { metrics, next_page_token })
}

pub async fn get(shelf: &Shelf<'_>, request: GetMetricRequest) -> Result<GetMetricResponse, ApiError> {
    let name = MetricName::parse("name", &request.name)?;
    let version = version("version", request.version)?;
    if name.is_of_assets() {
        let metric = resolve::metric_of_assets(shelf.store, shelf.tenant, &name).await?;
        if let Some(version) = version {
            return Err(no_version(&name, version));
        }
        return Ok(GetMetricResponse { metric: Some(asset_metrics::to_contract(metric)) });
    }
    if let Some(built_in) = Catalog::built_in().metric(&name.full()) {
        if let Some(version) = version {
            return Err(no_version(&name, version));
        }
        return Ok(GetMetricResponse { metric: Some(built_in_to_contract(built_in)) });
    }
    let found = get_metric(shelf.store, shelf.tenant, &name.provider, &name.name, version).await?;
    let metric = found.ok_or_else(|| match version {
        Some(version) => no_version(&name, version),
        None => ApiError::not_found("metric", &name.full()),
    })?;
    Ok(GetMetricResponse { metric: Some(to_contract(&metric)) })
}

pub async fn create(
    shelf: &Shelf<'_>,
    request: CreateMetricRequest,
) -> Result<CreateMetricResponse, ApiError> {
    let metric = given("metric", request.metric)?;
    let definition = read(&metric)?;
    if Catalog::built_in().metric(&definition.full_name).is_some() {
        return Err(ApiError::already_exists("metric", &definition.full_name));
    }
    let changed = insert_metric(shelf.store, shelf.tenant, &definition).await?;
    let metric = settled(changed, "metric", &definition.full_name)?;
    Ok(CreateMetricResponse { metric: Some(to_contract(&metric)) })
}

pub async fn update(
    shelf: &Shelf<'_>,
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
    let (name, current) = current(shelf, "metric.name", &new.name).await?;
    let version = version("metric.version", new.version)?.unwrap_or(current.version);
    let mut merged = to_contract(&current);
    // What follows from the measure follows from the new one.
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
    let definition = read(&merged)?;
    let changed = update_metric(shelf.store, shelf.tenant, &definition, version).await?;
    let metric = settled(changed, "metric", &name.full())?;
    Ok(UpdateMetricResponse { metric: Some(to_contract(&metric)) })
}

pub async fn delete(
    shelf: &Shelf<'_>,
    request: DeleteMetricRequest,
) -> Result<DeleteMetricResponse, ApiError> {
    let (name, _) = current(shelf, "name", &request.name).await?;
    let version = version("version", request.version)?;
    let changed = delete_metric(shelf.store, shelf.tenant, &name.provider, &name.name, version).await?;
    settled(changed, "metric", &name.full())?;
    Ok(DeleteMetricResponse {})
}

fn no_version(name: &MetricName, version: i32) -> ApiError {
    ApiError::not_found("metric", &format!("{} in version {version}", name.full()))
}

/// A metric that may be changed.
async fn current(shelf: &Shelf<'_>, field: &str, name: &str) -> Result<(MetricName, Metric), ApiError> {
    let name = MetricName::parse(field, name)?;
    if name.is_of_assets() {
        resolve::metric_of_assets(shelf.store, shelf.tenant, &name).await?;
        return Err(ApiError::built_in("metric", &name.full()));
    }
    if Catalog::built_in().metric(&name.full()).is_some() {
        return Err(ApiError::built_in("metric", &name.full()));
    }
    let found = get_metric(shelf.store, shelf.tenant, &name.provider, &name.name, None).await?;
    let metric = found.ok_or_else(|| ApiError::not_found("metric", &name.full()))?;
    Ok((name, metric))
}

/// Reads a definition, or says everything that is wrong with it.
fn read(metric: &v1::Metric) -> Result<Definition, ApiError> {
    let name = MetricName::parse("metric.name", &metric.name)?;
    if name.is_of_assets() {
        let text = "expected a provider other than asset: metrics of assets come with their values, and nobody \
                    defines them";
        return Err(ApiError::field(Reason::InvalidField, "metric.name", text));
    }
    let mut violations = Vec::new();
    let selector = metric.selector.clone().unwrap_or_default();
    let method_class = enums::method_class("metric.selector.method_class", selector.method_class);
    violations.extend(method_class.as_ref().err().cloned());
    let measure = enums::measure("metric.measure", metric.measure);
    violations.extend(measure.as_ref().err().cloned());
    let mut wrong = |field: &str, text: String| violations.push(Violation::new(field, text));
    let filter = Filter::parse(&selector.filter).unwrap_or_else(|error| {
        wrong("metric.selector.filter", error.to_string());
        Filter::default()
    });
    if filter.has_patterns() {
        // Each event is held against it as it comes.
        wrong(
            "metric.selector.filter",
            "expected no =~, !~ or $regex: use = and IN, or a pattern in a query".to_owned(),
        );
    }
    if let Err(text) = check_unit(&metric.unit) {
        wrong("metric.unit", text);
    }
    let observed = enums::observed("metric.default_observed", metric.default_observed);
    violations.extend(observed.as_ref().err().cloned());
    let label_sets = label_sets(&metric.label_sets, &mut violations);
    check_text("metric.description", &metric.description, &mut violations);
    check_text("metric.selector.action", &selector.action, &mut violations);
    let (Ok(method_class), Ok(measure), Ok(observed)) = (method_class, measure, observed) else {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    };
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    let unit = if metric.unit.is_empty() { measure.unit().to_owned() } else { metric.unit.clone() };
    Ok(Definition {
        full_name: name.full(),
        description: metric.description.clone(),
        // The store gives it its own.
        generation: 0,
        selector: Selector {
            provider: name.provider,
            method_class,
            action: Some(selector.action).filter(|action| !action.is_empty()),
            filter,
        },
        measure,
        unit,
        default_observed: observed.unwrap_or(measure.default_observed()),
        label_sets,
    })
}

/// Checks that a unit has the characters of UCUM, which are those of ASCII but for spaces. What they stand for is
/// the tenant's business.
fn check_unit(unit: &str) -> Result<(), String> {
    let expected = |found: &dyn std::fmt::Display| {
        Err(format!("expected at most {MAX_UNIT_BYTES} characters of ASCII without spaces, found {found}"))
    };
    if unit.len() > MAX_UNIT_BYTES {
        return expected(&format_args!("{} bytes", unit.len()));
    }
    match unit.chars().find(|c| !c.is_ascii_graphic()) {
        Some(other) => expected(&format_args!("{other:?}")),
        None => Ok(()),
    }
}

fn label_sets(sets: &[v1::LabelSet], violations: &mut Vec<Violation>) -> Vec<LabelSet> {
    let mut wrong = |field: String, text: String| violations.push(Violation::new(field, text));
    if sets.len() > MAX_LABEL_SETS {
        let found = sets.len();
        wrong("metric.label_sets".into(), format!("expected at most {MAX_LABEL_SETS}, found {found}"));
        return Vec::new();
    }
    let mut read = vec![LabelSet::new(Vec::new())];
    for (index, set) in sets.iter().enumerate() {
        let path = format!("metric.label_sets[{index}].labels");
        let mut labels: Vec<Field> = Vec::new();
        if !(1..=MAX_LABELS).contains(&set.labels.len()) {
            wrong(path, format!("expected 1 to {MAX_LABELS} labels, found {}", set.labels.len()));
            continue;
        }
        for (place, name) in set.labels.iter().enumerate() {
            match read_label(name) {
                Err(expected) => {
                    wrong(format!("{path}[{place}]"), format!("expected {expected}, found {name:?}"));
                }
                Ok(field) if labels.contains(&field) => {
                    wrong(
                        format!("{path}[{place}]"),
                        format!("expected each label once, found {name} again"),
                    );
                }
                Ok(field) => labels.push(field),
            }
        }
        let set = LabelSet::new(labels);
        if read.contains(&set) && !set.labels.is_empty() {
            wrong(path, "expected each label set once".to_owned());
        }
        read.push(set);
    }
    read
}

fn built_in_to_contract(definition: &Definition) -> v1::Metric {
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

fn to_contract(metric: &Metric) -> v1::Metric {
    v1::Metric {
        built_in: false,
        version: metric.version,
        create_time: Some(to_proto(metric.created_at)),
        update_time: Some(to_proto(metric.updated_at)),
        backfill: metric.backfill.as_ref().map(backfill_to_contract),
        ..built_in_to_contract(&metric.definition)
    }
}

fn backfill_to_contract(backfill: &Backfill) -> v1::Backfill {
    let state = match (backfill.started_at, backfill.finished_at) {
        (_, Some(_)) => State::Done,
        (Some(_), None) => State::Running,
        (None, None) => State::Pending,
    };
    v1::Backfill {
        state: state.into(),
        event_count: backfill.event_count,
        // What has come since it was done is counted as it comes.
        through_time: backfill.last.filter(|_| state != State::Done).map(|last| to_proto(last.timestamp())),
        start_time: backfill.started_at.map(to_proto),
        finish_time: backfill.finished_at.map(to_proto),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_written_as_in_ucum() {
        for unit in ["", "ms", "By", "1", "%", "m/s2", "{request}", "[in_i]", "m.s-1", &"x".repeat(63)] {
            assert_eq!(check_unit(unit), Ok(()), "{unit}");
        }
        for (unit, found) in
            [("ü", "'ü'"), ("a b", "' '"), ("m\n", "'\\n'"), ("€", "'€'"), (&"x".repeat(64), "64 bytes")]
        {
            let expected = format!("expected at most 63 characters of ASCII without spaces, found {found}");
            assert_eq!(check_unit(unit), Err(expected), "{unit}");
        }
    }

    #[test]
    fn a_definition_is_read_as_it_is_shown() {
        let labels = ["application", "attributes.id", "attributes.servise", "key"].map(String::from).into();
        let metric = v1::Metric {
            name: "Shop/Checkouts".into(),
            label_sets: vec![v1::LabelSet { labels }],
            ..v1::Metric::default()
        };
        let definition = read(&metric).unwrap();
        let names: Vec<_> = definition.label_sets[1].labels.iter().map(Field::name).collect();
        assert_eq!(names, ["application", "id", "key", "servise"]);
        assert_eq!(read(&built_in_to_contract(&definition)).unwrap(), definition);
    }

    #[test]
    fn a_wrong_definition_says_everything_that_is_wrong() {
        let metric = v1::Metric {
            name: "Shop/Checkouts".into(),
            selector: Some(v1::Selector { filter: "user =~ 'x'".into(), ..v1::Selector::default() }),
            default_observed: v1::Observed::CountTrue.into(),
            label_sets: vec![v1::LabelSet { labels: ["servise", "duration", "id"].map(String::from).into() }],
            ..v1::Metric::default()
        };
        let status = tonic::Status::from(read(&metric).unwrap_err());
        let said: Vec<_> = status.message().split("; ").collect();
        let expected = [
            "metric.selector.filter: expected no =~, !~ or $regex: use = and IN, or a pattern in a query",
            "metric.default_observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, because \
             the others are of booleans of assets, found OBSERVED_COUNT_TRUE",
            "metric.label_sets[0].labels[0]: expected service, or attributes.servise for the attribute, found \
             \"servise\"",
            "metric.label_sets[0].labels[1]: expected a field of text, an attribute or httpstatus, found \
             \"duration\"",
            "metric.label_sets[0].labels[2]: expected a field other than id: write attributes.id for the \
             attribute, found \"id\"",
        ];
        assert_eq!(said, expected);
    }
}
