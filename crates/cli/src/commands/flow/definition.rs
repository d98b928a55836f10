//! The definition of a flow: reads it from flags, and shows it.

use std::time::Duration;

use clap::Args;
use flowmeter_proto::v1::Flow;
use jiff::SignedDuration;

use crate::{
    mask::Changes,
    moment,
    render::{
        table::{Align, properties, table_within},
        text::shorten,
    },
    words::flow::is_checked,
};

/// The flags of [`Definition`]. A change needs at least one of them.
pub(super) const FLAGS: [&str; 5] =
    ["name", "endpoint_url", "data_api_version", "time_zone", "check_interval"];

/// The maximum widths of a name and of a URL in a list, in terminal columns.
const NAME: usize = 24;
const URL: usize = 40;

/// The parts of a flow that were given.
#[derive(Debug, Args)]
pub(super) struct Definition {
    /// The display name.
    #[arg(long)]
    name: Option<String>,

    /// The http or https URL of the endpoint. Default: none, which means no checks.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// The version of the data API that the endpoint speaks, such as 3.0. Endpoints of version 3.0
    /// or later are checked. Default: none, which means no checks.
    #[arg(long, value_name = "VERSION")]
    data_api_version: Option<String>,

    /// The time zone of the days and hours of its metrics, such as America/Los_Angeles.
    /// Default: UTC.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// How often to check the endpoint, from 1s to 24h, such as 30s; or default for the setting of
    /// the worker.
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    check_interval: Option<Interval>,
}

/// How often to check. None for the default interval of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval(Option<Duration>);

fn parse_interval(text: &str) -> Result<Interval, String> {
    if text == "default" {
        return Ok(Interval(None));
    }
    let interval = moment::parse_duration(text).map_err(|reason| format!("{reason}, or default"))?;
    Ok(Interval(Some(interval)))
}

impl Definition {
    /// Sets the given parts of a flow, and adds them to the changes.
    pub(super) fn apply(self, flow: &mut Flow, changes: &mut Changes) {
        changes.set("name", &mut flow.name, self.name);
        changes.set("endpoint_url", &mut flow.endpoint_url, self.endpoint_url);
        changes.set("data_api_version", &mut flow.data_api_version, self.data_api_version);
        changes.set("time_zone", &mut flow.time_zone, self.time_zone);
        let interval = self.check_interval.map(|Interval(interval)| interval.map(moment::duration_to_wire));
        changes.set("check_interval", &mut flow.check_interval, interval);
    }
}

/// A table of flows, at most `columns` wide.
pub(super) fn rows(flows: &[Flow], columns: usize) -> String {
    let heading = ["ID", "NAME", "TIME ZONE", "API", "CHECKED", "ENDPOINT"];
    let row = |flow: &Flow| {
        [
            flow.id.clone(),
            shorten(&flow.name, NAME),
            time_zone(flow),
            flow.data_api_version.clone(),
            if is_checked(flow) { interval(flow).unwrap_or_else(|| "yes".into()) } else { "no".into() },
            shorten(&flow.endpoint_url, URL),
        ]
    };
    table_within(
        columns,
        heading.map(|title| (title, Align::Left)),
        flows.iter().map(row).collect::<Vec<_>>(),
    )
}

/// All properties of a flow, followed by the lines of a summary.
pub(super) fn describe(flow: &Flow, summary: &[(&'static str, String)]) -> String {
    let mut pairs = vec![
        ("id", flow.id.clone()),
        ("name", flow.name.clone()),
        ("endpoint", flow.endpoint_url.clone()),
        ("data API", flow.data_api_version.clone()),
        ("time zone", time_zone(flow)),
        ("checked", checked(flow)),
        ("version", flow.version.to_string()),
        ("created", moment::rfc3339(flow.create_time.as_ref())),
        ("changed", moment::rfc3339(flow.update_time.as_ref())),
    ];
    pairs.extend_from_slice(summary);
    properties(&pairs)
}

fn checked(flow: &Flow) -> String {
    match interval(flow) {
        _ if flow.endpoint_url.is_empty() => "no, it has no endpoint URL".into(),
        _ if !is_checked(flow) => "no, the data API version is older than 3.0".into(),
        Some(interval) => format!("every {interval}"),
        None => "at the worker's default interval".into(),
    }
}

fn interval(flow: &Flow) -> Option<String> {
    let interval = flow.check_interval.as_ref()?;
    Some(format!("{:#}", SignedDuration::new(interval.seconds, interval.nanos)))
}

fn time_zone(flow: &Flow) -> String {
    if flow.time_zone.is_empty() { "UTC".into() } else { flow.time_zone.clone() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn definition(arguments: &[&str]) -> Option<Definition> {
        let arguments = ["flowmeter", "flow", "update", "signup"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).ok()?.command {
            Command::Flow(super::super::Flow::Update(update)) => Some(update.definition),
            _ => None,
        }
    }

    fn apply(arguments: &[&str], flow: &mut Flow) -> Vec<String> {
        let mut changes = Changes::default();
        definition(arguments).unwrap().apply(flow, &mut changes);
        changes.mask().unwrap().paths
    }

    fn signup() -> Flow {
        Flow {
            id: "signup".into(),
            name: "Sign up".into(),
            endpoint_url: "https://example.com/flow".into(),
            data_api_version: "3.0".into(),
            time_zone: "America/Los_Angeles".into(),
            check_interval: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            version: 2,
            ..Flow::default()
        }
    }

    #[test]
    fn only_what_is_given_changes() {
        let mut flow = signup();
        assert_eq!(apply(&["--name", "", "--check-interval", "30s"], &mut flow), ["name", "check_interval"]);
        assert_eq!((flow.name.as_str(), checked(&flow).as_str()), ("", "every 30s"));
        assert_eq!(apply(&["--check-interval", "default"], &mut flow), ["check_interval"]);
        assert_eq!(checked(&flow), "at the worker's default interval");
        assert_eq!(flow.time_zone, "America/Los_Angeles");
        for wrong in [&[][..], &["--version", "2"], &["--check-interval", "soon"]] {
            assert!(definition(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_flow_without_checks_shows_the_reason() {
        let mut flow = signup();
        flow.data_api_version = "2.1".into();
        assert_eq!(checked(&flow), "no, the data API version is older than 3.0");
        flow.data_api_version = "12.0".into();
        assert!(is_checked(&flow));
        flow.endpoint_url.clear();
        assert_eq!(checked(&flow), "no, it has no endpoint URL");
    }

    #[test]
    fn flows_are_listed_and_described() {
        let plain = Flow { id: "größe".into(), version: 1, ..Flow::default() };
        insta::assert_snapshot!(rows(&[signup(), plain], usize::MAX), @r"
        ID      NAME     TIME ZONE            API  CHECKED  ENDPOINT
        signup  Sign up  America/Los_Angeles  3.0  1m 30s   https://example.com/flow
        größe            UTC                       no
        ");
        insta::assert_snapshot!(describe(&signup(), &[("requests", "315".into())]), @r"
        id         signup
        name       Sign up
        endpoint   https://example.com/flow
        data API   3.0
        time zone  America/Los_Angeles
        checked    every 1m 30s
        version    2
        requests   315
        ");
    }
}
