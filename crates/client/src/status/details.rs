//! The details of a status: the three messages of `google.rpc` that the services add. They are declared here, because
//! the crate `tonic-types` would be one more dependency of every service that reports.

use std::time::Duration;

use flowmeter_proto::prost_types;
use flowmeter_proto::v1::FieldViolation;
use prost::Message;
use tonic::Status;

/// The details of a status.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Details {
    /// The reason in capitals, from `google.rpc.ErrorInfo`.
    pub(crate) reason: Option<String>,
    /// The minimum delay before a retry, from `google.rpc.RetryInfo`.
    pub(crate) retry_delay: Option<Duration>,
    /// The invalid fields, from `google.rpc.BadRequest`.
    pub(crate) field_violations: Vec<FieldViolation>,
}

impl Details {
    /// Reads the details of a status. Details of other types, and details that cannot be decoded, are ignored.
    pub(crate) fn of(status: &Status) -> Self {
        let mut details = Self::default();
        let Ok(RpcStatus { details: all }) = RpcStatus::decode(status.details()) else { return details };
        for any in &all {
            let value = any.value.as_slice();
            match any.type_url.rsplit_once('/').map(|(_, name)| name) {
                Some("google.rpc.ErrorInfo") => {
                    let info = ErrorInfo::decode(value).unwrap_or_default();
                    details.reason = Some(info.reason).filter(|reason| !reason.is_empty());
                }
                Some("google.rpc.RetryInfo") => {
                    let info = RetryInfo::decode(value).unwrap_or_default();
                    details.retry_delay = info.retry_delay.and_then(|delay| delay.try_into().ok());
                }
                Some("google.rpc.BadRequest") => {
                    let request = BadRequest::decode(value).unwrap_or_default();
                    details.field_violations = request.field_violations;
                }
                _ => {}
            }
        }
        details
    }
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    /// `google.rpc.BadRequest.FieldViolation` has the same fields and numbers.
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn details_are_read_as_the_services_write_them() {
        let mut all = ErrorDetails::with_error_info(
            "QUEUE_FULL",
            "flowmeter",
            HashMap::from([("a".into(), "b".into())]),
        );
        all.set_retry_info(Some(Duration::from_millis(1_500)));
        all.add_bad_request_violation("request_id", "expected a UUID");
        all.set_help(vec![]);
        let status = Status::with_error_details(Code::ResourceExhausted, "full", all);
        let expected = Details {
            reason: Some("QUEUE_FULL".into()),
            retry_delay: Some(Duration::from_millis(1_500)),
            field_violations: vec![FieldViolation {
                field: "request_id".into(),
                description: "expected a UUID".into(),
            }],
        };
        assert_eq!(Details::of(&status), expected);
    }

    #[test]
    fn a_status_without_readable_details_has_none() {
        assert_eq!(Details::of(&Status::unavailable("down")), Details::default());
        let broken = Status::with_details(Code::Internal, "", bytes::Bytes::from_static(b"\xff\xff"));
        assert_eq!(Details::of(&broken), Details::default());
    }
}
