//! Errors for callers: a code, a reason from one table, and details such as the wrong field, how long to
//! wait, or what is missing. The internal cause is not sent, but logged once, here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use flowmeter_core::violation::{Fact, Kind, Violation};
use flowmeter_queue::PublishError;
use flowmeter_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::telemetry;

/// The domain of the reasons, in `google.rpc.ErrorInfo.domain`.
pub const DOMAIN: &str = "flowmeter";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal $code:ident;)*) => {
        /// Why a call failed, or an item of a batch was rejected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of the reason in `ErrorInfo` and in rejections.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The code of a call that fails for this reason.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code),* }
            }
        }
    };
}

reasons! {
    /// A field has a wrong value.
    InvalidField = "INVALID_FIELD" InvalidArgument;
    /// A time range cannot be parsed, or has too many buckets.
    InvalidRange = "INVALID_RANGE" InvalidArgument;
    /// A calendar cannot be parsed.
    InvalidCalendar = "INVALID_CALENDAR" InvalidArgument;
    /// A filter cannot be parsed.
    InvalidFilter = "INVALID_FILTER" InvalidArgument;
    /// A page token was not returned by this service, or belongs to another list.
    InvalidPageToken = "INVALID_PAGE_TOKEN" InvalidArgument;
    /// The flow of a request is not registered.
    UnknownFlow = "UNKNOWN_FLOW" InvalidArgument;
    /// The call has no token.
    TokenMissing = "TOKEN_MISSING" Unauthenticated;
    /// The token is unknown or revoked.
    TokenInvalid = "TOKEN_INVALID" Unauthenticated;
    /// The token has expired.
    TokenExpired = "TOKEN_EXPIRED" Unauthenticated;
    /// The token lacks the scope.
    ScopeMissing = "SCOPE_MISSING" PermissionDenied;
    /// The object does not exist, or the caller has no access to it.
    NotFound = "NOT_FOUND" NotFound;
    /// An object with this name already exists.
    AlreadyExists = "ALREADY_EXISTS" AlreadyExists;
    /// The object is built in and cannot be changed.
    BuiltIn = "BUILT_IN" FailedPrecondition;
    /// There is too little data for an answer.
    NotEnoughData = "NOT_ENOUGH_DATA" FailedPrecondition;
    /// The object has been changed since the given version.
    VersionMismatch = "VERSION_MISMATCH" Aborted;
    /// The limit is reached.
    LimitReached = "LIMIT_REACHED" ResourceExhausted;
    /// The queue is full at the moment.
    QueueFull = "QUEUE_FULL" ResourceExhausted;
    /// The batch is larger than allowed.
    BatchTooLarge = "BATCH_TOO_LARGE" ResourceExhausted;
    /// The broker is unavailable. Nothing was acknowledged: safe to retry with the same request id.
    QueueUnavailable = "QUEUE_UNAVAILABLE" Unavailable;
    /// The database is unavailable. Safe to repeat.
    StoreUnavailable = "STORE_UNAVAILABLE" Unavailable;
    /// The deadline has passed. Safe to retry with the same request id.
    DeadlineExceeded = "DEADLINE_EXCEEDED" DeadlineExceeded;
    /// The service has no such method.
    UnknownMethod = "UNKNOWN_METHOD" Unimplemented;
    /// A defect. The log has the cause under the `trace_id` or the `incident_id` of the error.
    Internal = "INTERNAL" Internal;
}

/// The maximum number of characters of a caller's text in an error.
const MAX_SHOWN_CHARS: usize = 200;

/// The maximum size of violations in headers. Clients accept 8 KiB, and there are other headers.
const MAX_HEADER_BYTES: usize = 6 * 1024;
/// The maximum size of one text of a violation in headers, so that there is room for at least one violation.
const MAX_TEXT_HEADER_BYTES: usize = 2_500;

/// How long to wait before a retry, by default.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The error of a failed call.
#[derive(Debug)]
pub struct ApiError {
    reason: Reason,
    message: String,
    details: Box<ErrorDetails>,
}

impl ApiError {
    /// An error with a reason and a message for the caller.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let mut details = Box::new(ErrorDetails::new());
        details.set_error_info(reason.name(), DOMAIN, HashMap::new());
        if matches!(reason.code(), Code::Unavailable) || reason == Reason::QueueFull {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        Self { reason, message: message.into(), details }
    }

