//! The gate in front of every method. It checks the token before the body is read, and limits the number of
//! bodies in memory, so that no caller can exhaust the memory of a service. It also answers requests that no
//! method sees, because they cannot be decoded or name no method, and requests whose method panics.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::auth::Authenticator;
use crate::error::{self, ApiError};
use crate::tasks::panic_message;

/// The maximum number of calls whose bodies are in memory at the same time. Further calls wait, and their
/// bodies stay with the senders. A call with a stream of answers counts until the first answer.
const CALLS: usize = 128;

/// The methods that need a token: those of Flowmeter, without the exceptions.
const OURS: &str = "/flowmeter.v1.";
const WITHOUT_TOKEN: [&str; 1] = ["/flowmeter.v1.QueryService/GetBuildInfo"];

/// The services that every server has.
const EVERYWHERE: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];

/// The gate of a server.
#[derive(Clone)]
pub(crate) struct Gate {
    authenticator: Option<Authenticator>,
    calls: Arc<Semaphore>,
    served: &'static [&'static str],
}

impl Gate {
    /// A gate in front of the `served` gRPC services that asks for tokens, if there are methods that need
    /// one.
    pub(crate) fn new(authenticator: Option<Authenticator>, served: &'static [&'static str]) -> Self {
        Self { authenticator, calls: Arc::new(Semaphore::new(CALLS)), served }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let served = self.gate.served;
        let needs_token = path.starts_with(OURS) && !WITHOUT_TOKEN.contains(&path.as_str());
        let Some(authenticator) = self.gate.authenticator.clone().filter(|_| needs_token) else {
            return Box::pin(answer(self.inner.call(request), path, served));
        };
        let calls = self.gate.calls.clone();
        // The clone is not ready; the original is.
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let metadata = MetadataMap::from_headers(request.headers().clone());
        Box::pin(async move {
            if let Err(error) = authenticator.authenticate(&metadata).await {
                return Ok(Status::from(error).into_http());
            }
            let _call = calls.acquire().await.expect("it is never closed");
            answer(inner.call(request), path, served).await
        })
    }
}

/// Waits for the answer of a method. A panic becomes an INTERNAL error. Without this, the caller would only
/// see that its stream was reset. A panic cannot leave the shared state of methods inconsistent.
async fn answer<E>(
    method: impl Future<Output = Result<Response<Body>, E>>,
    path: String,
    served: &[&str],
) -> Result<Response<Body>, E> {
    match AssertUnwindSafe(method).catch_unwind().await {
        Ok(answer) => Ok(with_our_errors(answer?, &path, served)),
        Err(panic) => {
            let error = ApiError::internal(&format!("a method panicked: {}", panic_message(&*panic)));
            Ok(Status::from(error).into_http())
        }
    }
}

/// The answer, or the error of the contract if tonic could not decode the request or does not know the
/// method.
fn with_our_errors(answer: Response<Body>, path: &str, served: &[&str]) -> Response<Body> {
    // The methods themselves always answer with a message.
    if let Some(status) = Status::from_header_map(answer.headers())
        && status.code() == Code::Unimplemented
        && status.message().is_empty()
    {
        let served = [served, &EVERYWHERE].concat();
        return Status::from(ApiError::unknown_method(path, &served)).into_http();
    }
    let unreadable = answer.extensions().get::<Status>().and_then(error::unreadable);
    unreadable.map_or(answer, |error| Status::from(error).into_http())
}
