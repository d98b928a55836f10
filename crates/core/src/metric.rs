//! Metric definitions: which events a metric selects, what it measures, and by which label sets it is rolled up. The
//! built-in metrics of the OpenDataDSL metric service are definitions like any other.

mod built_in;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::filter::Filter;
use crate::resolution::Resolution;
use crate::usage::{Field, TextField, UsageEvent};

pub use built_in::{BUILT_IN_PROVIDERS, BuiltInProvider};

/// A class of HTTP methods.
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

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }

    /// The class with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Delete].into_iter().find(|class| class.name() == name)
    }

    /// The class of a method, in upper or lower case.
    #[must_use]
    pub fn of(method: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Delete]
            .into_iter()
            .find(|class| class.methods().iter().any(|known| known.eq_ignore_ascii_case(method)))
    }
}

/// Selects the events of a metric: those that satisfy every given condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// The event's provider.
    pub provider: String,
    /// The class of the event's method.
    pub method_class: Option<MethodClass>,
    /// The event's action.
    pub action: Option<String>,
    /// A further condition.
    pub filter: Filter,
}

impl Selector {
    /// Whether the selector matches an event of this provider, whose method is of `class`.
    fn matches(&self, class: Option<MethodClass>, event: &UsageEvent<'_>) -> bool {
        self.method_class.is_none_or(|wanted| class == Some(wanted))
            && self.action.as_deref().is_none_or(|wanted| event.text(TextField::Action) == wanted)
            && self.filter.matches(event)
    }
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The number of events.
    Count,
    /// The duration of an event in milliseconds, if it has one.
    Duration,
    /// The size of the response in bytes, if the event has one.
    ResponseSize,
    /// The value of an event, if it has one.
    Value,
}

impl Measure {
    const ALL: [Self; 4] = [Self::Count, Self::Duration, Self::ResponseSize, Self::Value];

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Duration => "duration",
            Self::ResponseSize => "response_size",
            Self::Value => "value",
        }
    }

    /// The measure with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }

    /// The unit in UCUM's notation; empty if only the sender knows it.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Count => "1",
            Self::Duration => "ms",
            Self::ResponseSize => "By",
            Self::Value => "",
        }
    }

    /// The default aggregation of a metric with this measure.
    #[must_use]
    pub const fn default_observed(self) -> Observed {
        match self {
            Self::Count => Observed::Summed,
            Self::Duration | Self::ResponseSize | Self::Value => Observed::Averaged,
        }
    }
}

/// How the values of a bucket are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// The sum.
    Summed,
    /// The sum divided by the count.
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

impl Observed {
    /// All aggregations.
    pub const ALL: [Self; 6] =
        [Self::Summed, Self::Averaged, Self::High, Self::Low, Self::Beginning, Self::End];

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Summed => "summed",
            Self::Averaged => "averaged",
            Self::High => "high",
            Self::Low => "low",
            Self::Beginning => "beginning",
            Self::End => "end",
        }
    }

    /// The aggregation with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|observed| observed.name() == name)
    }
}

/// A set of labels by which a metric is rolled up, in ascending order of name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet {
    /// The labels.
    pub labels: Vec<Field>,
    /// The resolutions of its roll-ups, finest first. New data arrives at the first one.
    pub resolutions: &'static [Resolution],
}

impl LabelSet {
    /// A label set. The empty one has a single series, so it is rolled up by minute; the others are rolled up
    /// by quarter-hour, which serves every time zone.
    #[must_use]
    pub fn new(mut labels: Vec<Field>) -> Self {
        labels.sort_by(|a, b| a.name().cmp(b.name()));
        let resolutions: &[Resolution] =
            if labels.is_empty() { &Resolution::ALL } else { &Resolution::ALL[1..] };
        Self { labels, resolutions }
    }
}

/// The definition of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDefinition {
    /// The full name, `provider/name`.
    pub full_name: String,
    /// A description.
    pub description: String,
    /// Distinguishes the roll-ups of this definition from those of earlier and later definitions with the
    /// same name. 0 for a built-in metric.
    pub generation: i32,
    /// Which events it selects.
    pub selector: Selector,
    /// What it measures.
    pub measure: Measure,
    /// The unit of the values in UCUM's notation.
    pub unit: String,
    /// The aggregation of a query that does not name one.
    pub default_observed: Observed,
    /// The label sets that are rolled up; the empty one comes first.
    pub label_sets: Vec<LabelSet>,
}

impl MetricDefinition {
    /// The name, without the provider.
    #[must_use]
    pub fn name(&self) -> &str {
        self.full_name.split_once('/').map_or(&self.full_name, |(_, name)| name)
    }

