//! Errors as text for people: a gRPC status with its decoded details, any other error with the chain of its
//! causes. The text never contains a token.

use std::fmt::Write;

use flowmeter_client::status::{code_name, message, reason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::render::text::{printable, width};
use crate::resource::is_of_assets;
use crate::violations::{self, Violation};

/// Returns the argument for a field, by the last part of the field's path: `filter` for
/// `metric.selector.filter`.
pub(crate) type Given<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Keys of the metadata whose values the message contains, too.
const SAID: [&str; 3] = ["version", "trace_id", "incident_id"];

/// The maximum width of an argument that is printed to point at a character.
const MAX_POINTED: usize = 160;

/// The gRPC status among the causes of an error.
pub(crate) fn status(error: &anyhow::Error) -> Option<&Status> {
    error.chain().find_map(|cause| cause.downcast_ref::<Status>())
}

/// The text of an error, with a newline after each line. A gRPC status among its causes is shown with its
/// code, message and details, and points at the wrong character of an argument. `hint` replaces the usual
/// hint.
pub(crate) fn describe(error: &anyhow::Error, given: Given<'_>, hint: Option<&str>) -> String {
    let Some(status) = status(error) else { return format!("error: {error:#}\n") };
    // The context comes first, then the status.
    let mut out = String::new();
    for context in error.chain().take_while(|cause| !cause.is::<Status>()) {
        let _ = writeln!(out, "error: {context}");
    }
    out + &details(status, given, hint)
}

/// The text of a status: `CODE: message`, then a line for each detail.
pub(crate) fn describe_status(status: &Status) -> String {
    details(status, &|_| None, None)
}

/// [`describe_status`], which also points at the wrong characters of arguments. Leaves out details that the
/// first line contains.
fn details(status: &Status, given: Given<'_>, better_hint: Option<&str>) -> String {
    let said = name_status(status);
    let mut out = format!("{said}\n");
    let details = status.get_error_details();
    for violation in violations::of(status) {
        let line = format!("{}: {}", printable(&violation.field), printable(&violation.description));
        if printable(status.message()) != line {
            let _ = writeln!(out, "  {line}");
        }
        out.push_str(&point(&violation, given).unwrap_or_default());
    }
    if let Some(info) = details.error_info() {
        if info.reason != code_name(status.code()) {
            let _ = writeln!(out, "  reason: {}", printable(&info.reason));
        }
        // The sentences above contain the other keys.
        let is_said = |key: &str| violations::is_about_a_field(key) || SAID.contains(&key);
        let mut metadata: Vec<_> = info.metadata.iter().filter(|(key, _)| !is_said(key)).collect();
        metadata.sort();
        for (key, value) in metadata {
            let _ = writeln!(out, "  {}: {}", printable(key), printable(value));
        }
    }
    if let Some(failure) = details.quota_failure() {
        for violation in &failure.violations {
            let (subject, limit) = (printable(&violation.subject), printable(&violation.description));
            if !said.ends_with(&*limit) {
                let _ = writeln!(out, "  limit {subject}: {limit}");
            }
        }
    }
    if let Some(resource) = details.resource_info()
        && !said.contains(&format!("{} \"{}\"", resource.resource_type, resource.resource_name))
    {
        let _ = writeln!(
            out,
            "  resource: {} {}",
            printable(&resource.resource_type),
            printable(&resource.resource_name)
        );
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let _ = writeln!(out, "  try again in {delay:?}");
    }
    if let Some(hint) = better_hint.or_else(|| hint(status)) {
        let _ = writeln!(out, "  hint: {hint}");
    }
    out
}

/// The argument for a field, and a mark under its first wrong character.
fn point(violation: &Violation, given: Given<'_>) -> Option<String> {
    let position = violation.position?;
    let name = violation.field.rsplit('.').next()?;
    let text = given(name)?;
    // Escaped characters would shift the ones after them.
    if text.is_empty() || width(&text) > MAX_POINTED || printable(&text) != text {
        return None;
    }
    let before: String = text.chars().take(position.checked_sub(1)?).collect();
    let (margin, gap) = (" ".repeat(width(name)), " ".repeat(width(&before)));
    Some(format!("  {name}  {text}\n  {margin}  {gap}^\n"))
}

/// The first line of [`describe_status`].
pub(crate) fn name_status(status: &Status) -> String {
    let message = message(status);
    let separator = if message.is_empty() { "" } else { ": " };
    format!("{}{separator}{}", code_name(status.code()), printable(&message))
}

/// Whether the reader of the output has closed it, as `head` does. This is not an error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn hint(status: &Status) -> Option<&'static str> {
    match (status.code(), reason(status).as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_EXPIRED")) => {
            Some("create a new token with `flowmeter token create`")
        }
        (Code::Unauthenticated, _) => Some("give a token in FLOWMETER_TOKEN or with --token"),
        (Code::Aborted, Some("VERSION_MISMATCH")) => {
            Some("read it again with `get`, then give its current version")
        }
        (Code::FailedPrecondition, Some("BUILT_IN")) if is_metric_of_assets(status) => {
            Some("metrics of assets come with their values; they cannot be defined or changed")
        }
        (Code::FailedPrecondition, Some("BUILT_IN")) => {
            Some("built-in definitions cannot be changed; define your own")
        }
        // The service did not answer.
        (Code::Unavailable, None) if std::error::Error::source(status).is_some() => Some(
            "is the service running there? See --ingest-url and --query-url (FLOWMETER_INGEST_URL, FLOWMETER_QUERY_URL)",
        ),
        (Code::Unimplemented, _) => {
            Some("the service at this address has no such method: are the two URLs swapped?")
        }
        (Code::InvalidArgument, _) => violations::of(status).iter().find_map(hint_of_field),
        _ => None,
    }
}

