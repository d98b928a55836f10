//! `flowmeter series`: a metric over time, as a table, a chart or JSON.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flowmeter_core::filter::Filter;
use flowmeter_proto::v1 as wire;

use super::{answer, form, width};
use crate::{
    arguments::Remote,
    connection,
    render::series,
    resource::{self, Source},
    words::{Fill, Observed},
};

/// Show a metric, or a stored time series, over time
///
/// Needs a token with the scope query.
///
/// On a terminal, up to 40 buckets are a table with bars and more are a column chart; of
/// several series, each is a sparkline. Elsewhere the output is a table, with a column for
/// each of up to six series, or a row for each point of more. --output overrides this.
/// COUNT is the number of events behind a value, where it differs from the value. TIME is
/// the start of a bucket in the time zone.
///
/// `flowmeter metric list` lists the metrics, `flowmeter calendar list` the calendars, and
/// `flowmeter values FIELD` the values to filter and group by.
///
/// The range:
///   D               the whole period D; within(D) is the same
///   between(D,D)    from the start of the first period to the end of the second
///   from(D)         from the start of D to one hour from now
///   to(D)           everything up to the end of D
///   last(N)         the last N buckets, including the current one
/// D is a year, quarter, month, week, date, hour, minute or second: 2026, 2026Q4, 2026-11 or
/// 2026M11, 2026W47, 2026-11-20, 2026-11-20T10, 2026-11-20T10:30, 2026-11-20T10:30:15; or a
/// period relative to now:
///   T               today
///   T-1D, T-2W      yesterday, and the day two weeks ago: shift by nY nQ nM nW nB nD nh nm
///                   ns in this order; B is a day from Monday to Friday, M months, m minutes
///   T-3h            the hour three hours ago; from(T-3h) starts with it
///   TM10, T-1MD1    October, and the first of last month: set parts after the shift, by
///                   Ynnnn Qn Mnn Wnn Dnn hnn mnn snn; T-1Dh9 is nine o'clock yesterday
/// Dates are in --time-zone unless they name another zone:
///   between(2026-03,2026-05,Europe/London), 2026-11-20[America/New_York]
///
/// The filter is an expression or a JSON object:
///   application = "api" AND duration > 500        = != < <= > >= =~ !~ IN NOT AND OR ( )
///   {"application":"api","duration":{"$gt":500}}  $eq $ne $gt $gte $lt $lte $in $nin $regex
///                                                 $exists $not $and $or $nor
/// A name is a field of events (not timestamp or an id) or else an attribute. OR binds
/// tighter than AND. user:* is true if there is a user, =~ if the pattern matches anywhere:
/// user =~ "^adm" AND NOT httpstatus IN (200, 304)
///
/// Metrics of assets are asset/NAME; `flowmeter metric list asset` lists them. They can be
/// filtered and grouped only by asset_urn, and COUNT is their number of values.
///
/// Examples:
///   flowmeter series ODSLRequest/ReadRequests
///   flowmeter series ODSLRequest/ReadRequests --calendar '#PT15M' --range 'from(T-3h)'
///   flowmeter series ODSLRequest/ReadRequestDuration --observed high --range 'from(2026-11)' \
///     --filter 'application = "web-shop" AND httpstatus = 200'
///   flowmeter series ODSLRequest/ReadRequests --group-by application,user --range 'last(48)'
///   flowmeter series ODSLRequest/WriteRequests --calendar '#P1D' --time-zone Europe/Berlin \
///     --fill zero --range 'between(T-1MD1,T)'
///   flowmeter series asset/qualityScore --key urn:xdg:database:crm --calendar '#P1D' --range 2026-11
///   flowmeter series asset/isFresh --observed fraction-true --group-by asset_urn
///   flowmeter series objects/AAA/timeSeries/HOURLY --range 'last(24)'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Series {
    /// The metric as PROVIDER/NAME, such as ODSLRequest/ReadRequests, or the stored time
    /// series as objects/OBJECT/timeSeries/ID.
    #[arg(value_name = "METRIC|NAME", value_parser = resource::parse_source)]
    source: Source,

    /// The time range, such as 2026-11-20, from(2026-11) or last(7); see --help.
    #[arg(long, default_value = "last(24)")]
    range: String,

    /// The buckets: # and an ISO 8601 duration, such as #PT1M, #PT15M, #PT1H, #P1D, #P1W or
    /// #P1M; or the code of a calendar, such as DAILY, BUSINESS, MONTHLY, #HENG or your own.
    /// Quote #, which starts a comment in a shell; a code of letters only also works without it,
    /// as HENG. Default: the calendar of the stored time series, else #PT1H.
    #[arg(long, default_value = "", hide_default_value = true)]
    calendar: String,

    /// How the values of a bucket are aggregated. Default: as in the stored time series or the
    /// metric: summed for counts, fraction-true for booleans of assets, averaged for most
    /// others.
    #[arg(long)]
    observed: Option<Observed>,

    /// A filter on events, such as 'application = "api"'; see --help. A stored time series keeps
    /// its own filter, too. Default: all events.
    #[arg(long, allow_hyphen_values = true, default_value = "", hide_default_value = true)]
    filter: String,

    /// Make one series for each combination of values of these text fields, attributes or
    /// httpstatus, separated by commas; may be repeated. Metrics of assets: only asset_urn.
    /// Default: a single series.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    group_by: Vec<String>,

    /// The time zone of buckets, dates and the output, such as Europe/London. Default: the time
    /// zone of the stored time series, else of the calendar, else UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,

    /// The value of buckets without data, including future buckets in the range; charts leave
    /// future buckets out. Default: buckets without data are left out.
    #[arg(long)]
    fill: Option<Fill>,

    /// Only events of this service, as service = … in the filter. Not for metrics of assets.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    service: String,

    /// Only events with this value of the attribute key, such as the id of the object that was
    /// called; for metrics of assets, only values of the asset with this URN.
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

