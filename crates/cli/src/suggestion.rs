//! Hints after a failure: a similar name, or the command that lists the existing names. They are made from
//! the data of an error and the lists of the services, never from a sentence. A hint never makes a failure
//! worse: if the services do not answer, it only names the command.

use std::time::Duration;

use anyhow::Error;
use clap::ValueEnum;
use flowmeter_proto::v1::{
    GetTimeSeriesRequest, ListAssetsRequest, ListCalendarsRequest, ListFlowsRequest, ListMetricsRequest,
    ListProvidersRequest, ListTimeSeriesRequest, Metric, Observed,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    arguments::Remote,
    connection, failure,
    render::text::{grouped, printable},
    resource::{ASSET, is_of_assets},
    violations, words,
};

/// The maximum time to wait for a hint.
const PATIENCE: Duration = Duration::from_secs(3);

/// The hint for an error of this command, if there is a better one than the hint for the code of the error.
pub(crate) async fn hint(error: &Error, command: &[&str], remote: &Remote) -> Option<String> {
    let status = failure::status(error)?;
    if status.code() != Code::NotFound {
        return time_zone(status).or_else(|| observed(status)).or_else(|| not_enough(status));
    }
    let resource = status.get_details_resource_info()?;
    let name = resource.resource_name.as_str();
    let remote = Remote { timeout: remote.timeout.min(PATIENCE), ..remote.clone() };
    match resource.resource_type.as_str() {
        "metric" => {
            // The service names the version if one was requested.
            let info = status.get_details_error_info();
            let of_version = info.is_some_and(|info| info.metadata.contains_key("version"));
            Some(metric(name, of_version, command, &remote).await)
        }
        "flow" => Some(flow(name, &remote).await),
        "asset" => {
            let known = assets(&remote).await.unwrap_or_default();
            Some(alternatives(name, &known, "asset list"))
        }
        "provider" => {
            let known = providers(&remote).await.unwrap_or_default();
            Some(alternatives(name, &known, "provider list"))
        }
        "calendar" if is_duration(name) => Some(format!("did you mean '#{name}'?")),
        "calendar" => {
            let known = calendars(&remote).await.unwrap_or_default();
            Some(alternatives(name, &known, "calendar list"))
        }
        "time series" => {
            let object = name.split_once("/timeSeries/").map_or(name, |(object, _)| object);
            let known = time_series(object, &remote).await.unwrap_or_default();
            Some(alternatives(name, &known, "time-series list"))
        }
        _ => None,
    }
}

/// A similar time zone, if the service refused one: the time zone of a city, or the closest name.
fn time_zone(status: &Status) -> Option<String> {
    let mut violations = violations::of(status).into_iter();
    let wrong = violations.find(|violation| violation.kind == "UNKNOWN_TIME_ZONE")?.found?;
    let known: Vec<_> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    let city = wrong.to_lowercase().replace(' ', "_");
    let found =
        known.iter().find(|zone| zone.rsplit('/').next().map(str::to_lowercase) == Some(city.clone()));
    let found = found.map(String::as_str).or_else(|| closest(&wrong, &known))?;
    Some(format!("did you mean {found}?"))
}

/// The values of --observed that the service accepts, in the spelling of the flag.
fn observed(status: &Status) -> Option<String> {
    let violations = violations::of(status);
    let violation = violations.iter().find(|violation| violation.field.ends_with("observed"))?;
    let expected = |observed: &Observed| {
        violation.alternatives.iter().any(|alternative| alternative == observed.as_str_name())
    };
    let known = words::Observed::value_variants().iter().map(|word| Observed::from(*word));
    let words: Vec<_> = known.filter(expected).map(words::observed).collect();
    let (last, others) = words.split_last().filter(|(_, others)| !others.is_empty())?;
    Some(format!("give --observed {} or {last}", others.join(", ")))
}

/// How many requests a flow still needs, if it has too few for its metrics.
fn not_enough(status: &Status) -> Option<String> {
    let (have, need) = shortage(status)?;
    let lacking = match need.checked_sub(have)? {
        0 => return None,
        1 => "1 more request".to_owned(),
        lacking => format!("{} more requests", grouped(lacking)),
    };
    Some(format!("its metrics can be read after {lacking}; `flowmeter flow record` records them"))
}

/// How many requests a flow has and how many its metrics need, if it has too few.
pub(crate) fn shortage(status: &Status) -> Option<(u64, u64)> {
    let info = status.get_details_error_info().filter(|info| info.reason == "NOT_ENOUGH_DATA")?;
    let number = |key: &str| info.metadata.get(key)?.parse().ok();
    Some((number("have")?, number("need")?))
}

/// The hint for a flow that is not registered.
pub(crate) async fn flow(id: &str, remote: &Remote) -> String {
    let remote = Remote { timeout: remote.timeout.min(PATIENCE), ..remote.clone() };
    let known = flows(&remote).await.unwrap_or_default();
    alternatives(id, &known, "flow list")
}

