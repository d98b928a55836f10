//! Reports of executions as usage events: one event for each type of a report, whose value is the number of
//! calls.

use flowmeter_core::execution::{PROVIDER, settled_type};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{ExecutionMetric, ExecutionReport, UsageEvent};

use crate::time;

/// The source of calls. An empty name is unknown, and does not become an attribute of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The integration.
    pub integration: &'a str,
    /// The instance of the integration.
    pub instance: &'a str,
    /// The command of the integration.
    pub command: &'a str,
}

impl<'a> Caller<'a> {
    /// The caller that a report names.
    #[must_use]
    pub fn of(report: &'a ExecutionReport) -> Self {
        Self { integration: &report.integration, instance: &report.instance, command: &report.command }
    }

    /// The usage event of `count` calls that ended in `result`, at `timestamp`.
    #[must_use]
    pub fn usage_event(self, result: &str, count: i64, timestamp: Timestamp) -> UsageEvent {
        let attributes =
            [("integration", self.integration), ("instance", self.instance), ("command", self.command)];
        let known = attributes.into_iter().filter(|(_, value)| !value.is_empty());
        UsageEvent {
            provider: PROVIDER.to_owned(),
            timestamp: Some(time::to_proto(timestamp)),
            r#type: result.to_owned(),
            value: Some(count),
            attributes: known.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..UsageEvent::default()
        }
    }
}

/// The usage events of a valid report at `timestamp`: one for each settled type, in the order in which the
/// types first occur. Types without calls are left out. `allow_all` keeps types other than the six standard
/// ones.
#[must_use]
pub fn usage_events(report: &ExecutionReport, timestamp: Timestamp, allow_all: bool) -> Vec<UsageEvent> {
    let caller = Caller::of(report);
    let calls = calls_by_type(&report.metrics, allow_all);
    calls.into_iter().map(|(result, count)| caller.usage_event(result, count, timestamp)).collect()
}

fn calls_by_type(metrics: &[ExecutionMetric], allow_all: bool) -> Vec<(&str, i64)> {
    let mut calls: Vec<(&str, i64)> = Vec::new();
    for metric in metrics.iter().filter(|metric| metric.count > 0) {
        let result = settled_type(&metric.r#type, allow_all);
        match calls.iter_mut().find(|(known, _)| *known == result) {
            Some((_, count)) => *count += metric.count,
            None => calls.push((result, metric.count)),
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

    fn report(instance: &str, metrics: &[(&str, i64)]) -> ExecutionReport {
        let metric = |(name, count): &(&str, i64)| ExecutionMetric { r#type: (*name).into(), count: *count };
        ExecutionReport {
            integration: "VirusTotal".into(),
            instance: instance.into(),
            command: "url".into(),
            metrics: metrics.iter().map(metric).collect(),
            ..ExecutionReport::default()
        }
    }

    #[test]
    fn calls_add_up_by_settled_type() {
        let report = report("", &[("Successful", 3), ("QuotaError", 2), ("SSLError", 4), ("OutOfQuota", 5)]);
        let calls = |allow_all| {
            let events = usage_events(&report, TIME, allow_all);
            events.into_iter().map(|event| (event.r#type, event.value.unwrap())).collect::<Vec<_>>()
        };
        let expected = |list: [(&str, i64); 3]| list.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(calls(false), expected([("Successful", 3), ("OutOfQuota", 7), ("GeneralError", 4)]));
        assert_eq!(calls(true), expected([("Successful", 3), ("OutOfQuota", 7), ("SSLError", 4)]));
    }

    #[test]
    fn types_without_calls_become_no_events() {
        assert_eq!(usage_events(&report("", &[]), TIME, false), []);
        assert_eq!(usage_events(&report("", &[("Successful", 0)]), TIME, false), []);
    }

    #[test]
    fn an_event_carries_the_names_that_are_known() {
        for (instance, expected) in [("", None), ("vt-prod", Some("vt-prod"))] {
            let events = usage_events(&report(instance, &[("AuthError", 1)]), TIME, false);
            let event = &events[0];
            let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
            assert_eq!(attribute("integration"), Some("VirusTotal"));
            assert_eq!(attribute("instance"), expected);
            assert_eq!(attribute("command"), Some("url"));
            assert_eq!(event.provider, "Executions");
            assert_eq!(event.timestamp, Some(time::to_proto(TIME)));
        }
    }
}
