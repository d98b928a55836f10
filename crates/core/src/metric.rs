//! Metric definitions: which events a metric takes, what it measures of them and by
//! which labels it is kept ready. The built-in metrics of the OpenDataDSL metric
//! service are definitions like any other.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::plan::Resolution;
use crate::usage::{Field, TextField, UsageEvent};

/// What an HTTP method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodClass {
    /// get, head, options.
    Read,
    /// post, put, patch.
    Write,
    /// delete.
    Delete,
}

impl MethodClass {
    /// The methods of the class, in lower case.
    #[must_use]
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["get", "head", "options"],
            Self::Write => &["post", "put", "patch"],
            Self::Delete => &["delete"],
        }
    }

    /// The class of a method, upper or lower case.
    #[must_use]
    pub fn of(method: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Delete]
            .into_iter()
            .find(|class| class.methods().iter().any(|known| known.eq_ignore_ascii_case(method)))
    }
}

/// Which events a metric takes: those that fit every part that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The event's provider.
    pub provider: String,
    /// The class of the event's method.
    pub method_class: Option<MethodClass>,
    /// The event's action.
    pub action: Option<String>,
}

impl Selector {
    /// Whether an event of this provider fits, whose method is of `class`.
    fn fits(&self, class: Option<MethodClass>, action: &str) -> bool {
        self.method_class.is_none_or(|wanted| class == Some(wanted))
            && self.action.as_deref().is_none_or(|wanted| action == wanted)
    }
}

/// What a metric measures of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// One for each event.
    Count,
    /// Its duration in milliseconds, if it has one.
    Duration,
    /// The size of its response in bytes, if it has one.
    ResponseSize,
    /// Its value, if it has one.
    Value,
}

/// How the values of a bucket become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// The sum.
    Summed,
    /// The sum by the count.
    Averaged,
    /// The largest.
    High,
    /// The smallest.
    Low,
    /// The first by time.
    Beginning,
    /// The last by time.
    End,
}

/// The labels by which a metric is kept ready, by ascending name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet {
    /// The labels.
    pub labels: Vec<Field>,
    /// The resolutions at which it is kept, fine before coarse. The first is the one
    /// in which new data arrives.
    pub resolutions: &'static [Resolution],
}

impl LabelSet {
    /// A label set. The empty one is small whatever happens, so it is kept to the
    /// minute; the others to the quarter of an hour, which serves every time zone.
    #[must_use]
    pub fn new(mut labels: Vec<Field>) -> Self {
        labels.sort_by(|a, b| a.name().cmp(b.name()));
        let resolutions: &[Resolution] = if labels.is_empty() {
            &[Resolution::Minute, Resolution::Quarter, Resolution::Day]
        } else {
            &[Resolution::Quarter, Resolution::Day]
        };
        Self { labels, resolutions }
    }
}

/// The definition of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The full name, `provider/name`.
    pub full_name: String,
    /// Which events it takes.
    pub selector: Selector,
    /// What it measures.
    pub measure: Measure,
    /// The unit of the values in UCUM's notation.
    pub unit: &'static str,
    /// The aggregation where a query names none.
    pub default_observed: Observed,
    /// The label sets kept ready; the empty one comes first.
    pub label_sets: Vec<LabelSet>,
}

/// The metrics of one provider, and the labels that any of them keeps.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    /// At most [`ProviderMetrics::MAX`].
    pub definitions: Vec<Definition>,
    /// Every label of every label set, each once.
    pub labels: Vec<Field>,
}

impl ProviderMetrics {
    /// Metrics of one provider, so that the ones which an event counts in are the
    /// bits of one word.
    pub const MAX: usize = 64;

    fn new(definitions: Vec<Definition>) -> Self {
        assert!(definitions.len() <= Self::MAX, "too many metrics of one provider");
        let sets = definitions.iter().flat_map(|definition| &definition.label_sets);
        let mut labels: Vec<_> = sets.flat_map(|set| set.labels.iter().cloned()).collect();
        labels.sort();
        labels.dedup();
        Self { definitions, labels }
    }