async fn metric(name: &str, of_version: bool, command: &[&str], remote: &Remote) -> String {
    // Built-in metrics cannot be changed, so they are not suggested.
    let is_change = matches!(command, ["metric", "update" | "delete"]);
    if is_change && is_of_assets(name) {
        return "metrics of assets come with their values; they cannot be defined or changed".into();
    }
    // Asset metrics are listed separately.
    let (provider, list) =
        if is_of_assets(name) { (ASSET, "metric list asset") } else { ("", "metric list") };
    let known = metrics(provider, remote).await.unwrap_or_default();
    let meant = known.into_iter().filter(|metric| !(is_change && metric.built_in));
    let known: Vec<_> = meant.map(|metric| metric.name).collect();
    if of_version && known.iter().any(|known| known == name) {
        return format!("it has other versions: see `flowmeter metric get {name}`");
    }
    // Only `series` also reads time series.
    if command == ["series"]
        && let Some((object, id)) = name.split_once('/')
    {
        if let Some(hint) = of_object(name, remote).await {
            return hint;
        }
        let stored = format!("objects/{object}/timeSeries/{id}");
        if is_time_series(&stored, remote).await {
            return format!("did you mean the time series {stored}?");
        }
    }
    alternatives(name, &known, list)
}

/// The hint for `objects/OBJECT` in place of a series: the longer name of a time series of the object.
async fn of_object(name: &str, remote: &Remote) -> Option<String> {
    let object = name.strip_prefix("objects/")?;
    let known = time_series(name, remote).await.unwrap_or_default();
    Some(match known.as_slice() {
        [] => "a time series is named objects/OBJECT/timeSeries/ID; \
               `flowmeter time-series list` lists them all"
            .to_owned(),
        [only] => format!("did you mean its time series {}?", printable(only)),
        [first, ..] => format!(
            "did you mean one of its time series, such as {}? `flowmeter time-series list {object}` shows them",
            printable(first)
        ),
    })
}

/// The closest of the known names, and the command that lists them.
fn alternatives(name: &str, known: &[String], list: &str) -> String {
    match closest(name, known) {
        // It was created or applied after the failed call.
        Some(found) if found == name => "it exists now: try again".into(),
        Some(found) => format!("did you mean {}? `flowmeter {list}` lists them all", printable(found)),
        None => format!("`flowmeter {list}` lists them all"),
    }
}

/// Whether the text looks like an ISO 8601 duration, as after the `#` of a calendar.
fn is_duration(text: &str) -> bool {
    let rest = text.strip_prefix('P').unwrap_or_default();
    rest.chars().any(|c| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || "YMWDTHS".contains(c))
}

/// The most similar known name, ignoring case, if at most a third of the characters differ.
fn closest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let difference = |known: &&String| difference(&wanted, &known.to_lowercase());
    let found = known.iter().min_by_key(difference)?;
    (difference(&found) <= name.chars().count() / 3).then_some(found)
}

