//! Reads the status of a failed call of any method of the services. The errors of this library are built with these
//! functions, and programs that call other methods can use them too.

mod details;

use tonic::{Code, Status};

pub(crate) use self::details::Details;

/// The reason of a batch that is too large. A retry would fail again, although other errors with the same code are
/// temporary.
const BATCH_TOO_LARGE: &str = "BATCH_TOO_LARGE";

/// The gRPC code. If the status has a cause on the side of the client, the connection failed or broke, and the code is
/// `UNAVAILABLE`, whatever code tonic chose.
#[must_use]
pub fn code(status: &Status) -> Code {
    if std::error::Error::source(status).is_some() { Code::Unavailable } else { status.code() }
}

/// The reason in capitals, such as `QUEUE_FULL` or `TOKEN_EXPIRED`, from `google.rpc.ErrorInfo`. None if the status does
/// not come from the service.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    Details::of(status).reason
}

/// The message of the status, followed by its causes on the side of the client. The message alone, such as "transport
/// error", does not say that the connection was refused.
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

/// Whether this is the reason of a batch that is too large for the service.
pub(crate) fn is_too_large(reason: Option<&str>) -> bool {
    reason == Some(BATCH_TOO_LARGE)
}

/// The name of a code, such as `UNAVAILABLE`.
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
