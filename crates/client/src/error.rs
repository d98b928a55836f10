//! Why a client cannot be made, and why a call failed: the code, and the details that the service adds to it.

use std::time::Duration;

use flowmeter_proto::v1::FieldViolation;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::status;

/// Why a [`Client`](crate::Client) cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The URL is none of a service.
    #[error("{url:?} is not a URL such as http://127.0.0.1:7071 or https://ingest.example.com")]
    Url {
        /// What was given.
        url: String,
    },
    /// The token holds characters that no token has. It is not shown.
    #[error("the token holds characters that no token has")]
    Token,
    /// There are settings of TLS, but the URL is not `https://`, so that they would be ignored.
    #[error("{url:?} does not use TLS, but there are settings of TLS; use https://")]
    TlsUnused {
        /// What was given.
        url: String,
    },
    /// The PEM holds no certificate.
    #[error("the PEM of the authority holds no certificate")]
    NoCertificate,
    /// A certificate or key cannot be read, or the name of the server is none.
    #[error("the settings of TLS cannot be used")]
    Tls(#[source] tonic::transport::Error),
}

/// Why a call failed.
///
/// ```
/// # use flowmeter_client::{Client, ClientSettings, UsageEvent};
/// # flowmeter_fake::example(async |fake| {
/// # let client = Client::new(ClientSettings::new(fake.url()))?;
/// # let events = [UsageEvent::default()];
/// # let expired = flowmeter_fake::failure(tonic::Code::Unauthenticated, "TOKEN_EXPIRED", None);
/// # fake.plan([flowmeter_fake::Plan::Refuse(expired)]);
/// # let mut renewed = false;
/// # let mut renew_token = || renewed = true;
/// let Err(error) = client.record_usage(&events).await else { return Ok(()) };
/// match error.reason() {
///     Some("TOKEN_EXPIRED") => renew_token(),
///     _ if error.is_repeatable() => { /* later, with error.request_id() */ }
///     _ => eprintln!("{error}: {:?}", error.field_violations()),
/// }
/// # assert!(renewed);
/// # Ok(())
/// # });
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}: {}{}", status::code_name(self.0.code), Reason(self.0.reason.as_deref()), self.0.message, Attempts(self.0.attempts))]
pub struct Error(Box<Failure>);

#[derive(Debug, Clone)]
struct Failure {
    code: Code,
    reason: Option<String>,
    message: String,
    field_violations: Vec<FieldViolation>,
    retry_delay: Option<Duration>,
    request_id: Uuid,
    attempts: u32,
}

impl Error {
    /// Reads what the service said, or what became of the connection.
    pub(crate) fn new(status: &Status, request_id: Uuid) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let field_violations = violations.iter().map(|violation| FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
        });
        Self(Box::new(Failure {
            code: status::code(status),
            reason: status::reason(status),
            message: status::message(status),
            field_violations: field_violations.collect(),
            retry_delay: details.retry_info().and_then(|info| info.retry_delay),
            request_id,
            attempts: 1,
        }))
    }

    /// The same after so many attempts.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The gRPC code. A connection that cannot be made or that breaks is `UNAVAILABLE`.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason in capitals, such as `QUEUE_FULL` or `TOKEN_EXPIRED`, from `google.rpc.ErrorInfo`. None if
    /// it was not the service that answered.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The wrong fields of the request as a whole, from `google.rpc.BadRequest`. Wrong items are no error: see
    /// [`Recorded::rejections`](crate::Recorded::rejections).
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// How long the service asks to wait at least, from `google.rpc.RetryInfo`.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// Whether the same request may succeed later: `UNAVAILABLE`, `DEADLINE_EXCEEDED`, and `RESOURCE_EXHAUSTED`
    /// unless the batch is too large. With [`Error::request_id`] it counts once, although it is not known whether
    /// this attempt was recorded.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        status::may_be_repeated(self.0.code, self.reason())
    }

    /// Whether the service takes no batch so large.
    pub(crate) fn is_too_large(&self) -> bool {
        status::is_too_large(self.reason())
    }

    /// The id of the request that failed.
    #[must_use]
    pub fn request_id(&self) -> Uuid {
        self.0.request_id
    }

    /// How often it was tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
}

struct Reason<'a>(Option<&'a str>);

impl std::fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(formatter, " ({reason})"))
    }
}

struct Attempts(u32);

impl std::fmt::Display for Attempts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > 1 { write!(formatter, " (after {} attempts)", self.0) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn says_what_the_service_said() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "flowmeter", HashMap::new());
        details.add_bad_request_violation("request_id", "expected a UUID");
        details.set_retry_info(Some(Duration::from_secs(2)));
        let status =
            Status::with_error_details(Code::InvalidArgument, "request_id: expected a UUID", details);
        let error = Error::new(&status, Uuid::nil()).after(3);
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT (INVALID_FIELD): request_id: expected a UUID (after 3 attempts)"
        );
        assert_eq!(error.field_violations()[0].field, "request_id");
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(2)));
        assert!(!error.is_repeatable());
    }

    #[test]
    fn what_may_be_repeated() {
        let of = |code, reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "flowmeter", HashMap::new());
            Error::new(&Status::with_error_details(code, "", details), Uuid::nil()).is_repeatable()
        };
        assert!(of(Code::Unavailable, "QUEUE_UNAVAILABLE"));
        assert!(of(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        assert!(of(Code::ResourceExhausted, "QUEUE_FULL"));
        assert!(!of(Code::ResourceExhausted, "BATCH_TOO_LARGE"));
        assert!(!of(Code::Unauthenticated, "TOKEN_INVALID"));
        assert!(!of(Code::Internal, "INTERNAL"));
        assert!(!of(Code::Unknown, ""));
    }
}
