//! The event of a request, and the HTTP status codes of gRPC statuses.

use std::collections::HashMap;

use flowmeter_proto::v1::{FlowOutcome, UsageEvent};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

/// The limit of a string in the contract.
const MAX_STRING_BYTES: usize = 1024;
/// The status of a call that was cancelled by its caller, from `google.rpc.Code`.
pub(super) const CLIENT_CLOSED_REQUEST: i32 = 499;

/// The default event of a request in [`UsageLayer`](super::UsageLayer): `type` is `api`, `method` is the HTTP method in
/// lower case, and `service` and the attribute `key` come from the path:
///
/// | path | `service` | `key` |
/// | --- | --- | --- |
/// | `/pets/7/toys` | `pets` | `7/toys` |
/// | `/` | absent | absent |
/// | `/flowmeter.v1.IngestService/RecordUsage`, a gRPC call | `flowmeter.v1.IngestService` | `RecordUsage` |
///
/// The query of the URL is left out, because it may contain secrets. A text of more than 1 KiB is truncated.
#[must_use]
pub fn describe_by_path(request: &Parts) -> UsageEvent {
    let path = request.uri.path().trim_start_matches('/');
    let (service, key) = path.split_once('/').unwrap_or((path, ""));
    let attributes = match key {
        "" => HashMap::new(),
        key => HashMap::from([("key".to_owned(), cut(key))]),
    };
    UsageEvent {
        r#type: "api".into(),
        method: request.method.as_str().to_ascii_lowercase(),
        service: cut(service),
        attributes,
        ..UsageEvent::default()
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_STRING_BYTES)].to_owned()
}

/// Whether a request is a gRPC call, the outcome of which is in `grpc-status`.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    content_type.is_some_and(|value| {
        let rest = value.strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The status of a gRPC call, from its headers or trailers.
pub(super) fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The HTTP status code of a gRPC status, as `google/rpc/code.proto` maps them:
///
/// | HTTP | gRPC |
/// | --- | --- |
/// | 200 | `OK` |
/// | 400 | `INVALID_ARGUMENT`, `FAILED_PRECONDITION`, `OUT_OF_RANGE` |
/// | 401 | `UNAUTHENTICATED` |
/// | 403 | `PERMISSION_DENIED` |
/// | 404 | `NOT_FOUND` |
/// | 409 | `ALREADY_EXISTS`, `ABORTED` |
/// | 429 | `RESOURCE_EXHAUSTED` |
/// | 499 | `CANCELLED` |
/// | 500 | `UNKNOWN`, `INTERNAL`, `DATA_LOSS`, and numbers that gRPC does not define |
/// | 501 | `UNIMPLEMENTED` |
/// | 503 | `UNAVAILABLE` |
/// | 504 | `DEADLINE_EXCEEDED` |
#[must_use]
pub fn httpstatus_of_grpc(status: i32) -> u16 {
    match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// The outcome of a request to the endpoint of a flow by its gRPC status. [`FlowLayer`](super::FlowLayer) documents
/// the table.
pub(super) fn outcome_of_grpc(status: i32) -> FlowOutcome {
    match status {
        0 => FlowOutcome::Succeeded,
        4 => FlowOutcome::TimeoutError,
        14 => FlowOutcome::NoHttpResponseError,
        _ => FlowOutcome::UnexpectedHttpStatusCode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(method: &str, path: &str) -> (String, String, Option<String>) {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        let mut event = describe_by_path(&request.into_parts().0);
        (event.method, event.service, event.attributes.remove("key"))
    }

    #[test]
    fn service_and_key_come_from_the_path() {
        let of =
            |service: &str, key: Option<&str>| ("get".to_owned(), service.to_owned(), key.map(Into::into));
        assert_eq!(described("GET", "/pets"), of("pets", None));
        assert_eq!(described("GET", "/pets/7/toys?token=x"), of("pets", Some("7/toys")));
        assert_eq!(described("GET", "http://host/"), of("", None));
        assert_eq!(described("GET", &format!("/{}", "x".repeat(2000))).1.len(), 1024);
        assert_eq!(described("OPTIONS", "*").0, "options");
    }

    #[test]
    fn a_grpc_call_is_recognized_by_its_content_type() {
        let is = |value: &str| is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc; x=y"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn grpc_statuses_are_mapped() {
        let mapped: Vec<_> = (0..18).map(httpstatus_of_grpc).collect();
        assert_eq!(
            mapped,
            [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500]
        );
        for status in 0..18 {
            let expected = match status {
                0 => FlowOutcome::Succeeded,
                4 => FlowOutcome::TimeoutError,
                14 => FlowOutcome::NoHttpResponseError,
                _ => FlowOutcome::UnexpectedHttpStatusCode,
            };
            assert_eq!(outcome_of_grpc(status), expected, "{status}");
        }
    }
}