    /// The name under which its series are stored.
    #[must_use]
    pub fn series_key(&self) -> Cow<'_, str> {
        match self.generation {
            0 => Cow::Borrowed(&self.full_name),
            generation => Cow::Owned(format!("{}#{generation}", self.full_name)),
        }
    }

    /// Whether `other` aggregates the same events into the same series, so that its roll-ups can be reused.
    #[must_use]
    pub fn rolls_up_like(&self, other: &Self) -> bool {
        (&self.selector, self.measure, &self.label_sets)
            == (&other.selector, other.measure, &other.label_sets)
    }

    /// The smallest label set that contains all of these fields.
    #[must_use]
    pub fn covering(&self, fields: &[&Field]) -> Option<&LabelSet> {
        let covers = |set: &&LabelSet| fields.iter().all(|field| set.labels.contains(field));
        self.label_sets.iter().filter(covers).min_by_key(|set| set.labels.len())
    }
}

/// The metrics of one provider, and all of their labels.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    /// The metrics, at most [`ProviderMetrics::MAX`].
    pub definitions: Vec<MetricDefinition>,
    /// Every label of every label set, each once.
    pub labels: Vec<Field>,
}

impl ProviderMetrics {
    /// The maximum number of metrics of one provider, so that a set of metrics fits into the bits of one word.
    pub const MAX: usize = 64;

    /// Ignores the definitions beyond [`Self::MAX`]. The catalog does not let them be created.
    fn new(mut definitions: Vec<MetricDefinition>) -> Self {
        definitions.truncate(Self::MAX);
        let sets = definitions.iter().flat_map(|definition| &definition.label_sets);
        let mut labels: Vec<_> = sets.flat_map(|set| set.labels.iter().cloned()).collect();
        labels.sort();
        labels.dedup();
        Self { definitions, labels }
    }

    /// The metrics that select `event`, as bits by their index.
    #[must_use]
    pub fn selection(&self, event: &UsageEvent<'_>) -> u64 {
        let class = MethodClass::of(event.text(TextField::Method));
        let fitting = self.definitions.iter().enumerate();
        fitting
            .filter(|(_, definition)| definition.selector.matches(class, event))
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
        static BUILT_IN: LazyLock<Catalog> = LazyLock::new(|| {
            Catalog::new(BUILT_IN_PROVIDERS.iter().flat_map(|provider| (provider.define)()))
        });
        &BUILT_IN
    }

    /// The built-in metrics and a tenant's own metrics.
    #[must_use]
    pub fn with(own: impl IntoIterator<Item = MetricDefinition>) -> Self {
        let built_in = Self::built_in().definitions().cloned();
        Self::new(built_in.chain(own))
    }

    /// Only these metrics.
    #[must_use]
    pub fn of(definitions: impl IntoIterator<Item = MetricDefinition>) -> Self {
        Self::new(definitions)
    }

    fn new(definitions: impl IntoIterator<Item = MetricDefinition>) -> Self {
        let mut by_provider: HashMap<String, Vec<MetricDefinition>> = HashMap::new();
        for definition in definitions {
            by_provider.entry(definition.selector.provider.clone()).or_default().push(definition);
        }
        let providers = by_provider
            .into_iter()
            .map(|(provider, definitions)| (provider, ProviderMetrics::new(definitions)))
            .collect();
        Self { providers }
    }

    /// All metrics.
    pub fn definitions(&self) -> impl Iterator<Item = &MetricDefinition> {
        self.providers.values().flat_map(|provider| &provider.definitions)
    }

    /// The metrics of a provider.
    #[must_use]
    pub fn provider(&self, provider: &str) -> Option<&ProviderMetrics> {
        self.providers.get(provider)
    }

    /// The metric with this full name, `provider/name`.
    #[must_use]
    pub fn metric(&self, full_name: &str) -> Option<&MetricDefinition> {
        let (provider, _) = full_name.split_once('/')?;
        let definitions = &self.provider(provider)?.definitions;
        definitions.iter().find(|definition| definition.full_name == full_name)
    }
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
    fn methods_are_matched_in_any_case() {
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
    fn the_action_selects_the_metric_of_the_service_bus() {
        assert_eq!(selected("AzureServiceBus", "", "Size"), ["AzureServiceBus/Size"]);
        assert!(selected("AzureServiceBus", "", "size").is_empty());
    }

    #[test]
    fn the_empty_label_set_comes_first_in_every_metric() {
        for provider in Catalog::built_in().providers.values() {
            for definition in &provider.definitions {
                assert!(definition.label_sets[0].labels.is_empty(), "{}", definition.full_name);
            }
        }
    }
}