/// The minimum number of characters to insert, delete or replace (Levenshtein distance).
fn difference(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

/// The metrics of a provider, from the first page.
async fn metrics(provider: &str, remote: &Remote) -> Result<Vec<Metric>, Error> {
    let mut client = connection::catalog(remote)?;
    let request = ListMetricsRequest { provider: provider.to_owned(), ..ListMetricsRequest::default() };
    let call = connection::within(remote.timeout, request, |request| client.list_metrics(request));
    Ok(call.await?.metrics)
}

async fn providers(remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request = ListProvidersRequest {};
    let call = connection::within(remote.timeout, request, |request| client.list_providers(request));
    Ok(call.await?.providers.into_iter().map(|provider| provider.name).collect())
}

async fn calendars(remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request = ListCalendarsRequest {};
    let call = connection::within(remote.timeout, request, |request| client.list_calendars(request));
    Ok(call.await?.calendars.into_iter().map(|calendar| calendar.code).collect())
}

/// The time series of an object, from the first page.
async fn time_series(object: &str, remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request =
        ListTimeSeriesRequest { parent: object.to_owned(), page_size: 1000, page_token: String::new() };
    let call = connection::within(remote.timeout, request, |request| client.list_time_series(request));
    Ok(call.await?.time_series.into_iter().map(|series| series.name).collect())
}

/// The flows, from the first page.
async fn flows(remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request = ListFlowsRequest { page_size: 1000, page_token: String::new() };
    let call = connection::within(remote.timeout, request, |request| client.list_flows(request));
    Ok(call.await?.flows.into_iter().map(|flow| flow.id).collect())
}

/// The assets, from the first page.
async fn assets(remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::query(remote)?;
    let request = ListAssetsRequest { page_size: 1000, ..ListAssetsRequest::default() };
    let call = connection::within(remote.timeout, request, |request| client.list_assets(request));
    Ok(call.await?.assets.into_iter().map(|asset| asset.urn).collect())
}

async fn is_time_series(name: &str, remote: &Remote) -> bool {
    let Ok(mut client) = connection::catalog(remote) else { return false };
    let request = GetTimeSeriesRequest { name: name.to_owned() };
    let call = connection::within(remote.timeout, request, |request| client.get_time_series(request));
    let found: Result<_, Status> = call.await;
    found.is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known() -> Vec<String> {
        ["ODSLRequest/ReadRequests", "ODSLRequest/WriteRequests", "ODSLProcess/RunRequests"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn misspelt_names_are_recognised() {
        for (name, meant) in [
            ("ODSLRequest/ReadRequest", Some("ODSLRequest/ReadRequests")),
            ("odslrequest/readrequests", Some("ODSLRequest/ReadRequests")),
            ("ODSLReq/WriteRequests", Some("ODSLRequest/WriteRequests")),
            ("Shop/Checkouts", None),
            ("", None),
        ] {
            assert_eq!(closest(name, &known()), meant, "{name}");
        }
        assert_eq!(closest("x", &[]), None);
    }

    #[test]
    fn a_hint_names_the_command_that_lists() {
        assert_eq!(alternatives("Shop/x", &known(), "metric list"), "`flowmeter metric list` lists them all");
        let known = known();
        assert_eq!(alternatives(&known[0], &known, "metric list"), "it exists now: try again");
        assert!(is_duration("PT1H") && is_duration("P1D"));
        assert!(!is_duration("PUBLIC") && !is_duration("#PT1H") && !is_duration(""));
    }

    /// A status with the data of a service but with other sentences, on which hints must not depend.
    fn without_words(field: &str, kind: &str, metadata: &[(&str, &str)]) -> Status {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let metadata: std::collections::HashMap<_, _> = metadata.collect();
        let mut details = tonic_types::ErrorDetails::with_error_info("INVALID_FIELD", "flowmeter", metadata);
        let mut violation = tonic_types::FieldViolation::new(field, "x");
        violation.reason = kind.to_owned();
        details.set_bad_request(vec![tonic_types::FieldViolation::new("other", "x"), violation]);
        Status::with_error_details(Code::InvalidArgument, "x", details)
    }

    #[test]
    fn a_city_names_its_time_zone() {
        let hint = |zone: &str| {
            time_zone(&without_words("time_zone", "UNKNOWN_TIME_ZONE", &[("found_2", zone), ("found", "x")]))
        };
        assert_eq!(hint("new york").as_deref(), Some("did you mean America/New_York?"));
        assert_eq!(hint("Europe/Berln").as_deref(), Some("did you mean Europe/Berlin?"));
        assert_eq!(hint("Mars/Olympus"), None);
        assert_eq!(time_zone(&without_words("time_zone", "", &[("found_2", "new york")])), None);
        assert_eq!(time_zone(&Status::invalid_argument("no")), None);
    }

    #[test]
    fn aggregations_are_spelled_as_in_the_flag() {
        let hint = |field: &str, names: &str| {
            observed(&without_words(field, "NOT_AN_ALTERNATIVE", &[("alternatives_2", names)]))
        };
        let numbers =
            "OBSERVED_SUMMED,OBSERVED_AVERAGED,OBSERVED_HIGH,OBSERVED_LOW,OBSERVED_BEGINNING,OBSERVED_END";
        let booleans = "OBSERVED_COUNT_TRUE,OBSERVED_COUNT_FALSE,OBSERVED_FRACTION_TRUE";
        assert_eq!(
            hint("observed", booleans).unwrap(),
            "give --observed count-true, count-false or fraction-true"
        );
        assert_eq!(
            hint("time_series.observed", &format!("{numbers},{booleans}")).unwrap(),
            "give --observed summed, averaged, high, low, beginning, end, count-true, count-false or fraction-true"
        );
        assert_eq!(
            hint("metric.default_observed", numbers).unwrap(),
            "give --observed summed, averaged, high, low, beginning or end"
        );
        assert_eq!(hint("fill", numbers), None);
        assert_eq!(hint("observed", ""), None);
    }

    #[test]
    fn missing_requests_are_counted() {
        let metadata = [("have".to_owned(), "12".to_owned()), ("need".to_owned(), "250".to_owned())];
        let details = tonic_types::ErrorDetails::with_error_info("NOT_ENOUGH_DATA", "flowmeter", metadata);
        let status = Status::with_error_details(Code::FailedPrecondition, "x", details);
        assert!(not_enough(&status).unwrap().contains("after 238 more requests"));
    }

    proptest! {
        #[test]
        fn differences_are_a_distance(one in "[ab]{0,6}", other in "[abc]{0,6}", third in "[abc]{0,6}") {
            prop_assert_eq!(difference(&one, &other), difference(&other, &one));
            prop_assert_eq!(difference(&one, &other) == 0, one == other);
            prop_assert!(difference(&one, &third) <= difference(&one, &other) + difference(&other, &third));
            prop_assert!(difference(&one, &other) <= one.len().max(other.len()));
        }
    }
}
