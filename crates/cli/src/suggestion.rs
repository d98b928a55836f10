//! Hints after a failure: the name that was probably meant, or the command that lists what exists. They are made of the
//! data of an error and of what the services list, never of a sentence. A hint never makes a failure worse: where the
//! services do not answer, it names the command alone.

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

/// Nobody waits longer than this for a hint.
const PATIENCE: Duration = Duration::from_secs(3);

/// The hint for an error of the command with these names, if there is a better one than that of its code.
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
            // The service names the version where one was asked for.
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

/// The time zone that was meant, where one is refused: the one of that city, or the closest.
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

/// The values of --observed, which the service names as the contract has them.
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

/// How many requests a flow still needs, where it has had too few for its metrics.
fn not_enough(status: &Status) -> Option<String> {
    let (have, need) = shortage(status)?;
    let lacking = match need.checked_sub(have)? {
        0 => return None,
        1 => "1 more request".to_owned(),
        lacking => format!("{} more requests", grouped(lacking)),
    };
    Some(format!("its metrics can be read after {lacking}; `flowmeter flow record` records them"))
}

/// How many requests a flow has had and how many its metrics need, where that is too few.
pub(crate) fn shortage(status: &Status) -> Option<(u64, u64)> {
    let info = status.get_details_error_info().filter(|info| info.reason == "NOT_ENOUGH_DATA")?;
    let number = |key: &str| info.metadata.get(key)?.parse().ok();
    Some((number("have")?, number("need")?))
}

/// What to do about a flow that is not registered.
pub(crate) async fn flow(id: &str, remote: &Remote) -> String {
    let remote = Remote { timeout: remote.timeout.min(PATIENCE), ..remote.clone() };
    let known = flows(&remote).await.unwrap_or_default();
    alternatives(id, &known, "flow list")
}

async fn metric(name: &str, of_version: bool, command: &[&str], remote: &Remote) -> String {
    // What is built in cannot be changed, and so is not meant.
    let is_change = matches!(command, ["metric", "update" | "delete"]);
    if is_change && is_of_assets(name) {
        return "metrics of assets come with their values; they cannot be defined or changed".into();
    }
    // Those of assets are listed apart from the others.
    let (provider, list) =
        if is_of_assets(name) { (ASSET, "metric list asset") } else { ("", "metric list") };
    let known = metrics(provider, remote).await.unwrap_or_default();
    let meant = known.into_iter().filter(|metric| !(is_change && metric.built_in));
    let known: Vec<_> = meant.map(|metric| metric.name).collect();
    if of_version && known.iter().any(|known| known == name) {
        return format!("it has other versions: see `flowmeter metric get {name}`");
    }
    // A series alone can be of a time series as well.
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

/// What to do about `objects/OBJECT` where a series was asked for: its time series have longer names.
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

/// The closest of the known names, or where they are listed.
fn alternatives(name: &str, known: &[String], list: &str) -> String {
    match closest(name, known) {
        // It was not applied yet, or not made, when the question was asked.
        Some(found) if found == name => "it exists by now: try again".into(),
        Some(found) => format!("did you mean {}? `flowmeter {list}` lists them all", printable(found)),
        None => format!("`flowmeter {list}` lists them all"),
    }
}

/// Whether it looks like an ISO 8601 duration, as stands after the `#` of a calendar.
fn is_duration(text: &str) -> bool {
    let rest = text.strip_prefix('P').unwrap_or_default();
    rest.chars().any(|c| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || "YMWDTHS".contains(c))
}

/// The name that differs least, if it differs by a slip only: by a third of it at most,
/// whatever the case of its letters.
fn closest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let difference = |known: &&String| difference(&wanted, &known.to_lowercase());
    let found = known.iter().min_by_key(difference)?;
    (difference(&found) <= name.chars().count() / 3).then_some(found)
}

/// The least number of characters to insert, delete or replace (Levenshtein).
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

/// The metrics of a provider, as far as one page holds them.
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

/// The time series of an object, as far as one page holds them.
async fn time_series(object: &str, remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request =
        ListTimeSeriesRequest { parent: object.to_owned(), page_size: 1000, page_token: String::new() };
    let call = connection::within(remote.timeout, request, |request| client.list_time_series(request));
    Ok(call.await?.time_series.into_iter().map(|series| series.name).collect())
}

/// The flows, as far as one page holds them.
async fn flows(remote: &Remote) -> Result<Vec<String>, Error> {
    let mut client = connection::catalog(remote)?;
    let request = ListFlowsRequest { page_size: 1000, page_token: String::new() };
    let call = connection::within(remote.timeout, request, |request| client.list_flows(request));
    Ok(call.await?.flows.into_iter().map(|flow| flow.id).collect())
}

/// The assets, as far as one page holds them.
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
    fn slips_are_seen_through() {
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
    fn a_hint_names_where_to_look() {
        assert_eq!(alternatives("Shop/x", &known(), "metric list"), "`flowmeter metric list` lists them all");
        let known = known();
        assert_eq!(alternatives(&known[0], &known, "metric list"), "it exists by now: try again");
        assert!(is_duration("PT1H") && is_duration("P1D"));
        assert!(!is_duration("PUBLIC") && !is_duration("#PT1H") && !is_duration(""));
    }

    /// A failed call as a service answers it, but with other sentences: a hint is made of the data beside them.
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
    fn an_aggregation_is_in_the_words_of_its_flag() {
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
