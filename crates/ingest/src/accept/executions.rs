//! Reports of executions. Each type in a report becomes a usage event, whose value is the number of calls.

use std::time::Duration;

use bytes::Bytes;
use flowmeter_contract::executions::usage_events;
use flowmeter_core::ids::{EventId, RequestEventIds};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Limits as EventLimits;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::{Schedule, Usage};
use flowmeter_proto::raw::ReportExecutionsRequest;
use flowmeter_proto::v1::{ExecutionReport, ExecutionSchedule};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::{ApiError, Reason};
use prost::Message;

use super::rejections::Rejections;
use super::{Decision, Limits, start};

/// The maximum number of metrics in a report.
const MAX_METRICS: usize = 100;
/// The maximum number of calls of a metric, and of items of a schedule. Their sum over a batch fits into an
/// int64.
const MAX_COUNT: i64 = 1_000_000_000_000;
/// How far in the future a deadline can be.
const MAX_DEADLINE_AHEAD: Duration = Duration::from_hours(400 * 24);

/// Decides about a batch of `caller` at the time `now`.
pub fn decide(
    caller: &Caller,
    batch: &ReportExecutionsRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<Decision, ApiError> {
    limits.batch.check("reports", &batch.reports)?;
    let (request_id, mut request) = start(caller.tenant, &batch.request_id, now)?;
    let ids = RequestEventIds::new(caller.tenant, request_id);
    let (mut accepted, mut rejections, mut violations) = (0, Rejections::of("reports"), Vec::new());
    for (index, bytes) in batch.reports.iter().enumerate() {
        let Some(report) = read(bytes, &mut violations) else {
            rejections.push(index, Reason::InvalidField, &mut violations);
            continue;
        };
        let timestamp = time(&report, request_id.timestamp(), &mut violations);
        check(&report, timestamp, &limits.event, now, &mut violations);
        if !violations.is_empty() {
            rejections.push(index, Reason::InvalidField, &mut violations);
            continue;
        }
        accepted += 1;
        let update = EventId::of_update(request_id, index, timestamp);
        request
            .schedules
            .extend(report.schedule.as_ref().map(|schedule| to_queue(&report, schedule, update)));
        for event in usage_events(&report, timestamp, caller.allow_all_metric_types) {
            let id = Bytes::copy_from_slice(ids.at(request.usage.len(), timestamp).0.as_bytes());
            request.usage.push(Usage { id, keyed: false, event: event.encode_to_vec().into() });
        }
        if request.usage.len() > limits.batch.max_items {
            let text = format!("expected at most {} metrics in all reports", limits.batch.max_items);
            return Err(ApiError::too_large(text));
        }
    }
    // Each event repeats the names of its report, so the events can be larger than the request.
    let bytes = request.encoded_len();
    if bytes > limits.batch.max_bytes {
        let most = limits.batch.max_bytes;
        let text = format!(
            "expected reports that become events of at most {most} bytes, found {bytes}: send fewer at once"
        );
        return Err(ApiError::too_large(text));
    }
    Ok(Decision { request, request_id, accepted, bytes, rejections: rejections.into_vec() })
}

fn read(bytes: &[u8], violations: &mut Vec<Violation>) -> Option<ExecutionReport> {
    let report = ExecutionReport::decode(bytes).ok();
    if report.is_none() {
        let text = "expected an encoded flowmeter.v1.ExecutionReport with text in UTF-8";
        violations.push(Violation::new("", text));
    }
    report
}

/// The time of a report.
fn time(report: &ExecutionReport, request_time: Timestamp, violations: &mut Vec<Violation>) -> Timestamp {
    let Some(given) = report.timestamp else { return request_time };
    Timestamp::from_seconds_nanos(given.seconds, given.nanos).unwrap_or_else(|| {
        let text = "expected a time in the years 0001 to 9999 with nanos from 0 to 999999999";
        violations.push(Violation::new("timestamp", text));
        request_time
    })
}

/// Adds the violations of a report with this time.
fn check(
    report: &ExecutionReport,
    timestamp: Timestamp,
    limits: &EventLimits,
    now: Timestamp,
    violations: &mut Vec<Violation>,
) {
    if report.integration.is_empty() {
        violations.push(Violation::new("integration", "expected the name of an integration"));
    }
    let texts =
        [("integration", &report.integration), ("instance", &report.instance), ("command", &report.command)];
    for (field, text) in texts {
        limits.check_text(field, text, violations);
    }
    let (oldest, newest) = (now.minus(limits.max_event_age), now.plus(limits.max_event_ahead));
    violations.extend(timestamp.check_between(oldest, newest).err());
    if let Some(schedule) = &report.schedule {
        check_schedule(schedule, limits, now, violations);
    }
    if report.metrics.len() > MAX_METRICS {
        let text = format!("expected at most {MAX_METRICS}, found {}", report.metrics.len());
        violations.push(Violation::new("metrics", text));
        return;
    }
    for (index, metric) in report.metrics.iter().enumerate() {
        let field = |name: &str| format!("metrics[{index}].{name}");
        if metric.r#type.is_empty() {
            violations.push(Violation::new(field("type"), "expected a type such as Successful"));
        }
        limits.check_text(&field("type"), &metric.r#type, violations);
        violations.extend(check_count(&field("count"), metric.count).err());
    }
}

fn check_count(field: &str, count: i64) -> Result<(), Violation> {
    if (0..=MAX_COUNT).contains(&count) {
        return Ok(());
    }
    Err(Violation::new(field, format!("expected 0 to {MAX_COUNT}, found {count}")))
}

/// Adds the violations of a schedule.
fn check_schedule(
    schedule: &ExecutionSchedule,
    limits: &EventLimits,
    now: Timestamp,
    violations: &mut Vec<Violation>,
) {
    if schedule.id.is_empty() {
        violations.push(Violation::new("schedule.id", "expected the id of a schedule"));
    }
    limits.check_text("schedule.id", &schedule.id, violations);
    violations.extend(check_count("schedule.items_remaining", schedule.items_remaining).err());
    let (oldest, latest) = (now.minus(limits.max_event_age), now.plus(MAX_DEADLINE_AHEAD));
    let text = match deadline(schedule) {
        None if schedule.deadline.is_none() && schedule.items_remaining == 0 => return,
        Some(deadline) if (oldest..=latest).contains(&deadline) => return,
        Some(deadline) => format!("expected a time from {oldest} to {latest}, found {deadline}"),
        None => "expected the time until which the remaining items are tried".to_owned(),
    };
    violations.push(Violation::new("schedule.deadline", text));
}

fn deadline(schedule: &ExecutionSchedule) -> Option<Timestamp> {
    let deadline = schedule.deadline?;
    Timestamp::from_seconds_nanos(deadline.seconds, deadline.nanos)
}

fn to_queue(report: &ExecutionReport, schedule: &ExecutionSchedule, update: EventId) -> Schedule {
    Schedule {
        schedule_id: schedule.id.clone(),
        integration: report.integration.clone(),
        instance: report.instance.clone(),
        command: report.command.clone(),
        items_remaining: schedule.items_remaining,
        deadline_micros: deadline(schedule).map_or(0, Timestamp::micros),
        update_id: Bytes::copy_from_slice(update.0.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::BatchLimits;
    use crate::accept::tests::{LIMITS, request_at};
    use flowmeter_contract::wire::read_usage_event;
    use flowmeter_core::ids::TenantId;
    use flowmeter_core::usage::TextField;
    use flowmeter_proto::v1::ExecutionMetric;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn report(metrics: &[(&str, i64)]) -> ExecutionReport {
        let metric = |(name, count): &(&str, i64)| ExecutionMetric { r#type: (*name).into(), count: *count };
        ExecutionReport {
            integration: "VirusTotal".into(),
            command: "url".into(),
            metrics: metrics.iter().map(metric).collect(),
            ..ExecutionReport::default()
        }
    }

    fn decided(reports: &[ExecutionReport], allow_all: bool) -> Decision {
        let reports = reports.iter().map(|report| report.encode_to_vec().into()).collect();
        let batch = ReportExecutionsRequest { reports, request_id: request_at(1_800_000_000) };
        let limits = Limits { batch: BatchLimits { max_items: 10, ..LIMITS.batch }, ..LIMITS };
        let caller = Caller { tenant: TENANT, scopes: Vec::new(), allow_all_metric_types: allow_all };
        decide(&caller, &batch, &limits, NOW).unwrap()
    }

    fn events(decision: &Decision) -> Vec<(String, String)> {
        let shown = |usage: &Usage| {
            let event = read_usage_event(&usage.event, &mut Vec::new());
            assert_eq!(event.text(TextField::Provider), "Executions");
            assert_eq!(
                (event.attribute("integration"), event.attribute("instance")),
                (Some("VirusTotal"), None)
            );
            assert_eq!(event.timestamp, Some(NOW));
            (event.text(TextField::Type).to_owned(), event.value.unwrap().to_string())
        };
        decision.request.usage.iter().map(shown).collect()
    }

    #[test]
    fn calls_add_up_by_settled_type() {
        let mixed = report(&[
            ("Successful", 3),
            ("QuotaError", 2),
            ("ProxyError", 4),
            ("OutOfQuota", 5),
            ("SSLError", 1),
            ("AuthError", 0),
        ]);
        let own = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(name, count)| ((*name).into(), (*count).into())).collect()
        };
        let decision = decided(std::slice::from_ref(&mixed), false);
        assert_eq!(
            events(&decision),
            own(&[("Successful", "3"), ("OutOfQuota", "7"), ("GeneralError", "5")])
        );
        assert_eq!(decision.accepted, 1);
        let decision = decided(&[mixed, report(&[])], true);
        let all = own(&[("Successful", "3"), ("OutOfQuota", "7"), ("ProxyError", "4"), ("SSLError", "1")]);
        assert_eq!(events(&decision), all);
        assert_eq!(decision.accepted, 2, "a report without calls is valid");
    }

    #[test]
    fn counts_have_limits() {
        let with_items = |items_remaining| ExecutionReport {
            schedule: Some(ExecutionSchedule {
                id: "run-1".into(),
                items_remaining,
                deadline: Some(prost_types::Timestamp { seconds: 1_800_000_600, nanos: 0 }),
            }),
            ..report(&[])
        };
        let greatest = report(&[("Successful", MAX_COUNT), ("Successful", MAX_COUNT)]);
        let decision = decided(&[greatest, with_items(MAX_COUNT)], false);
        assert_eq!(events(&decision), [("Successful".to_owned(), (2 * MAX_COUNT).to_string())]);
        assert_eq!(decision.accepted, 2);
        let decision = decided(
            &[
                report(&[("Successful", MAX_COUNT + 1)]),
                report(&[("Successful", -1)]),
                with_items(MAX_COUNT + 1),
                with_items(-1),
            ],
            false,
        );
        let texts: Vec<_> = decision
            .rejections
            .iter()
            .map(|rejection| {
                let violation = &rejection.field_violations[0];
                format!("{}: {}", violation.field, violation.description)
            })
            .collect();
        assert_eq!(
            texts,
            [
                "reports[0].metrics[0].count: expected 0 to 1000000000000, found 1000000000001",
                "reports[1].metrics[0].count: expected 0 to 1000000000000, found -1",
                "reports[2].schedule.items_remaining: expected 0 to 1000000000000, found 1000000000001",
                "reports[3].schedule.items_remaining: expected 0 to 1000000000000, found -1",
            ]
        );
    }

    #[test]
    fn invalid_reports_are_rejected_and_the_others_accepted() {
        let long = "x".repeat(1_025);
        let wrong = [
            ExecutionReport { integration: String::new(), ..report(&[("Successful", 1)]) },
            report(&[("Successful", -1), ("", 1)]),
            ExecutionReport { command: long, ..report(&[("Successful", 1), ("AuthError", 1)]) },
            ExecutionReport {
                timestamp: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
                ..report(&[("Successful", 1)])
            },
            report(&vec![("Successful", 1); 101]),
            report(&[("Successful", 1)]),
        ];
        let decision = decided(&wrong, false);
        assert_eq!(decision.accepted, 1);
        let fields: Vec<_> = decision
            .rejections
            .iter()
            .map(|rejection| {
                let fields = rejection.field_violations.iter().map(|violation| violation.field.as_str());
                (rejection.index, fields.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            fields,
            [
                (0, vec!["reports[0].integration"]),
                (1, vec!["reports[1].metrics[0].count", "reports[1].metrics[1].type"]),
                (2, vec!["reports[2].command"]),
                (3, vec!["reports[3].timestamp"]),
                (4, vec!["reports[4].metrics"]),
            ]
        );
    }
}