    /// The metrics that take `event`, as bits by their index.
    #[must_use]
    pub fn selection(&self, event: &UsageEvent<'_>) -> u64 {
        let class = MethodClass::of(event.text(TextField::Method));
        let action = event.text(TextField::Action);
        let fitting = self.definitions.iter().enumerate();
        fitting
            .filter(|(_, definition)| definition.selector.fits(class, action))
            .fold(0, |bits, (index, _)| bits | 1 << index)
    }
}

/// All metrics, by provider.
#[derive(Debug, Clone)]
pub struct Catalog {
    providers: HashMap<String, ProviderMetrics, foldhash::fast::FixedState>,
}

impl Catalog {
    /// The metrics of the OpenDataDSL metric service.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Catalog> =
            LazyLock::new(|| Catalog::new([odsl_request(), odsl_process(), azure_service_bus()].concat()));
        &BUILT_IN
    }

    fn new(definitions: Vec<Definition>) -> Self {
        let mut by_provider: HashMap<String, Vec<Definition>> = HashMap::new();
        for definition in definitions {
            by_provider.entry(definition.selector.provider.clone()).or_default().push(definition);
        }
        let providers = by_provider
            .into_iter()
            .map(|(provider, definitions)| (provider, ProviderMetrics::new(definitions)))
            .collect();
        Self { providers }
    }

    /// The metrics of a provider.
    #[must_use]
    pub fn provider(&self, provider: &str) -> Option<&ProviderMetrics> {
        self.providers.get(provider)
    }

    /// The metric of a full name, `provider/name`.
    #[must_use]
    pub fn metric(&self, full_name: &str) -> Option<&Definition> {
        let (provider, _) = full_name.split_once('/')?;
        let definitions = &self.provider(provider)?.definitions;
        definitions.iter().find(|definition| definition.full_name == full_name)
    }
}

fn text(field: TextField) -> Field {
    Field::Text(field)
}

fn attribute(name: &str) -> Field {
    Field::Attribute(name.to_owned())
}

fn label_sets(sets: &[&[Field]]) -> Vec<LabelSet> {
    let kept = sets.iter().map(|set| LabelSet::new(set.to_vec()));
    std::iter::once(LabelSet::new(Vec::new())).chain(kept).collect()
}

fn odsl_request() -> Vec<Definition> {
    let sets = label_sets(&[
        &[text(TextField::Service)],
        &[text(TextField::Application), text(TextField::Method)],
        &[Field::HttpStatus],
    ]);
    let define = |name: &str, class, measure, unit, default_observed| Definition {
        full_name: format!("ODSLRequest/{name}"),
        selector: Selector { provider: "ODSLRequest".into(), method_class: Some(class), action: None },
        measure,
        unit,
        default_observed,
        label_sets: sets.clone(),
    };
    let (count, summed) = (Measure::Count, Observed::Summed);
    vec![
        define("ReadRequests", MethodClass::Read, count, "1", summed),
        define("WriteRequests", MethodClass::Write, count, "1", summed),
        define("DeleteRequests", MethodClass::Delete, count, "1", summed),
        define("ReadRequestDuration", MethodClass::Read, Measure::Duration, "ms", Observed::Averaged),
        define("ReadRequestResponseSize", MethodClass::Read, Measure::ResponseSize, "By", Observed::Averaged),
    ]
}

fn odsl_process() -> Vec<Definition> {
    let sets = label_sets(&[&[attribute("name")], &[attribute("trigger"), attribute("status")]]);
    let define = |name: &str, measure, unit, default_observed| Definition {
        full_name: format!("ODSLProcess/{name}"),
        selector: Selector { provider: "ODSLProcess".into(), method_class: None, action: None },
        measure,
        unit,
        default_observed,
        label_sets: sets.clone(),
    };
    vec![
        define("RunRequests", Measure::Count, "1", Observed::Summed),
        define("RunRequestDuration", Measure::Duration, "ms", Observed::Averaged),
    ]
}

