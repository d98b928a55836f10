//! The metrics that every tenant has: those of the OpenDataDSL metric service, and the calls of executions.

use super::{LabelSet, Measure, MethodClass, MetricDefinition, Observed, Selector};
use crate::execution;
use crate::usage::Field;

/// A provider that every tenant has.
#[derive(Debug, Clone, Copy)]
pub struct BuiltInProvider {
    /// Its name.
    pub name: &'static str,
    /// A description of its metrics.
    pub description: &'static str,
    /// The fields by which its events are usually filtered.
    pub filter_fields: &'static [&'static str],
    pub(super) define: fn() -> Vec<MetricDefinition>,
}

/// The providers that every tenant has, by name.
pub const BUILT_IN_PROVIDERS: [BuiltInProvider; 4] = [
    BuiltInProvider {
        name: "AzureServiceBus",
        description: "Azure Service Bus: the action of an event names the metric, and its value is measured",
        filter_fields: &["queue"],
        define: azure_service_bus,
    },
    BuiltInProvider {
        name: execution::PROVIDER,
        description: "API calls of executions of integrations, from ReportExecutions",
        filter_fields: &execution::LABELS,
        define: executions,
    },
    BuiltInProvider {
        name: "ODSLProcess",
        description: "Runs of processes",
        filter_fields: &["name", "trigger", "status"],
        define: odsl_process,
    },
    BuiltInProvider {
        name: "ODSLRequest",
        description: "Requests to REST services: reads, writes and deletes, by HTTP method",
        filter_fields: &["service", "key", "action", "application", "httpstatus", "user"],
        define: odsl_request,
    },
];

fn label_sets(sets: &[&[&str]]) -> Vec<LabelSet> {
    let kept = sets.iter().map(|set| LabelSet::new(set.iter().map(|name| Field::named(name)).collect()));
    std::iter::once(LabelSet::new(Vec::new())).chain(kept).collect()
}

fn built_in(selector: Selector, name: &str, description: &str, measure: Measure) -> MetricDefinition {
    MetricDefinition {
        full_name: format!("{}/{name}", selector.provider),
        description: description.to_owned(),
        generation: 0,
        selector,
        measure,
        unit: measure.unit().to_owned(),
        default_observed: measure.default_observed(),
        label_sets: Vec::new(),
    }
}

/// The value of an event is its number of calls. The label set with all labels answers any query; the other
/// label sets serve the dashboards that are used every day.
fn executions() -> Vec<MetricDefinition> {
    let selector = Selector { provider: execution::PROVIDER.into(), ..Selector::default() };
    vec![MetricDefinition {
        unit: "1".to_owned(),
        default_observed: Observed::Summed,
        label_sets: label_sets(&[
            &["type"],
            &["integration", "type"],
            &["command", "type"],
            &execution::LABELS,
        ]),
        ..built_in(selector, execution::METRIC, "The number of API calls by result", Measure::Value)
    }]
}

fn odsl_request() -> Vec<MetricDefinition> {
    let sets = label_sets(&[&["service"], &["application", "method"], &["httpstatus"]]);
    let define = |name: &str, description: &str, class, measure| MetricDefinition {
        label_sets: sets.clone(),
        ..built_in(
            Selector { provider: "ODSLRequest".into(), method_class: Some(class), ..Selector::default() },
            name,
            description,
            measure,
        )
    };
    vec![
        define("ReadRequests", "A count of the read requests", MethodClass::Read, Measure::Count),
        define("WriteRequests", "A count of the write requests", MethodClass::Write, Measure::Count),
        define("DeleteRequests", "A count of the delete requests", MethodClass::Delete, Measure::Count),
        define(
            "ReadRequestDuration",
            "The durations of read requests in ms",
            MethodClass::Read,
            Measure::Duration,
        ),
        define(
            "ReadRequestResponseSize",
            "The sizes of the responses to read requests in bytes",
            MethodClass::Read,
            Measure::ResponseSize,
        ),
    ]
}

fn odsl_process() -> Vec<MetricDefinition> {
    let sets = label_sets(&[&["name"], &["trigger", "status"]]);
    let define = |name: &str, description: &str, measure| MetricDefinition {
        label_sets: sets.clone(),
        ..built_in(
            Selector { provider: "ODSLProcess".into(), ..Selector::default() },
            name,
            description,
            measure,
        )
    };
    vec![
        define("RunRequests", "A count of the runs", Measure::Count),
        define("RunRequestDuration", "The durations of the runs in ms", Measure::Duration),
    ]
}

/// The metrics of Azure: the action of an event is the name of the metric, and its value is measured.
fn azure_service_bus() -> Vec<MetricDefinition> {
    use Observed::{Averaged, Summed};
    const METRICS: [(&str, &str, Observed, &str); 21] = [
        ("SuccessfulRequests", "1", Summed, "Requests that succeeded"),
        ("ServerErrors", "1", Summed, "Requests that failed because of the service"),
        ("UserErrors", "1", Summed, "Requests that failed because of the caller"),
        ("ThrottledRequests", "1", Summed, "Requests that were throttled"),
        ("IncomingRequests", "1", Summed, "Requests received"),
        ("IncomingMessages", "1", Summed, "Messages received"),
        ("OutgoingMessages", "1", Summed, "Messages delivered"),
        ("ActiveConnections", "1", Averaged, "Connections that are open"),
        ("ConnectionsOpened", "1", Summed, "Connections that were opened"),
        ("ConnectionsClosed", "1", Summed, "Connections that were closed"),
        ("Size", "By", Averaged, "The size of the queue"),
        ("Messages", "1", Averaged, "Messages in the queue"),
        ("ActiveMessages", "1", Averaged, "Messages ready to be delivered"),
        ("DeadletteredMessages", "1", Averaged, "Messages in the dead-letter queue"),
        ("ScheduledMessages", "1", Averaged, "Messages that are scheduled for later"),
        ("CompleteMessage", "1", Summed, "Messages completed by their receivers"),
        ("AbandonMessage", "1", Summed, "Messages abandoned by their receivers"),
        ("PendingCheckpointOperationCount", "1", Averaged, "Checkpoints that are not written yet"),
        ("ServerSendLatency", "ms", Averaged, "The time that the service takes to send a message"),
        ("ReplicationLagDuration", "s", Averaged, "The delay of the replica"),
        ("ReplicationLagCount", "1", Averaged, "Messages that the replica has not received yet"),
    ];
    let define =
        |(name, unit, default_observed, description): (&str, &str, Observed, &str)| MetricDefinition {
            unit: unit.to_owned(),
            default_observed,
            label_sets: label_sets(&[&["queue"]]),
            ..built_in(
                Selector {
                    provider: "AzureServiceBus".into(),
                    action: Some(name.into()),
                    ..Selector::default()
                },
                name,
                description,
                Measure::Value,
            )
        };
    METRICS.into_iter().map(define).collect()
}
