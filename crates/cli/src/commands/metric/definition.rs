//! The definition of a metric: reads it from flags, and shows it.

use clap::Args;
use flowmeter_proto::v1::{self as wire, LabelSet, Metric, Selector};
use jiff::Timestamp;

use super::backfill;
use crate::{
    mask::Changes,
    moment,
    render::table::{Align, properties, table_within},
    resource::is_of_assets,
    words::{self, Measure, MethodClass, ObservedNumbers},
};

/// The flags of [`Definition`]. A change needs at least one of them.
pub(super) const FLAGS: [&str; 8] =
    ["description", "method_class", "action", "filter", "measure", "unit", "observed", "keep"];

/// The parts of a definition that the flags set.
#[derive(Debug, Args)]
pub(super) struct Definition {
    /// A description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Only events with a method of this class. Default: any.
    #[arg(long, value_name = "CLASS")]
    method_class: Option<MethodClass>,

    /// Only events with this action. Default: all.
    #[arg(long)]
    action: Option<String>,

    /// A filter on events, as in `flowmeter series` but without patterns (=~, !~ and $regex), because
    /// every new event is matched against it. Default: all events.
    #[arg(long, allow_hyphen_values = true)]
    filter: Option<String>,

    /// What to measure of each event. Default: count.
    #[arg(long)]
    measure: Option<Measure>,

    /// The unit of the values in UCUM notation, such as ms or By: at most 63 ASCII characters
    /// without spaces. Default: 1 for counts, ms for durations, By for response sizes, none for
    /// values.
    #[arg(long)]
    unit: Option<String>,

    /// The aggregation of queries that do not name one. Default: summed for counts, averaged for
    /// all other measures.
    #[arg(long)]
    observed: Option<ObservedNumbers>,

    /// Labels to keep in roll-ups, 1 to 4 separated by commas: queries that filter or group by
    /// these labels, or by some of them, are answered from roll-ups. Choose fields with few
    /// values. May be repeated; a change replaces all label sets.
    #[arg(long, value_name = "LABELS", value_parser = parse_label_set)]
    keep: Vec<LabelSet>,
}

/// Reads labels separated by commas. An empty text is the set without labels.
fn parse_label_set(text: &str) -> Result<LabelSet, String> {
    if text.trim().is_empty() {
        return Ok(LabelSet::default());
    }
    let labels: Vec<_> = text.split(',').map(|label| label.trim().to_owned()).collect();
    if labels.iter().any(String::is_empty) {
        return Err("expected labels separated by commas, such as application,user".into());
    }
    Ok(LabelSet { labels })
}

impl Definition {
    /// Whether a change needs the current metric, because an update replaces the whole selector.
    pub(super) fn needs_current(&self) -> bool {
        let given = [self.method_class.is_some(), self.action.is_some(), self.filter.is_some()];
        given.contains(&true) && given.contains(&false)
    }

    /// Sets the given parts of a metric, and adds them to the changes.
    pub(super) fn apply(self, metric: &mut Metric, changes: &mut Changes) {
        let mut selector = metric.selector.take().unwrap_or_default();
        let class = self.method_class.map(|class| wire::MethodClass::from(class).into());
        changes.set("selector", &mut selector.method_class, class);
        changes.set("selector", &mut selector.action, self.action);
        changes.set("selector", &mut selector.filter, self.filter);
        metric.selector = (selector != Selector::default()).then_some(selector);

        changes.set("description", &mut metric.description, self.description);
        let measure = self.measure.map(|measure| wire::Measure::from(measure).into());
        changes.set("measure", &mut metric.measure, measure);
        changes.set("unit", &mut metric.unit, self.unit);
        let observed = self.observed.map(|observed| wire::Observed::from(observed).into());
        changes.set("default_observed", &mut metric.default_observed, observed);
        let kept = (!self.keep.is_empty())
            .then(|| self.keep.into_iter().filter(|set| !set.labels.is_empty()).collect());
        changes.set("label_sets", &mut metric.label_sets, kept);
    }
}