/// Azure's metrics: the event's action names the metric and its value is the
/// measure.
fn azure_service_bus() -> Vec<Definition> {
    const METRICS: [(&str, &str, Observed); 21] = [
        ("SuccessfulRequests", "1", Observed::Summed),
        ("ServerErrors", "1", Observed::Summed),
        ("UserErrors", "1", Observed::Summed),
        ("ThrottledRequests", "1", Observed::Summed),
        ("IncomingRequests", "1", Observed::Summed),
        ("IncomingMessages", "1", Observed::Summed),
        ("OutgoingMessages", "1", Observed::Summed),
        ("ActiveConnections", "1", Observed::Averaged),
        ("ConnectionsOpened", "1", Observed::Summed),
        ("ConnectionsClosed", "1", Observed::Summed),
        ("Size", "By", Observed::Averaged),
        ("Messages", "1", Observed::Averaged),
        ("ActiveMessages", "1", Observed::Averaged),
        ("DeadletteredMessages", "1", Observed::Averaged),
        ("ScheduledMessages", "1", Observed::Averaged),
        ("CompleteMessage", "1", Observed::Summed),
        ("AbandonMessage", "1", Observed::Summed),
        ("PendingCheckpointOperationCount", "1", Observed::Averaged),
        ("ServerSendLatency", "ms", Observed::Averaged),
        ("ReplicationLagDuration", "s", Observed::Averaged),
        ("ReplicationLagCount", "1", Observed::Averaged),
    ];
    let define = |(name, unit, default_observed): (&str, _, _)| Definition {
        full_name: format!("AzureServiceBus/{name}"),
        selector: Selector {
            provider: "AzureServiceBus".into(),
            method_class: None,
            action: Some(name.into()),
        },
        measure: Measure::Value,
        unit,
        default_observed,
        label_sets: label_sets(&[&[attribute("queue")]]),
    };
    METRICS.into_iter().map(define).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(provider: &str, method: &str, action: &str) -> Vec<&'static str> {
        let mut event = UsageEvent::default();
        event.texts[TextField::Method as usize] = method;
        event.texts[TextField::Action as usize] = action;
        let metrics = Catalog::built_in().provider(provider).unwrap();
        let bits = metrics.selection(&event);
        let all = metrics.definitions.iter().enumerate();
        all.filter(|(index, _)| bits & (1 << index) != 0)
            .map(|(_, definition)| definition.full_name.as_str())
            .collect()
    }

    #[test]
    fn methods_decide_in_any_case() {
        for method in ["get", "GET", "Head", "options"] {
            assert_eq!(
                selected("ODSLRequest", method, ""),
                [
                    "ODSLRequest/ReadRequests",
                    "ODSLRequest/ReadRequestDuration",
                    "ODSLRequest/ReadRequestResponseSize"
                ]
            );
        }
        for method in ["post", "PUT", "patch"] {
            assert_eq!(selected("ODSLRequest", method, ""), ["ODSLRequest/WriteRequests"]);
        }
        assert_eq!(selected("ODSLRequest", "DELETE", ""), ["ODSLRequest/DeleteRequests"]);
        assert!(selected("ODSLRequest", "trace", "").is_empty());
    }

    #[test]
    fn an_action_names_the_metric_of_the_service_bus() {
        assert_eq!(selected("AzureServiceBus", "", "Size"), ["AzureServiceBus/Size"]);
        assert!(selected("AzureServiceBus", "", "size").is_empty());
    }

    #[test]
    fn the_empty_label_set_comes_first_everywhere() {
        for provider in Catalog::built_in().providers.values() {
            for definition in &provider.definitions {
                assert!(definition.label_sets[0].labels.is_empty(), "{}", definition.full_name);
            }
        }
    }
}
