//! `flowmeter time-series`: the stored time series of objects.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};
use flowmeter_proto::v1::{
    self as wire, CreateTimeSeriesRequest, DeleteTimeSeriesRequest, GetTimeSeriesRequest,
    ListTimeSeriesRequest, TimeSeries as Found, UpdateTimeSeriesRequest,
};

use super::{answer, answer_deleted, list_width, note_next_page, quoted};
use crate::{
    arguments::Remote,
    connection,
    mask::Changes,
    moment,
    render::table::{Align, properties, table_within},
    resource,
    words::{self, Observed},
};

/// List, add, change and delete time series of objects
///
/// A stored time series names a metric, a calendar and a filter, so that `flowmeter series` can
/// read it by its name.
///
/// Reading needs a token with the scope query or catalog, changing the scope catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum TimeSeries {
    /// List the time series of one object, or of all, by name
    ///
    /// Examples:
    ///   flowmeter time-series list
    ///   flowmeter time-series list AAA
    #[command(verbatim_doc_comment)]
    List {
        /// The object, OBJECT or objects/OBJECT. Default: all.
        #[arg(value_parser = resource::parse_object)]
        object: Option<String>,

        /// Maximum number to list.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
        page_size: i32,

        /// The page token that the previous page printed.
        #[arg(long, default_value = "", hide_default_value = true)]
        page_token: String,
    },
    /// Show the definition of a time series; `flowmeter series` reads its points
    ///
    /// Examples:
    ///   flowmeter time-series get AAA/HOURLY
    ///   flowmeter series objects/AAA/timeSeries/HOURLY --range 'last(24)'
    #[command(visible_alias = "show", verbatim_doc_comment)]
    Get {
        /// The name, OBJECT/ID or objects/OBJECT/timeSeries/ID.
        #[arg(value_parser = resource::parse_time_series)]
        name: String,
    },
    Create(Box<Create>),
    Update(Box<Update>),
    /// Delete a time series, but not the events. Does not ask for confirmation
    ///
    /// Examples:
    ///   flowmeter time-series delete AAA/HOURLY
    #[command(verbatim_doc_comment)]
    Delete {
        /// The name, OBJECT/ID or objects/OBJECT/timeSeries/ID.
        #[arg(value_parser = resource::parse_time_series)]
        name: String,

        /// Fail unless this is the current version.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
}

/// Add a time series to an object
///
/// Examples:
///   flowmeter time-series create AAA HOURLY --metric ODSLProcess/RunRequests
///   flowmeter time-series create AAA SLOW --metric ODSLRequest/ReadRequestDuration \
///     --calendar '#P1D' --observed high --filter 'key = "AAA"' --time-zone Europe/Berlin
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, mut_arg("metric", |metric| metric.required(true)))]
pub(crate) struct Create {
    /// The object, OBJECT or objects/OBJECT.
    #[arg(value_parser = resource::parse_object)]
    object: String,

    /// The last part of the name: 1 to 63 letters, digits and any of . _ -
    id: String,

    #[command(flatten)]
    definition: Definition,
}

/// Change a time series. Options that are not given stay unchanged
///
/// An empty string removes a part.
///
/// Examples:
///   flowmeter time-series update AAA/HOURLY --calendar '#PT15M'
///   flowmeter time-series update AAA/HOURLY --filter '' --observed default --version 2
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter time-series update [OPTIONS] <NAME>",
    group = ArgGroup::new("change").args(FLAGS).required(true).multiple(true)
)]
pub(crate) struct Update {
    /// The name, OBJECT/ID or objects/OBJECT/timeSeries/ID.
    #[arg(value_parser = resource::parse_time_series)]
    name: String,

    #[command(flatten)]
    definition: Definition,

    /// Fail unless this is the current version.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,
}

/// The flags of [`Definition`]. A change needs at least one of them.
const FLAGS: [&str; 7] =
    ["metric", "calendar", "observed", "filter", "time_zone", "display_name", "description"];