    /// The error for a request with these violations. An error is sent in headers, so it only lists the
    /// violations that fit, and the number of the others.
    ///
    /// The facts of the first violation are in the metadata of `ErrorInfo` under `position`, `expected`,
    /// `found` and `alternatives`. Those of the second one are under `position_2` and so on, in the order of
    /// `BadRequest`. The kind of a violation is the reason of its `FieldViolation`.
    #[must_use]
    pub fn violations(reason: Reason, violations: &[Violation]) -> Self {
        let mut room = MAX_HEADER_BYTES;
        let mut metadata = HashMap::new();
        let listed = (1..).zip(violations).map_while(|(number, violation)| {
            let field = shortened(&violation.field);
            let description = shortened(&violation.description);
            room = room.checked_sub(header_bytes(&field) + header_bytes(&description))?;
            let mut listed = FieldViolation::new(field, description);
            let facts: Vec<_> = violation.facts.iter().map(|fact| fact_of(fact, number)).collect();
            let reason = violation.kind.map_or("", Kind::name);
            let of_facts = facts.iter().map(|(key, value)| detail_bytes(key) + detail_bytes(value));
            // The sentence contains the facts, so it has priority.
            if let Some(rest) = room.checked_sub(of_facts.sum::<usize>() + detail_bytes(reason)) {
                room = rest;
                listed.reason = String::from(reason);
                metadata.extend(facts);
            }
            Some(listed)
        });
        let fields: Vec<_> = listed.collect();
        let mut texts: Vec<_> =
            fields.iter().map(|listed| format!("{}: {}", listed.field, listed.description)).collect();
        if let more @ 1.. = violations.len() - fields.len() {
            texts.push(not_listed(more));
        }
        let mut error = Self::new(reason, texts.join("; ")).with_metadata(metadata);
        error.details.set_bad_request(fields);
        error
    }

    /// The error for a request with this violation.
    #[must_use]
    pub fn violation(reason: Reason, violation: &Violation) -> Self {
        Self::violations(reason, std::slice::from_ref(violation))
    }

    /// The same error with this metadata in `ErrorInfo`.
    fn with_metadata(mut self, metadata: HashMap<String, String>) -> Self {
        self.details.set_error_info(self.reason.name(), DOMAIN, metadata);
        self
    }

