//! Errors: why a client cannot be created, and why a call failed.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use flowmeter_proto::v1::FieldViolation;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::status::{self, Details};

/// Why a [`Client`](crate::Client) cannot be created from its settings.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// The URL is not the URL of a service.
    Url {
        /// The URL that was given.
        url: String,
    },
    /// The token contains characters that are not allowed in a token. The token is not shown.
    Token,
    /// TLS settings are given, but the URL does not begin with `https://`, so that they would have no effect.
    TlsUnused {
        /// The URL that was given.
        url: String,
    },
    /// The URL begins with `https://`, but this library was compiled without its feature `tls`.
    TlsMissing {
        /// The URL that was given.
        url: String,
    },
    /// The PEM of the authority contains no certificate.
    NoCertificate,
    /// A certificate or a key cannot be read, or the name of the server is not a host name.
    Tls(tonic::transport::Error),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url } => write!(
                formatter,
                "expected a URL such as http://127.0.0.1:7071 or https://ingest.example.com, found {url:?}"
            ),
            Self::Token => {
                formatter.write_str("the token contains characters that are not allowed in a token")
            }
            Self::TlsUnused { url } => {
                write!(
                    formatter,
                    "expected a URL that begins with https://, because TLS settings are given, found {url:?}"
                )
            }
            Self::TlsMissing { url } => write!(
                formatter,
                "expected a URL that begins with http://, because flowmeter-client was compiled without its \
                 feature tls, found {url:?}"
            ),
            Self::NoCertificate => {
                formatter.write_str("expected a certificate in the PEM data of the authority, found none")
            }
            Self::Tls(_) => formatter.write_str("the TLS settings cannot be used"),
        }
    }
}

impl StdError for SettingsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        if let Self::Tls(error) = self { Some(error) } else { None }
    }
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
#[derive(Debug, Clone)]
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
    /// Reads the status of a failed call.
    pub(crate) fn new(status: &Status, request_id: Uuid) -> Self {
        let Details { reason, retry_delay, field_violations } = Details::of(status);
        Self(Box::new(Failure {
            code: status::code(status),
            reason,
            message: status::message(status),
            field_violations,
            retry_delay,
            request_id,
            attempts: 1,
        }))
    }

    /// Sets the number of attempts.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The gRPC code. It is `UNAVAILABLE` if the connection failed or broke.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason in capitals, such as `QUEUE_FULL` or `TOKEN_EXPIRED`, from `google.rpc.ErrorInfo`. None if the error
    /// does not come from the service.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The error message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The invalid fields of the request as a whole, from `google.rpc.BadRequest`. Invalid items are not errors: see
    /// [`Recorded::rejections`](crate::Recorded::rejections).
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// The minimum delay before a retry that the service asks for, from `google.rpc.RetryInfo`.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// Whether the same request may succeed later: for `UNAVAILABLE`, `DEADLINE_EXCEEDED`, and `RESOURCE_EXHAUSTED`
    /// unless the batch is too large. A retry with [`Error::request_id`] counts once, even if this attempt was recorded.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        status::may_be_repeated(self.0.code, self.reason())
    }

    /// Whether the batch is too large for the service.
    pub(crate) fn is_too_large(&self) -> bool {
        status::is_too_large(self.reason())
    }

    /// The id of the request that failed.
    #[must_use]
    pub fn request_id(&self) -> Uuid {
        self.0.request_id
    }

    /// The number of attempts.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { code, reason, message, attempts, .. } = &*self.0;
        formatter.write_str(status::code_name(*code))?;
        if let Some(reason) = reason {
            write!(formatter, " ({reason})")?;
        }
        write!(formatter, ": {message}")?;
        if *attempts > 1 {
            write!(formatter, " (after {attempts} attempts)")?;
        }
        Ok(())
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn an_error_contains_the_details_of_the_status() {
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
    fn temporary_failures_are_repeatable() {
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
