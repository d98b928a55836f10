//! Reads definitions of metrics. Pure.

use flowmeter_contract::enums;
use flowmeter_contract::names::MetricName;
use flowmeter_core::filter::Filter;
use flowmeter_core::metric::{LabelSet, MetricDefinition, Selector};
use flowmeter_core::usage::Field;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};

use super::fields::check_text;
use super::labels::read_label;

/// The maximum number of label sets of a metric, and of labels in each. The cost of an event grows with both.
const MAX_LABEL_SETS: usize = 8;
const MAX_LABELS: usize = 4;
/// The maximum length of a unit in bytes.
const MAX_UNIT_BYTES: usize = 63;

/// Reads the definition of a metric. The error lists all violations.
pub fn read(metric: &v1::Metric) -> Result<MetricDefinition, ApiError> {
    let name = MetricName::parse("metric.name", &metric.name)?;
    if name.is_of_assets() {
        let text = "expected a provider other than asset: a metric of assets exists \
                    as soon as it has values, and cannot be defined";
        return Err(ApiError::field(Reason::InvalidField, "metric.name", text));
    }
    let mut violations = Vec::new();
    let selector = metric.selector.clone().unwrap_or_default();
    let method_class = enums::method_class("metric.selector.method_class", selector.method_class);
    violations.extend(method_class.as_ref().err().cloned());
    let measure = enums::measure("metric.measure", metric.measure);
    violations.extend(measure.as_ref().err().cloned());
    let mut wrong = |violation: Violation| violations.push(violation);
    let filter = Filter::parse(&selector.filter).unwrap_or_else(|error| {
        wrong(Violation::from(error).within("metric.selector.filter"));
        Filter::default()
    });
    if filter.has_patterns() {
        // The filter is evaluated for each event as it arrives, and patterns are slow.
        wrong(Violation::new(
            "metric.selector.filter",
            "expected no =~, !~ or $regex: use = and IN, or a pattern in a query",
        ));
    }
    if let Err(text) = check_unit(&metric.unit) {
        wrong(Violation::new("metric.unit", text));
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
    Ok(MetricDefinition {
        full_name: name.full(),
        description: metric.description.clone(),
        // The store assigns the generation.
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

/// Checks that a unit only has characters that UCUM allows, which are ASCII characters except spaces. Does
/// not check whether UCUM defines the unit.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer;

    #[test]
    fn a_unit_has_the_characters_of_ucum() {
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
    fn a_definition_is_read_as_it_was_encoded() {
        let labels = ["application", "attributes.id", "attributes.servise", "key"].map(String::from).into();
        let metric = v1::Metric {
            name: "Shop/Checkouts".into(),
            label_sets: vec![v1::LabelSet { labels }],
            ..v1::Metric::default()
        };
        let definition = read(&metric).unwrap();
        let names: Vec<_> = definition.label_sets[1].labels.iter().map(Field::name).collect();
        assert_eq!(names, ["application", "id", "key", "servise"]);
        assert_eq!(read(&answer::metric::definition(&definition)).unwrap(), definition);
    }

    #[test]
    fn an_error_names_all_that_is_wrong() {
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
             the others are for booleans of assets, found OBSERVED_COUNT_TRUE",
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
