//! The query service as far as a client that reports asks it: what the services can do.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use flowmeter_proto::v1::GetBuildInfoResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use crate::state::State;

/// Answers `GetBuildInfo` with the features that the test set.
#[derive(Debug, Clone)]
pub struct BuildInfo(pub Arc<State>);

impl NamedService for BuildInfo {
    const NAME: &'static str = "flowmeter.v1.QueryService";
}

impl<B> Service<Request<B>> for BuildInfo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !request.uri().path().ends_with("/GetBuildInfo") {
            return ready(Ok(Status::unimplemented("").into_http()));
        }
        *self.0.asked.lock().unwrap() += 1;
        let features = self.0.features.lock().unwrap().clone();
        ready(Ok(answered(&GetBuildInfoResponse { features, ..GetBuildInfoResponse::default() })))
    }
}

/// The answer to a call in gRPC's frame: not compressed, its length, itself.
fn answered(message: &impl Message) -> Response<Body> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    frame.extend(message.encode_to_vec());
    let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let trailers = ready(Some(Ok(HeaderMap::from_iter([ok]))));
    let body = Body::new(Full::from(frame).with_trailers(trailers));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