/// The parts of a time series that were given.
#[derive(Debug, Args)]
struct Definition {
    /// The metric to read, as PROVIDER/NAME.
    #[arg(long, value_parser = resource::parse_metric)]
    metric: Option<(String, String)>,

    /// The buckets, as --calendar in `flowmeter series`. Default: #PT1H.
    #[arg(long)]
    calendar: Option<String>,

    /// How the values of a bucket are aggregated. Default: as in the metric.
    #[arg(long)]
    observed: Option<Observed>,

    /// A filter on events, as in `flowmeter series`. Default: all events.
    #[arg(long, allow_hyphen_values = true)]
    filter: Option<String>,

    /// The time zone of the buckets, such as Europe/Berlin. Default: the time zone of the calendar.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// The display name.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,

    /// A description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl Definition {
    /// Sets the given parts of a time series, and adds them to the changes.
    fn apply(self, series: &mut Found, changes: &mut Changes) {
        let (provider, metric) = self.metric.unzip();
        changes.set("provider", &mut series.provider, provider);
        changes.set("metric", &mut series.metric, metric);
        changes.set("calendar", &mut series.calendar, self.calendar);
        let observed = self.observed.map(|observed| wire::Observed::from(observed).into());
        changes.set("observed", &mut series.observed, observed);
        changes.set("filter", &mut series.filter, self.filter);
        changes.set("time_zone", &mut series.time_zone, self.time_zone);
        changes.set("display_name", &mut series.display_name, self.display_name);
        changes.set("description", &mut series.description, self.description);
    }
}

