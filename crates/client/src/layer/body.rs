//! The body of an answer, which is observed until it ends, and the record of the answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::describe::{CLIENT_CLOSED_REQUEST, grpc_status, httpstatus_of_grpc, outcome_of_grpc};
use crate::guard::{FlowRequestGuard, UsageGuard, outcome_of_http};

/// The guard of an answer.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the larger one is the usual one, and a box would be one for each request"
)]
pub(super) enum Guard {
    Usage(UsageGuard),
    Flow(FlowRequestGuard),
}

/// How a request ended, by its answer.
#[derive(Debug, Clone, Copy)]
enum Ended {
    /// With this HTTP status.
    Http(StatusCode),
    /// With this gRPC status.
    Grpc(i32),
    /// The service or the body of its answer failed.
    Failed,
}

/// What is known about an answer. It is recorded when this is dropped.
#[derive(Debug)]
pub(super) struct Recording {
    guard: Guard,
    is_grpc: bool,
    ended: Option<Ended>,
    body_bytes: Option<u64>,
}

impl Recording {
    pub(super) fn new(guard: Guard, is_grpc: bool) -> Self {
        Self { guard, is_grpc, ended: None, body_bytes: None }
    }

    /// The answer started.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.body_bytes = Some(0);
        if self.is_grpc && status == StatusCode::OK {
            // The status is in the headers if there is no body, and otherwise in the trailers.
            self.read_status(headers);
        } else {
            self.ended = Some(Ended::Http(status));
        }
    }

    /// Reads the `grpc-status` of a gRPC call.
    fn read_status(&mut self, headers: &HeaderMap) {
        if self.is_grpc
            && let Some(status) = grpc_status(headers)
        {
            self.ended = Some(Ended::Grpc(status));
        }
    }

    /// The service or the body of its answer failed.
    pub(super) fn failed(&mut self) {
        self.ended.get_or_insert(Ended::Failed);
    }

    /// Whether it is known how the request ended, regardless of the body.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        match &mut self.guard {
            Guard::Usage(guard) => {
                let httpstatus = match self.ended {
                    Some(Ended::Http(status)) => Some(status.as_u16().into()),
                    Some(Ended::Grpc(status)) => Some(httpstatus_of_grpc(status).into()),
                    Some(Ended::Failed) => Some(StatusCode::INTERNAL_SERVER_ERROR.as_u16().into()),
                    // In a panic the guard sets its own code.
                    None => (!std::thread::panicking()).then_some(CLIENT_CLOSED_REQUEST),
                };
                let event = guard.event_mut();
                event.httpstatus = event.httpstatus.or(httpstatus);
                let body_bytes = self.body_bytes.and_then(|bytes| i64::try_from(bytes).ok());
                event.response_size = event.response_size.or(body_bytes);
            }
            Guard::Flow(guard) => match self.ended {
                Some(Ended::Http(status)) => guard.set_outcome(outcome_of_http(status.as_u16())),
                Some(Ended::Grpc(status)) => guard.set_outcome(outcome_of_grpc(status)),
                // Without an outcome, the guard records that there was no answer.
                Some(Ended::Failed) | None => {}
            },
        }
    }
}

pin_project! {
    /// The body of an answer, the end of which is recorded.
    #[derive(Debug)]
    pub struct RecordedBody<B> {
        #[pin]
        inner: B,
        recording: Option<Recording>,
    }
}

impl<B> RecordedBody<B> {
    pub(super) fn new(inner: B, recording: Option<Recording>) -> Self {
        Self { inner, recording }
    }
}

impl<B: Body> Body for RecordedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(context));
        if let Some(recording) = this.recording {
            match &frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    *recording.body_bytes.get_or_insert(0) += bytes;
                    frame.trailers_ref().inspect(|trailers| recording.read_status(trailers));
                }
                Some(Err(_)) => recording.failed(),
                None => {}
            }
        }
        if !matches!(frame, Some(Ok(_))) {
            // The answer ends here, and not when the connection drops the body.
            *this.recording = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default> Default for RecordedBody<B> {
    /// A body that is not recorded.
    fn default() -> Self {
        Self { inner: B::default(), recording: None }
    }
}
