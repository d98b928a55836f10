//! What a status of the services says, whatever method it is of: this library's errors are made of it, and programs
//! that call methods which this library does not have read it alike.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The same batch would be too large again, although its code may be repeated otherwise.
const BATCH_TOO_LARGE: &str = "BATCH_TOO_LARGE";

/// The gRPC code. A connection that broke while a call was under way has many codes, but always a cause on this side
/// of the wire: it is gone, whatever the code, so it is `UNAVAILABLE`.
#[must_use]
pub fn code(status: &Status) -> Code {
    if std::error::Error::source(status).is_some() { Code::Unavailable } else { status.code() }
}

/// The reason in capitals, such as `QUEUE_FULL` or `TOKEN_EXPIRED`, from `google.rpc.ErrorInfo`. None if it was not
/// the service that answered.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason).filter(|reason| !reason.is_empty())
}

/// The message with the causes on this side, which tonic keeps apart: "transport error" alone tells nobody that the
/// connection was refused.
#[must_use]
pub fn message(status: &Status) -> String {
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

/// Whether the same request may succeed later. See [`Error::is_repeatable`](crate::Error::is_repeatable).
#[must_use]
pub fn is_repeatable(status: &Status) -> bool {
    may_be_repeated(code(status), reason(status).as_deref())
}

pub(crate) fn may_be_repeated(code: Code, reason: Option<&str>) -> bool {
    match code {
        Code::Unavailable | Code::DeadlineExceeded => true,
        Code::ResourceExhausted => !is_too_large(reason),
        _ => false,
    }
}

/// Whether a batch failed for this reason because the service takes none so large.
pub(crate) fn is_too_large(reason: Option<&str>) -> bool {
    reason == Some(BATCH_TOO_LARGE)
}

/// A code as the contract writes it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
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