    /// The same error with the paths of its fields prefixed by `parent`: `filter` within `time_series`
    /// becomes `time_series.filter`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        let Some(mut fields) = self.details.bad_request().map(|bad| bad.field_violations.clone()) else {
            return self;
        };
        for field in &mut fields {
            field.field = format!("{parent}.{}", field.field);
        }
        self.message = format!("{parent}.{}", self.message);
        self.details.set_bad_request(fields);
        self
    }

    /// The error for a violation without facts.
    pub fn field(reason: Reason, field: &str, description: impl Into<String>) -> Self {
        Self::violation(reason, &Violation::new(field, description))
    }

    /// The object does not exist. Also used for objects of other tenants, so that callers cannot distinguish
    /// the two.
    #[must_use]
    pub fn not_found(kind: &str, name: &str) -> Self {
        // A name from a caller can be long, and an error is sent in headers.
        let name = name.chars().take(MAX_SHOWN_CHARS).collect::<String>();
        let name = name.as_str();
        let mut error = Self::new(Reason::NotFound, format!("there is no {kind} {name:?}"));
        error.details.set_resource_info(kind, name, "", "not found");
        error
    }

    /// The object exists, but not in this version.
    #[must_use]
    pub fn version_not_found(kind: &str, name: &str, version: i32) -> Self {
        let mut error =
            Self::new(Reason::NotFound, format!("there is no {kind} {name:?} in version {version}"))
                .with_metadata(HashMap::from([("version".to_owned(), version.to_string())]));
        error.details.set_resource_info(kind, name, "", "not found");
        error
    }

    /// The service has no method with this path. `served` are its gRPC services.
    #[must_use]
    pub fn unknown_method(path: &str, served: &[&str]) -> Self {
        let path: String = path.chars().take(MAX_SHOWN_CHARS).collect();
        let text = format!("expected a method of {}, found {path}", served.join(", "));
        let facts = [("alternatives", served.join(",")), ("found", path)];
        Self::new(Reason::UnknownMethod, text)
            .with_metadata(HashMap::from(facts.map(|(key, value)| (key.to_owned(), value))))
    }

    /// An object with this name already exists.
    #[must_use]
    pub fn already_exists(kind: &str, name: &str) -> Self {
        let mut error = Self::new(Reason::AlreadyExists, format!("the {kind} {name:?} already exists"));
        error.details.set_resource_info(kind, name, "", "already exists");
        error
    }

    /// The request exceeds a limit.
    #[must_use]
    pub fn too_large(message: String) -> Self {
        let mut error = Self::new(Reason::BatchTooLarge, message.clone());
        error.details.add_quota_failure_violation("request", message);
        error
    }

    /// The object is built in and cannot be changed.
    #[must_use]
    pub fn built_in(kind: &str, name: &str) -> Self {
        let mut error = Self::new(Reason::BuiltIn, format!("the {kind} {name:?} is built in"));
        error.details.set_resource_info(kind, name, "", "built in");
        error
    }

    /// The object has been changed since the given version.
    #[must_use]
    pub fn version_mismatch(kind: &str, name: &str, current: i32) -> Self {
        let text =
            format!("the {kind} {name:?} is now at version {current}: read it again before changing it");
        let mut error = Self::new(Reason::VersionMismatch, text)
            .with_metadata(HashMap::from([("version".to_owned(), current.to_string())]));
        error.details.set_resource_info(kind, name, "", "changed since");
        error
    }

    /// The flow has had fewer requests than its metrics need.
    #[must_use]
    pub fn not_enough_data(have: i64, need: i64) -> Self {
        let text =
            format!("not enough data: the flow has had {have} of the {need} requests that its metrics need");
        let numbers = [("have", have), ("need", need)];
        let metadata = numbers.map(|(name, number)| (name.to_owned(), number.to_string()));
        Self::new(Reason::NotEnoughData, text).with_metadata(HashMap::from(metadata))
    }

    /// The maximum number of objects is reached.
    #[must_use]
    pub fn limit_reached(limit: i64, of: &str) -> Self {
        let message = format!("expected at most {limit} {of}");
        let mut error = Self::new(Reason::LimitReached, message.clone());
        error.details.add_quota_failure_violation("catalog", message);
        error
    }

    /// A defect. The error contains the id under which the log has the cause: the id of the trace if there is
    /// one.
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        let (key, id) = match telemetry::trace_id(&tracing::Span::current()) {
            Some(trace) => ("trace_id", trace),
            None => ("incident_id", uuid::Uuid::now_v7().to_string()),
        };
        let of = |name| (key == name).then_some(id.as_str());
        let (trace_id, incident_id) = (of("trace_id"), of("incident_id"));
        tracing::error!(error = %cause, trace_id, incident_id, "internal error");
        let text = format!("internal error: the log of the service has the cause under {key} {id}");
        let mut internal =
            Self::new(Reason::Internal, text).with_metadata(HashMap::from([(key.to_owned(), id.clone())]));
        internal.details.set_request_info(id, "");
        internal
    }

    /// The deadline has passed.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(Reason::DeadlineExceeded, message)
    }
}

/// Says how many more violations there are than an error or a rejection lists.
#[must_use]
pub fn not_listed(more: usize) -> String {
    match more {
        1 => "1 more violation is not listed".to_owned(),
        _ => format!("{more} more violations are not listed"),
    }
}

/// The error of the contract for a request that tonic cannot decode, such as a message whose fields have
/// other types. None for any other status. An INTERNAL status of Flowmeter means a defect and has details,
/// but one of tonic has none.
#[must_use]
pub fn unreadable(status: &Status) -> Option<ApiError> {
    if status.code() != Code::Internal || !status.details().is_empty() {
        return None;
    }
    let text = format!("expected an encoded request of this method: {}", status.message());
    Some(ApiError::new(Reason::InvalidField, text))
}

/// A fact of the violation with this number, as a key and a value in the metadata of `ErrorInfo`.
fn fact_of(fact: &Fact, number: usize) -> (String, String) {
    let key = match number {
        1 => fact.key().to_owned(),
        _ => format!("{}_{number}", fact.key()),
    };
    (key, shortened(&fact.value()).into_owned())
}

/// The size in headers of a text that is only in the details.
fn detail_bytes(text: &str) -> usize {
    /// The size of tags and lengths.
    const FRAME: usize = 6;
    ((FRAME + text.len()) * 4).div_ceil(3)
}

/// The size in headers of a text of a violation. It occurs once in the message, and twice in the details: in
/// the copy of the message and in the violation.
fn header_bytes(text: &str) -> usize {
    /// The size of separators, tags and lengths.
    const FRAME: usize = 16;
    FRAME + text.chars().map(char_header_bytes).sum::<usize>()
}