impl From<Series> for wire::QueryTimeSeriesRequest {
    fn from(series: Series) -> Self {
        let (metric, time_series) = match series.source {
            Source::Metric(metric) => (metric, String::new()),
            Source::TimeSeries(name) => (String::new(), name),
        };
        Self {
            metric,
            time_series,
            calendar: series.calendar,
            observed: series.observed.map_or(wire::Observed::Unspecified, Into::into).into(),
            range: series.range,
            filter: series.filter,
            after_request_id: series.after,
            group_by: series.group_by,
            time_zone: series.time_zone,
            fill: series.fill.map_or(wire::Fill::Unspecified, Into::into).into(),
            service: series.service,
            key: series.key,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(series: Series, remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::query(remote)?;
    let mut request = wire::QueryTimeSeriesRequest::from(series);
    let call =
        connection::within(remote.timeout, request.clone(), |request| client.query_time_series(request));
    let found = call.await?;
    // The labels in the answer have the canonical names of the fields.
    request.group_by.iter_mut().for_each(|name| *name = own_name(name));
    answer(remote, "QueryTimeSeriesResponse", &found, || {
        series::page(&request, &found, form(remote), width())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The canonical name of a label, which the answer uses whatever spelling was requested.
fn own_name(asked: &str) -> String {
    Filter::field(asked.trim()).map_or_else(|_| asked.to_owned(), |field| field.name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn request(arguments: &[&str]) -> Option<wire::QueryTimeSeriesRequest> {
        let arguments = ["flowmeter", "series"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).ok()?.command {
            Command::Series(series) => Some((*series).into()),
            _ => None,
        }
    }

    #[test]
    fn options_that_are_not_given_are_not_sent() {
        let asked = request(&["objects/AAA/timeSeries/X", "--range", "last(7)"]).unwrap();
        let expected = wire::QueryTimeSeriesRequest {
            time_series: "objects/AAA/timeSeries/X".into(),
            range: "last(7)".into(),
            ..wire::QueryTimeSeriesRequest::default()
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn labels_have_canonical_names() {
        for (asked, own) in [
            ("key", "key"),
            ("attributes.key", "key"),
            ("attributes.servise", "servise"),
            ("httpStatus", "httpstatus"),
            (" user ", "user"),
            ("asset_urn", "asset_urn"),
        ] {
            assert_eq!(own_name(asked), own);
        }
    }

    #[test]
    fn groups_can_be_repeated_or_separated_by_commas() {
        let asked = request(&[
            "P/m",
            "--range",
            "T-1D",
            "--group-by",
            "user,key",
            "--group-by",
            "service",
            "--fill",
            "null",
            "--observed",
            "sum",
        ]);
        let asked = asked.unwrap();
        assert_eq!((asked.metric.as_str(), asked.range.as_str()), ("P/m", "T-1D"));
        assert_eq!(asked.group_by, ["user", "key", "service"]);
        assert_eq!((asked.fill(), asked.observed()), (wire::Fill::Null, wire::Observed::Summed));
    }

    #[test]
    fn invalid_arguments_are_refused() {
        assert_eq!(request(&[]), None);
        assert_eq!(request(&["nonsense", "--range", "2026"]), None);
        assert_eq!(request(&["P/m", "--range", "2026", "--fill", "one"]), None);
    }
}
