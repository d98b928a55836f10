//! Errors as people read them: a gRPC status with its details decoded, every
//! other error as the chain of its causes. What goes out never holds a token.

use std::fmt::Write;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::render::text::printable;

/// The text of an error, each line ended. A gRPC status among its causes is
/// shown with code, message and details.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let status = error.chain().find_map(|cause| cause.downcast_ref::<Status>());
    let Some(status) = status else { return format!("error: {error:#}\n") };
    // What was being done, if someone said so; the status itself follows.
    let mut out = String::new();
    for context in error.chain().take_while(|cause| !cause.is::<Status>()) {
        let _ = writeln!(out, "error: {context}");
    }
    out + &describe_status(status)
}

/// The text of a status: `CODE: message`, then a line for each detail.
pub(crate) fn describe_status(status: &Status) -> String {
    let mut out = name_status(status) + "\n";
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        let _ = writeln!(out, "  reason: {}", printable(&info.reason));
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        for (key, value) in metadata {
            let _ = writeln!(out, "  {}: {}", printable(key), printable(value));
        }
    }
    if let Some(request) = details.bad_request() {
        for violation in &request.field_violations {
            let _ = writeln!(out, "  {}: {}", printable(&violation.field), printable(&violation.description));
        }
    }
    if let Some(failure) = details.quota_failure() {
        for violation in &failure.violations {
            let _ = writeln!(
                out,
                "  limit {}: {}",
                printable(&violation.subject),
                printable(&violation.description)
            );
        }
    }
    if let Some(resource) = details.resource_info() {
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
    if let Some(hint) = hint(status) {
        let _ = writeln!(out, "  hint: {hint}");
    }
    out
}

/// The first line of [`describe_status`].
pub(crate) fn name_status(status: &Status) -> String {
    format!("{}: {}", code_name(status.code()), printable(&message(status)))
}

/// The reason in capitals that the service gave with a status.
pub(crate) fn reason(status: &Status) -> Option<String> {
    Some(status.get_details_error_info()?.reason)
}

/// Whether the output was closed by its reader, as `head` does: no error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The message, with the causes on this side, which tonic keeps apart: "transport
/// error" alone tells nobody that the connection was refused.
fn message(status: &Status) -> String {
    let mut message = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

fn hint(status: &Status) -> Option<&'static str> {
    match (status.code(), reason(status).as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_EXPIRED")) => {
            Some("make a new token with `flowmeter token create`")
        }
        (Code::Unauthenticated, _) => Some("give a token in FLOWMETER_TOKEN or with --token"),
        (Code::Aborted, Some("VERSION_MISMATCH")) => {
            Some("it was changed meanwhile: look at it again, then give its version now")
        }
        (Code::FailedPrecondition, Some("BUILT_IN")) => {
            Some("what is built in belongs to everyone; define one of your own")
        }
        // Not the service's answer, but that there was none.
        (Code::Unavailable, None) if std::error::Error::source(status).is_some() => Some(
            "is the service running there? See --ingest-url and --query-url (FLOWMETER_INGEST_URL, FLOWMETER_QUERY_URL)",
        ),
        (Code::Unimplemented, _) => {
            Some("this address answers, but offers no such method: are the two URLs swapped?")
        }
        _ => None,
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
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
        insta::assert_snapshot!(describe(&status.into()), @r"
        INVALID_ARGUMENT: wrong range
          reason: INVALID_RANGE
          have: 1
          range: expected a year at position 9
          limit events: at most 10000
          resource: tenant tenants/acme
          try again in 1.5s
        ");
    }

    #[test]
    fn shows_the_context_and_a_hint() {
        let error = anyhow::Error::from(Status::unauthenticated("no token")).context("cannot send line 7");
        insta::assert_snapshot!(describe(&error), @r"
        error: cannot send line 7
        UNAUTHENTICATED: no token
          hint: give a token in FLOWMETER_TOKEN or with --token
        ");
    }

    #[test]
    fn shows_other_errors_with_their_causes() {
        let error = anyhow::anyhow!("no such file").context("cannot read access.log");
        assert_eq!(describe(&error), "error: cannot read access.log: no such file\n");
    }
}
