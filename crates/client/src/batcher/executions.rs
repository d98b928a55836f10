//! What reports of executions come to in a batch.

use flowmeter_proto::v1::ExecutionReport;
use prost::Message;

/// The metrics of all reports of a batch, as the contract has it.
pub(super) const MAX_BATCH_METRICS: usize = 10_000;

/// What an event holds besides names: its id, time, provider and count, and what frames them and its three names.
const EVENT_BYTES: usize = 160;
/// What an update of a schedule holds besides names.
const SCHEDULE_BYTES: usize = 80;

/// The bytes to set aside for a report: those of the events that it becomes, if they are more than its own.
///
/// Each metric becomes an event that repeats the names of its report, and the service takes a batch only if its
/// events have no more than 4 MiB as well. A batch beyond that could be sent in halves, but not after an attempt
/// without an answer.
pub(super) fn reserved_bytes(report: &ExecutionReport) -> usize {
    let names = report.integration.len() + report.instance.len() + report.command.len();
    let events = report.metrics.iter().map(|metric| EVENT_BYTES + names + metric.r#type.len());
    let schedule = report.schedule.as_ref().map(|schedule| SCHEDULE_BYTES + names + schedule.id.len());
    report.encoded_len().max(events.chain(schedule).sum())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;
    use flowmeter_proto::queue::{Request, Schedule, Usage};
    use flowmeter_proto::v1::{ExecutionMetric, ExecutionSchedule, UsageEvent};
    use prost_types::Timestamp;

    use super::*;

    /// What the service queues of a report whose types are not settled to others.
    fn queued(report: &ExecutionReport) -> Request {
        let attributes = HashMap::from([
            ("integration".to_owned(), report.integration.clone()),
            ("instance".to_owned(), report.instance.clone()),
            ("command".to_owned(), report.command.clone()),
        ]);
        let usage = report.metrics.iter().map(|metric| {
            let event = UsageEvent {
                provider: "Executions".into(),
                timestamp: report.timestamp,
                r#type: metric.r#type.clone(),
                value: Some(metric.count),
                attributes: attributes.clone(),
                ..UsageEvent::default()
            };
            Usage { id: Bytes::from_static(&[1; 16]), keyed: false, event: event.encode_to_vec().into() }
        });
        let schedules = report.schedule.iter().map(|schedule| Schedule {
            schedule_id: schedule.id.clone(),
            integration: report.integration.clone(),
            instance: report.instance.clone(),
            command: report.command.clone(),
            items_remaining: schedule.items_remaining,
            deadline_micros: i64::MAX,
            update_id: Bytes::from_static(&[1; 16]),
        });
        Request { usage: usage.collect(), schedules: schedules.collect(), ..Request::default() }
    }

    #[test]
    fn what_is_set_aside_holds_what_a_report_becomes() {
        for name_bytes in [0, 1, 127, 128, 1024] {
            for metrics in [0, 1, 100] {
                let name = "n".repeat(name_bytes);
                let report = ExecutionReport {
                    integration: name.clone(),
                    instance: name.clone(),
                    command: name.clone(),
                    timestamp: Some(Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 }),
                    metrics: vec![ExecutionMetric { r#type: name.clone(), count: i64::MAX }; metrics],
                    schedule: Some(ExecutionSchedule {
                        id: name,
                        items_remaining: i64::MAX,
                        deadline: Some(Timestamp::default()),
                    }),
                };
                let (reserved, queued) = (reserved_bytes(&report), queued(&report).encoded_len());
                assert!(reserved >= queued, "{reserved} < {queued}: {name_bytes} bytes, {metrics} metrics");
                assert!(reserved >= report.encoded_len());
            }
        }
    }
}