/// A table of metrics, at most `columns` wide.
pub(super) fn rows(metrics: &[Metric], columns: usize) -> String {
    let heading = ["NAME", "MEASURE", "UNIT", "OBSERVED", "EVENTS", "KEPT BY", "ORIGIN"];
    let row = |metric: &Metric| {
        [
            metric.name.clone(),
            words::measure(metric.measure()),
            unit(metric),
            observed(metric),
            selected(metric),
            kept(metric),
            words::origin(metric.built_in, metric.version),
        ]
    };
    table_within(
        columns,
        heading.map(|title| (title, Align::Left)),
        metrics.iter().map(row).collect::<Vec<_>>(),
    )
}

/// All properties of a metric at the time `now`.
pub(super) fn describe(metric: &Metric, now: Timestamp) -> String {
    properties(&[
        ("name", metric.name.clone()),
        ("description", metric.description.clone()),
        ("events", selected(metric)),
        ("measure", words::measure(metric.measure())),
        ("unit", unit(metric)),
        ("observed", observed(metric)),
        ("kept by", kept(metric)),
        ("origin", words::origin(metric.built_in, metric.version)),
        ("created", moment::rfc3339(metric.create_time.as_ref())),
        ("changed", moment::rfc3339(metric.update_time.as_ref())),
        (
            "backfill",
            metric.backfill.as_ref().map(|state| backfill::describe(state, now)).unwrap_or_default(),
        ),
    ])
}

/// The unit of the values. Empty for asset metrics: their values have no unit, and the aggregation says
/// whether they are counts or fractions.
fn unit(metric: &Metric) -> String {
    if is_of_assets(&metric.name) { String::new() } else { words::unit(&metric.unit).to_owned() }
}

/// The aggregation of queries that do not name one, or the reason why there is none.
fn observed(metric: &Metric) -> String {
    match metric.default_observed() {
        wire::Observed::Unspecified if is_of_assets(&metric.name) => "none: numbers and booleans".into(),
        observed => words::observed(observed),
    }
}

/// The events that a metric selects.
fn selected(metric: &Metric) -> String {
    if is_of_assets(&metric.name) {
        return "none: values of assets".into();
    }
    let Some(selector) = &metric.selector else { return "all".into() };
    let mut parts = Vec::new();
    let class = words::method_class(selector.method_class());
    if !class.is_empty() {
        parts.push(format!("methods that {class}"));
    }
    if !selector.action.is_empty() {
        parts.push(format!("action {}", selector.action));
    }
    if !selector.filter.is_empty() {
        parts.push(format!("where {}", selector.filter));
    }
    if parts.is_empty() { "all".into() } else { parts.join(", ") }
}

