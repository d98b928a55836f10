//! Reads flows that a tenant registers. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use flowmeter_core::flow::{DataApiVersion, check_flow_id};
use flowmeter_core::violation::Violation;
use flowmeter_core::zone::zone;
use flowmeter_proto::v1;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::flows::NewFlow;

use super::endpoint_url;
use super::fields::check_text;

/// Reads a flow. The error lists all violations.
pub fn read(flow: v1::Flow) -> Result<NewFlow, ApiError> {
    let mut violations = Vec::new();
    violations.extend(check_flow_id("flow.id", &flow.id).err());
    check_text("flow.name", &flow.name, &mut violations);
    violations.extend(endpoint_url::check("flow.endpoint_url", &flow.endpoint_url).err());
    violations.extend(check_data_api_version("flow.data_api_version", &flow.data_api_version).err());
    let check_interval =
        check_interval("flow.check_interval", flow.check_interval).unwrap_or_else(|violation| {
            violations.push(violation);
            None
        });
    let time_zone = if flow.time_zone.is_empty() { "UTC".to_owned() } else { flow.time_zone };
    if let Err(error) = zone(&time_zone) {
        violations.push(Violation::from(error).within("flow.time_zone"));
    }
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    Ok(NewFlow {
        flow_id: flow.id,
        name: flow.name,
        endpoint_url: flow.endpoint_url,
        data_api_version: flow.data_api_version,
        time_zone,
        check_interval,
    })
}

/// Checks the version of the data API, if the flow names one.
fn check_data_api_version(field: &str, version: &str) -> Result<(), Violation> {
    if version.is_empty() {
        return Ok(());
    }
    DataApiVersion::parse(version).map(drop).map_err(|error| Violation::new(field, error.to_string()))
}

/// Reads the time between two checks of the endpoint, if the flow defines it.
fn check_interval(
    field: &str,
    interval: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Violation> {
    const ALLOWED: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
    let Some(interval) = interval else { return Ok(None) };
    let seconds = u64::try_from(interval.seconds).ok();
    let nanos = u32::try_from(interval.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let read = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    let allowed = read.filter(|interval| ALLOWED.contains(interval));
    allowed.map(Some).ok_or_else(|| Violation::new(field, "expected 1 s to 1 day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut v1::Flow)) -> String {
        let mut flow = v1::Flow { id: "f".into(), ..v1::Flow::default() };
        change(&mut flow);
        read(flow).err().map(|error| tonic::Status::from(error).message().to_owned()).unwrap_or_default()
    }

    #[test]
    fn an_endpoint_is_checked_from_every_second_to_once_a_day() {
        let interval =
            |seconds, nanos| wrong(|it| it.check_interval = Some(prost_types::Duration { seconds, nanos }));
        for (seconds, nanos) in [(1, 0), (1, 500_000_000), (86_400, 0)] {
            assert_eq!(interval(seconds, nanos), "", "{seconds}.{nanos:09}");
        }
        for (seconds, nanos) in
            [(0, 0), (0, 999_999_999), (86_400, 1), (-1, 0), (2, -1), (1, 1_000_000_000), (i64::MAX, 0)]
        {
            let expected = "flow.check_interval: expected 1 s to 1 day";
            assert_eq!(interval(seconds, nanos), expected, "{seconds}.{nanos:09}");
        }
    }

    #[test]
    fn an_error_names_all_that_is_wrong() {
        let all = wrong(|it| {
            it.id = "a\nb".into();
            it.name = "\0".into();
            it.endpoint_url = "ftp://host".into();
            it.data_api_version = "v3".into();
            it.time_zone = "Europe/Nowhere".into();
        });
        let fields: Vec<_> = all.split("; ").filter_map(|part| part.split(':').next()).collect();
        let expected =
            ["flow.id", "flow.name", "flow.endpoint_url", "flow.data_api_version", "flow.time_zone"];
        assert_eq!(fields, expected);
    }
}