/// The size in headers of a character of such a text. In the message, an unsafe byte is encoded as three
/// bytes. The details are in base64, which encodes three bytes as four.
fn char_header_bytes(char: char) -> usize {
    let is_safe = char.is_ascii_alphanumeric() || "!$&'()*+,-./:;=@[\\]^_|~".contains(char);
    let bytes = char.len_utf8();
    bytes * if is_safe { 1 } else { 3 } + (2 * bytes * 4).div_ceil(3)
}

/// A text of a violation, truncated if it is too long, because it can contain text of the caller.
fn shortened(text: &str) -> Cow<'_, str> {
    let mut room = MAX_TEXT_HEADER_BYTES;
    let end = text.char_indices().find_map(|(at, char)| match room.checked_sub(char_header_bytes(char)) {
        Some(rest) => {
            room = rest;
            None
        }
        None => Some(at),
    });
    end.map_or(Cow::Borrowed(text), |end| Cow::Owned(format!("{}...", &text[..end])))
}

/// The message for the caller.
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        Self::violation(Reason::InvalidField, &violation)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::TimedOut(_)) {
            return Self::deadline("the database took too long: request less data");
        }
        if error.is_transient() {
            tracing::warn!(%error, "the store is unavailable");
            return Self::new(
                Reason::StoreUnavailable,
                "the database is unavailable or busy: retry the call",
            );
        }
        Self::internal(&error)
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Full => {
                let mut full = Self::new(Reason::QueueFull, "the queue is full: nothing was accepted");
                full.details.add_quota_failure_violation("queue", "the queue has reached its limit");
                full
            }
            PublishError::Unavailable => Self::new(
                Reason::QueueUnavailable,
                "the queue did not confirm the request: retry it with the same request_id",
            ),
        }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        Status::with_error_details(error.reason.code(), error.message, *error.details)
    }
}

#[cfg(test)]
mod tests {
    use flowmeter_core::syntax::SyntaxError;
    use flowmeter_core::zone::UnknownZone;

    use super::*;

    #[test]
    fn the_table_of_reasons_is_part_of_the_contract() {
        let table: Vec<_> =
            Reason::ALL.iter().map(|reason| format!("{} {:?}", reason.name(), reason.code())).collect();
        insta::assert_snapshot!(table.join("
"), @r"
        INVALID_FIELD InvalidArgument
        INVALID_RANGE InvalidArgument
        INVALID_CALENDAR InvalidArgument
        INVALID_FILTER InvalidArgument
        INVALID_PAGE_TOKEN InvalidArgument
        UNKNOWN_FLOW InvalidArgument
        TOKEN_MISSING Unauthenticated
        TOKEN_INVALID Unauthenticated
        TOKEN_EXPIRED Unauthenticated
        SCOPE_MISSING PermissionDenied
        NOT_FOUND NotFound
        ALREADY_EXISTS AlreadyExists
        BUILT_IN FailedPrecondition
        NOT_ENOUGH_DATA FailedPrecondition
        VERSION_MISMATCH Aborted
        LIMIT_REACHED ResourceExhausted
        QUEUE_FULL ResourceExhausted
        BATCH_TOO_LARGE ResourceExhausted
        QUEUE_UNAVAILABLE Unavailable
        STORE_UNAVAILABLE Unavailable
        DEADLINE_EXCEEDED DeadlineExceeded
        UNKNOWN_METHOD Unimplemented
        INTERNAL Internal
        ");
    }

    #[test]
    fn an_undecodable_request_is_not_a_defect() {
        let status = Status::from(unreadable(&Status::internal("Missing request message.")).unwrap());
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "expected an encoded request of this method: Missing request message.");
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "INVALID_FIELD");
        let defect = ApiError::new(Reason::Internal, "internal error");
        for other in [
            Status::from(defect),
            Status::out_of_range("too large"),
            Status::from(unreadable(&Status::internal("")).unwrap()),
        ] {
            assert!(unreadable(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn every_error_has_its_reason() {
        let status = Status::from(ApiError::field(Reason::InvalidRange, "range", "expected a date"));
        assert_eq!(status.message(), "range: expected a date");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "INVALID_RANGE");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "range");
        let status = Status::from(ApiError::not_enough_data(12, 250));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "NOT_ENOUGH_DATA");
        assert_eq!((info.metadata["have"].as_str(), info.metadata["need"].as_str()), ("12", "250"));
        let status = Status::from(ApiError::from(PublishError::Unavailable));
        assert!(status.get_error_details().retry_info().is_some());
        let status = Status::from(ApiError::version_not_found("metric", "Shop/Sales", 3));
        assert_eq!(status.message(), "there is no metric \"Shop/Sales\" in version 3");
        assert_eq!(status.get_error_details().resource_info().unwrap().resource_name, "Shop/Sales");
        assert_eq!(status.get_error_details().error_info().unwrap().metadata["version"], "3");
    }

    #[test]
    fn metadata_has_the_facts_of_all_violations() {
        let range = Violation::from(SyntaxError::new(9, "a number").found("x")).within("range");
        let zone = Violation::from(UnknownZone("Mars".to_owned())).within("time_zone");
        let violations = [range, Violation::new("fill", "expected FILL_NONE"), zone];
        let status = Status::from(ApiError::violations(Reason::InvalidField, &violations));
        let details = status.get_error_details();
        let kinds: Vec<_> = details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|listed| listed.reason.as_str())
            .collect();
        assert_eq!(kinds, ["SYNTAX", "", "UNKNOWN_TIME_ZONE"]);
        let told: std::collections::BTreeMap<_, _> =
            details.error_info().unwrap().metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
        let expected = [("expected", "a number"), ("found", "x"), ("found_3", "Mars"), ("position", "9")];
        assert_eq!(told, expected.into());
    }