/// The label sets of a metric.
fn kept(metric: &Metric) -> String {
    metric.label_sets.iter().map(|set| set.labels.join(",")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use flowmeter_proto::v1::{Backfill, backfill::State};

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn definition(arguments: &[&str]) -> Option<Definition> {
        let arguments = ["flowmeter", "metric", "update", "Shop/Checkouts"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).ok()?.command {
            Command::Metric(super::super::Metric::Update(update)) => Some(update.definition),
            _ => None,
        }
    }

    fn paths(arguments: &[&str], metric: &mut Metric) -> Vec<String> {
        let mut changes = Changes::default();
        definition(arguments).unwrap().apply(metric, &mut changes);
        changes.mask().unwrap().paths
    }

    fn checkouts() -> Metric {
        Metric {
            name: "Shop/Checkouts".into(),
            description: "Orders".into(),
            selector: Some(Selector {
                method_class: wire::MethodClass::Write.into(),
                action: "checkout".into(),
                filter: "duration > 5".into(),
            }),
            measure: wire::Measure::ResponseSize.into(),
            unit: "By".into(),
            default_observed: wire::Observed::Averaged.into(),
            label_sets: ["application", "service,user"].map(|text| parse_label_set(text).unwrap()).into(),
            version: 3,
            create_time: Some(prost_types::Timestamp { seconds: 1_795_168_800, nanos: 0 }),
            backfill: Some(Backfill { state: State::Pending.into(), ..Backfill::default() }),
            ..Metric::default()
        }
    }

    #[test]
    fn only_what_is_given_changes() {
        let mut metric = checkouts();
        assert_eq!(paths(&["--unit", "kBy", "--measure", "response-size"], &mut metric), ["measure", "unit"]);
        assert_eq!(metric, Metric { unit: "kBy".into(), ..checkouts() });
        let all = [
            "--description",
            "d",
            "--method-class",
            "any",
            "--action",
            "",
            "--filter",
            "",
            "--measure",
            "count",
            "--unit",
            "",
            "--observed",
            "default",
            "--keep",
            "",
        ];
        let all = paths(&all, &mut metric);
        let expected = ["selector", "description", "measure", "unit", "default_observed", "label_sets"];
        assert_eq!(all, expected);
        assert_eq!((metric.selector, metric.label_sets), (None, Vec::new()));
    }

    #[test]
    fn changing_a_part_of_the_selector_needs_the_rest() {
        assert!(definition(&["--action", "x"]).unwrap().needs_current());
        assert!(!definition(&["--unit", "x"]).unwrap().needs_current());
        let all = ["--action", "x", "--filter", "", "--method-class", "read"];
        assert!(!definition(&all).unwrap().needs_current());
        let mut metric = checkouts();
        assert_eq!(paths(&["--action", "pay"], &mut metric), ["selector"]);
        assert_eq!(metric.selector.unwrap().filter, "duration > 5");
    }

    #[test]
    fn a_change_needs_a_flag() {
        assert!(definition(&[]).is_none());
        assert!(definition(&["--version", "2", "--wait"]).is_none());
        assert!(definition(&["--keep", "a,,b"]).is_none());
        assert!(definition(&["--version", "0", "--unit", "x"]).is_none());
    }

    #[test]
    fn keep_can_be_repeated() {
        let mut metric = Metric::default();
        assert_eq!(paths(&["--keep", "application, user", "--keep", "key"], &mut metric), ["label_sets"]);
        assert_eq!(kept(&metric), "application,user; key");
    }

    #[test]
    fn metrics_of_assets_show_why_they_have_no_default() {
        let of_assets = |name: &str, unit: &str, observed: wire::Observed| Metric {
            name: name.into(),
            unit: unit.into(),
            default_observed: observed.into(),
            version: 1,
            ..Metric::default()
        };
        let fresh = of_assets("asset/isFresh", "1", wire::Observed::FractionTrue);
        let mixed = of_assets("asset/mixed", "", wire::Observed::Unspecified);
        insta::assert_snapshot!(rows(&[fresh.clone(), mixed], usize::MAX), @r"
        NAME           MEASURE  UNIT  OBSERVED                    EVENTS                  KEPT BY  ORIGIN
        asset/isFresh  count          fraction-true               none: values of assets           version 1
        asset/mixed    count          none: numbers and booleans  none: values of assets           version 1
        ");
        let shown = describe(&fresh, Timestamp::UNIX_EPOCH);
        assert!(!shown.contains("unit"), "{shown}");
    }

    #[test]
    fn metrics_are_listed_and_described() {
        let built_in = Metric { name: "ODSLRequest/Requests".into(), built_in: true, ..Metric::default() };
        insta::assert_snapshot!(rows(&[checkouts(), built_in], usize::MAX), @r"
        NAME                  MEASURE        UNIT   OBSERVED  EVENTS                                                   KEPT BY                    ORIGIN
        Shop/Checkouts        response-size  bytes  averaged  methods that write, action checkout, where duration > 5  application; service,user  version 3
        ODSLRequest/Requests  count                           all                                                                                 built in
        ");
        insta::assert_snapshot!(describe(&checkouts(), Timestamp::UNIX_EPOCH), @r"
        name         Shop/Checkouts
        description  Orders
        events       methods that write, action checkout, where duration > 5
        measure      response-size
        unit         bytes
        observed     averaged
        kept by      application; service,user
        origin       version 3
        created      2026-11-20T10:00:00Z
        backfill     waiting for a worker
        ");
    }
}
