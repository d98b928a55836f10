//! The gate before every method: it looks at the token before a byte of the body is read,
//! and lets in so many bodies at a time, so that the memory of a service is bounded
//! whoever calls. A request that cannot be read, which no method sees, is answered here, and so is one whose
//! method panics.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower_layer::Layer;
use tower_service::Service;

use crate::auth::Authenticator;
use crate::error::{self, ApiError};
use crate::tasks::panic_message;

/// Calls whose bodies may be in memory at the same time; more wait, and their bodies with
/// their senders. Streams count until they begin to answer.
const CALLS: usize = 128;

/// Our own methods. Health and reflection need no token, nor do the named ones.
const OURS: &str = "/flowmeter.v1.";
const WITHOUT_TOKEN: [&str; 1] = ["/flowmeter.v1.QueryService/GetBuildInfo"];

/// Stands before the methods of a server.
#[derive(Clone)]
pub(crate) struct Gate {
    authenticator: Option<Authenticator>,
    calls: Arc<Semaphore>,
}

impl Gate {
    /// A gate that asks for tokens, where there are methods that need one.
    pub(crate) fn new(authenticator: Option<Authenticator>) -> Self {
        Self { authenticator, calls: Arc::new(Semaphore::new(CALLS)) }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// What is behind the gate.
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
        let path = request.uri().path();
        let asks = path.starts_with(OURS) && !WITHOUT_TOKEN.contains(&path);
        let Some(authenticator) = self.gate.authenticator.clone().filter(|_| asks) else {
            return Box::pin(answer(self.inner.call(request)));
        };
        let calls = self.gate.calls.clone();
        // The clone is not ready, the one that is asked was.
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let metadata = MetadataMap::from_headers(request.headers().clone());
        Box::pin(async move {
            if let Err(error) = authenticator.authenticate(&metadata).await {
                return Ok(Status::from(error).into_http());
            }
            let _call = calls.acquire().await.expect("it is never closed");
            answer(inner.call(request)).await
        })
    }
}

/// Waits for the answer of a method. One that panics answers INTERNAL instead of leaving its caller with a
/// stream that was reset, and neither the connection nor other calls notice. What a method shares with others
/// is behind locks that a panic does not leave half changed.
async fn answer<E>(method: impl Future<Output = Result<Response<Body>, E>>) -> Result<Response<Body>, E> {
    match AssertUnwindSafe(method).catch_unwind().await {
        Ok(answer) => Ok(in_our_words(answer?)),
        Err(panic) => {
            let error = ApiError::internal(&format!("a method panicked: {}", panic_message(&*panic)));
            Ok(Status::from(error).into_http())
        }
    }
}

/// The answer, in the words of the contract where tonic could not read the request.
fn in_our_words(answer: Response<Body>) -> Response<Body> {
    let unreadable = answer.extensions().get::<Status>().and_then(error::unreadable);
    unreadable.map_or(answer, |error| Status::from(error).into_http())
}