    #[test]
    fn a_defect_without_a_trace_has_an_incident_id() {
        let status = Status::from(ApiError::internal(&"disk on fire"));
        let details = status.get_error_details();
        let id = &details.error_info().unwrap().metadata["incident_id"];
        assert!(status.message().ends_with(&format!("incident_id {id}")), "{status}");
        assert!(!status.message().contains("fire"), "{status}");
    }

    /// The size of the headers of a failed call, as HTTP/2 counts it.
    fn header_list_bytes(error: ApiError) -> usize {
        let mut headers = http::HeaderMap::new();
        Status::from(error).add_header(&mut headers).unwrap();
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    #[test]
    fn errors_fit_into_headers_regardless_of_the_violations() {
        for text in ["x", " ", "漢", "\u{1f600}", "\u{7f}", "\"", "\\u{7f}", "ü x"] {
            for (repeated, count) in [(1, 10_000), (40, 12), (400, 12), (1_000_000, 2)] {
                let violation = |index| {
                    let error = SyntaxError::new(index, "a number").found(&text.repeat(repeated));
                    let text = format!("expected a number, found {:?}", text.repeat(repeated));
                    let facts = Violation::from(error);
                    Violation { field: format!("metrics[{index}].value"), description: text, ..facts }
                };
                let violations: Vec<_> = (0..count).map(violation).collect();
                let error = ApiError::violations(Reason::InvalidField, &violations).within("time_series");
                let listed = error.details.bad_request().unwrap().field_violations.len();
                assert!(listed > 0);
                let more = format!("; {}", not_listed(count - listed));
                assert_eq!(error.message.ends_with(&more), listed < count, "{}", error.message);
                let bytes = header_list_bytes(error);
                assert!(bytes < 7 * 1024 + 512, "{bytes} of {count} times {repeated} times {text:?}");
            }
        }
        let long = Violation::new("漢".repeat(10_000), "漢".repeat(10_000));
        assert!(header_list_bytes(long.into()) < 7 * 1024);
    }

    #[test]
    fn the_number_of_violations_that_are_not_listed_agrees_with_its_noun() {
        let violations: Vec<_> =
            (0..100).map(|at| Violation::new(format!("metrics[{at}].name"), "x".repeat(100))).collect();
        let error = |count: usize| ApiError::violations(Reason::InvalidField, &violations[..count]);
        let listed = error(100).details.bad_request().unwrap().field_violations.len();
        for (more, expected) in
            [(1, "; 1 more violation is not listed"), (2, "; 2 more violations are not listed")]
        {
            let message = error(listed + more).message;
            assert!(message.ends_with(expected), "{message}");
        }
    }

    #[test]
    fn violations_that_fit_into_headers_are_complete() {
        let violations: Vec<_> =
            (0..12).map(|at| Violation::new(format!("metrics[{at}].name"), "x".repeat(100))).collect();
        let status = Status::from(ApiError::violations(Reason::InvalidField, &violations));
        let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(status.message(), texts.join("; "));
        assert_eq!(status.get_error_details().bad_request().unwrap().field_violations.len(), 12);
    }
}