/// Runs the command.
pub(crate) async fn run(time_series: TimeSeries, remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::catalog(remote)?;
    let timeout = remote.timeout;
    match time_series {
        TimeSeries::List { object, page_size, page_token } => {
            let request = ListTimeSeriesRequest { parent: object.unwrap_or_default(), page_size, page_token };
            let call = connection::within(timeout, request, |request| client.list_time_series(request));
            let page = call.await?;
            answer(remote, "ListTimeSeriesResponse", &page, || match page.time_series.as_slice() {
                [] => "No time series.".into(),
                series => rows(series, list_width()),
            })?;
            if !remote.json() {
                note_next_page(&page.next_page_token);
            }
        }
        TimeSeries::Get { name } => {
            let request = GetTimeSeriesRequest { name };
            let call = connection::within(timeout, request, |request| client.get_time_series(request));
            print(&call.await?.time_series.unwrap_or_default(), remote)?;
        }
        TimeSeries::Create(create) => {
            let mut series = Found::default();
            create.definition.apply(&mut series, &mut Changes::default());
            let request = CreateTimeSeriesRequest {
                parent: create.object,
                time_series_id: create.id,
                time_series: Some(series),
            };
            let call = connection::within(timeout, request, |request| client.create_time_series(request));
            let series = call.await?.time_series.unwrap_or_default();
            print(&series, remote)?;
            if !remote.json() {
                eprintln!("To read it: flowmeter series {}", quoted(&series.name));
            }
        }
        TimeSeries::Update(update) => {
            let version = update.version.unwrap_or_default();
            let mut series = Found { name: update.name, version, ..Found::default() };
            let mut changes = Changes::default();
            update.definition.apply(&mut series, &mut changes);
            let request = UpdateTimeSeriesRequest { time_series: Some(series), update_mask: changes.mask() };
            let call = connection::within(timeout, request, |request| client.update_time_series(request));
            print(&call.await?.time_series.unwrap_or_default(), remote)?;
        }
        TimeSeries::Delete { name, version } => {
            let request =
                DeleteTimeSeriesRequest { name: name.clone(), version: version.unwrap_or_default() };
            connection::within(timeout, request, |request| client.delete_time_series(request)).await?;
            answer_deleted(remote, &name)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(series: &[Found], columns: usize) -> String {
    let heading = ["NAME", "METRIC", "CALENDAR", "OBSERVED", "FILTER", "TIME ZONE", "DISPLAY NAME"];
    let row = |series: &Found| {
        [
            series.name.clone(),
            metric(series),
            series.calendar.clone(),
            words::observed(series.observed()),
            series.filter.clone(),
            series.time_zone.clone(),
            series.display_name.clone(),
        ]
    };
    table_within(
        columns,
        heading.map(|title| (title, Align::Left)),
        series.iter().map(row).collect::<Vec<_>>(),
    )
}

fn print(series: &Found, remote: &Remote) -> Result<()> {
    answer(remote, "TimeSeries", series, || describe(series))
}

fn describe(series: &Found) -> String {
    let observed = match words::observed(series.observed()) {
        observed if observed.is_empty() => "default of the metric".into(),
        observed => observed,
    };
    properties(&[
        ("name", series.name.clone()),
        ("display name", series.display_name.clone()),
        ("description", series.description.clone()),
        ("metric", metric(series)),
        ("calendar", series.calendar.clone()),
        ("observed", observed),
        ("filter", series.filter.clone()),
        ("time zone", series.time_zone.clone()),
        ("type", series.r#type.clone()),
        ("version", series.version.to_string()),
        ("created", moment::rfc3339(series.create_time.as_ref())),
        ("changed", moment::rfc3339(series.update_time.as_ref())),
    ])
}

/// The metric as provider/name.
fn metric(series: &Found) -> String {
    format!("{}/{}", series.provider, series.metric)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parse(arguments: &[&str]) -> Option<TimeSeries> {
        let arguments = ["flowmeter", "time-series"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).ok()?.command {
            Command::TimeSeries(time_series) => Some(time_series),
            _ => None,
        }
    }

    #[test]
    fn only_what_is_given_changes() {
        let given = parse(&["update", "AAA/X", "--metric", "P/m", "--filter", "", "--observed", "low"]);
        let Some(TimeSeries::Update(update)) = given else { panic!("{given:?}") };
        assert_eq!(update.name, "objects/AAA/timeSeries/X");
        let (mut series, mut changes) = (Found::default(), Changes::default());
        update.definition.apply(&mut series, &mut changes);
        assert_eq!(changes.mask().unwrap().paths, ["provider", "metric", "observed", "filter"]);
        assert_eq!((metric(&series).as_str(), series.observed()), ("P/m", wire::Observed::Low));
    }

    #[test]
    fn incomplete_arguments_are_refused() {
        for wrong in [
            &["create", "AAA", "X"][..],
            &["create", "AAA", "X", "--metric", "m"],
            &["create", "AAA/X", "X", "--metric", "P/m"],
            &["update", "AAA/X"],
            &["update", "AAA", "--filter", ""],
            &["delete", "AAA"],
        ] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(parse(&["create", "objects/AAA", "X", "--metric", "P/m"]).is_some());
    }

    #[test]
    fn time_series_are_listed_and_described() {
        let series = Found {
            name: "objects/größe/timeSeries/HOURLY".into(),
            r#type: "VarMetricTimeSeries".into(),
            provider: "ODSLProcess".into(),
            metric: "RunRequests".into(),
            display_name: "Runs an hour".into(),
            calendar: "#PT1H".into(),
            filter: "key = \"größe\"".into(),
            version: 4,
            ..Found::default()
        };
        insta::assert_snapshot!(rows(&[series.clone(), Found::default()], usize::MAX), @r#"
        NAME                             METRIC                   CALENDAR  OBSERVED  FILTER         TIME ZONE  DISPLAY NAME
        objects/größe/timeSeries/HOURLY  ODSLProcess/RunRequests  #PT1H               key = "größe"             Runs an hour
                                         /
        "#);
        insta::assert_snapshot!(describe(&series), @r#"
        name          objects/größe/timeSeries/HOURLY
        display name  Runs an hour
        metric        ODSLProcess/RunRequests
        calendar      #PT1H
        observed      default of the metric
        filter        key = "größe"
        type          VarMetricTimeSeries
        version       4
        "#);
        assert_eq!(rows(&[], usize::MAX).lines().count(), 1);
    }
}
