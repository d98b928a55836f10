//! The limits of a batch of executions.

use flowmeter_proto::v1::ExecutionReport;
use prost::Message;

/// The largest number of metrics of all reports of a batch, from the contract.
pub(super) const MAX_BATCH_METRICS: usize = 10_000;

/// The bytes of a queued event without its names: id, time, provider, count, and the framing of these and of the names.
const EVENT_BYTES: usize = 160;
/// The bytes of a queued schedule without its names.
const SCHEDULE_BYTES: usize = 80;

/// The bytes to reserve for a report: its own size, or the size of the resulting usage events if they are larger.
///
/// Each metric becomes a usage event that repeats the names of its report, and the service also limits these events to
/// 4 MiB. A larger batch could be sent in halves, but not after an attempt without an answer.
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

    /// The request that the service queues for a report, if all types are kept unchanged.
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
    fn the_reserved_bytes_hold_the_queued_request() {
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