fn is_metric_of_assets(status: &Status) -> bool {
    let resource = status.get_details_resource_info();
    resource
        .is_some_and(|resource| resource.resource_type == "metric" && is_of_assets(&resource.resource_name))
}

fn hint_of_field(violation: &Violation) -> Option<&'static str> {
    match (violation.field.as_str(), violation.kind.as_str()) {
        // For other kinds, such as a misspelt name, the message of the service is enough.
        ("read_mask", "UNKNOWN_FIELD") => Some("an attribute is named attributes.NAME, as in attributes.key"),
        // Only queries of executions can be without a calendar.
        ("calendar", "LAST_WITHOUT_CALENDAR") => {
            Some("last(N) is for `flowmeter executions timeline`; from(T-3h) begins three hours ago")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn shows_every_detail() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("INVALID_RANGE", "flowmeter", HashMap::from([("have".into(), "1".into())]))
            .add_bad_request_violation("range", "expected a year at position 9")
            .set_retry_info(Some(Duration::from_millis(1500)))
            .set_resource_info("tenant", "tenants/acme", "", "")
            .add_quota_failure_violation("events", "at most 10000");
        let status = Status::with_error_details(Code::InvalidArgument, "wrong range", details);
        insta::assert_snapshot!(describe(&status.into(), &|_| None, None), @r"
        INVALID_ARGUMENT: wrong range
          range: expected a year at position 9
          reason: INVALID_RANGE
          have: 1
          limit events: at most 10000
          resource: tenant tenants/acme
          try again in 1.5s
        ");
    }

    #[test]
    fn points_at_the_character_and_repeats_nothing() {
        let metadata = [("position", "10"), ("expected", "a number"), ("position_2", "9"), ("have", "3")];
        let metadata: HashMap<String, String> =
            metadata.map(|(key, value)| (key.into(), value.into())).into();
        let mut details = ErrorDetails::with_error_info("INVALID_FILTER", "flowmeter", metadata);
        details.add_bad_request_violation("metric.selector.filter", "x");
        details.add_bad_request_violation("range", "y");
        let status = Status::with_error_details(Code::InvalidArgument, "metric.selector.filter: x", details);
        let given = |field: &str| (field == "filter").then(|| "größe > \"語".to_owned());
        insta::assert_snapshot!(describe(&status.into(), &given, None), @r#"
        INVALID_ARGUMENT: metric.selector.filter: x
          filter  größe > "語
                           ^
          range: y
          reason: INVALID_FILTER
          have: 3
        "#);

        let mut details = ErrorDetails::with_error_info("NOT_FOUND", "flowmeter", HashMap::new());
        details.set_resource_info("calendar", "PT1H", "", "");
        let status = Status::with_error_details(Code::NotFound, "there is no calendar \"PT1H\"", details);
        insta::assert_snapshot!(describe(&status.into(), &|_| None, Some("ask for more")), @r#"
        NOT_FOUND: there is no calendar "PT1H"
          hint: ask for more
        "#);
        let message = "request: expected at most 10000 events, found 10001";
        let mut details = ErrorDetails::with_error_info("BATCH_TOO_LARGE", "flowmeter", HashMap::new());
        details.add_quota_failure_violation("request", message);
        let status = Status::with_error_details(Code::ResourceExhausted, message, details);
        insta::assert_snapshot!(describe_status(&status), @r"
        RESOURCE_EXHAUSTED: request: expected at most 10000 events, found 10001
          reason: BATCH_TOO_LARGE
        ");
        let nothing = Status::new(Code::Unimplemented, "");
        assert!(describe_status(&nothing).starts_with("UNIMPLEMENTED\n"));
    }

    #[test]
    fn built_in_metrics_and_metrics_of_assets_have_different_hints() {
        let hint_of = |name: &str| {
            let mut details = ErrorDetails::with_error_info("BUILT_IN", "flowmeter", HashMap::new());
            details.set_resource_info("metric", name, "", "built in");
            hint(&Status::with_error_details(Code::FailedPrecondition, "it is built in", details)).unwrap()
        };
        assert!(hint_of("ODSLRequest/ReadRequests").ends_with("define your own"));
        assert!(hint_of("asset/quality").starts_with("metrics of assets come with their values"));
    }

    #[test]
    fn shows_the_context_and_a_hint() {
        let error = anyhow::Error::from(Status::unauthenticated("no token")).context("cannot send line 7");
        insta::assert_snapshot!(describe(&error, &|_| None, None), @r"
        error: cannot send line 7
        UNAUTHENTICATED: no token
          hint: give a token in FLOWMETER_TOKEN or with --token
        ");
    }

    #[test]
    fn hints_do_not_depend_on_sentences() {
        let hint_of = |code, reason: &str, field: &str, kind: &str| {
            let mut details = ErrorDetails::with_error_info(reason, "flowmeter", HashMap::new());
            let mut violation = tonic_types::FieldViolation::new(field, "x");
            violation.reason = kind.to_owned();
            details.set_bad_request(vec![violation]);
            hint(&Status::with_error_details(code, "x", details)).unwrap_or_default()
        };
        let wrong = |field, kind| hint_of(Code::InvalidArgument, "INVALID_FIELD", field, kind);
        assert!(
            wrong("calendar", "LAST_WITHOUT_CALENDAR").starts_with("last(N) is for `flowmeter executions")
        );
        assert!(wrong("read_mask", "UNKNOWN_FIELD").starts_with("an attribute is named attributes.NAME"));
        assert_eq!(wrong("read_mask", "MISSPELT"), "");
        assert_eq!(wrong("calendar", "SYNTAX"), "");
        assert!(hint_of(Code::Unauthenticated, "TOKEN_EXPIRED", "", "").starts_with("create a new token"));
        assert!(hint_of(Code::Unauthenticated, "TOKEN_MISSING", "", "").starts_with("give a token"));
        assert!(hint_of(Code::Aborted, "VERSION_MISMATCH", "", "").starts_with("read it again"));
        assert!(hint_of(Code::FailedPrecondition, "BUILT_IN", "", "").starts_with("built-in definitions"));
        assert!(hint_of(Code::Unimplemented, "UNKNOWN_METHOD", "", "").ends_with("URLs swapped?"));
    }

    #[test]
    fn shows_other_errors_with_their_causes() {
        let error = anyhow::anyhow!("no such file").context("cannot read access.log");
        assert_eq!(describe(&error, &|_| None, None), "error: cannot read access.log: no such file\n");
    }
}
